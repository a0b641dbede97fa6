/** What boot.cmd and the program boot-state do with the boot state, in few lines; the tests compare and explore it. */
import type { BootState } from '../../../image/boot/boot-state.ts';
import type { SlotName } from '../../../image/layout.ts';

export type Call = readonly ['set-primary', SlotName] | readonly ['set-state', SlotName, 'good' | 'bad'];

export const otherOf = (slot: SlotName): SlotName => (slot === 'a' ? 'b' : 'a');
export const isPending = ({ trial, left }: BootState): boolean => trial !== null && left > 0;

/** The state after a call; null: it is refused. */
export function afterCall(
  state: BootState,
  call: Call,
  world: { readonly current: SlotName; readonly hasFooter: (slot: SlotName) => boolean },
): BootState | null {
  const [name, slot, mark] = call;
  const other = otherOf(slot);
  if (name === 'set-primary') {
    if (slot === state.good) return isPending(state) ? { ...state, trial: null, left: 0 } : state;
    return world.hasFooter(slot) ? { ...state, trial: slot, left: 3 } : null;
  }
  if (mark === 'good') return slot === state.good ? state : { good: slot, trial: null, left: 0 };
  if (slot !== state.good) return { ...state, trial: null, left: 0 };
  if (world.current !== slot) return null;
  if (isPending(state) && state.trial === other) return state;
  return world.hasFooter(other) ? { ...state, trial: other, left: 3 } : null;
}

/** One start of boot.cmd: the slot that it takes, when it can be loaded, and what it leaves written. */
export function startOf(state: BootState): { readonly slot: SlotName; readonly next: BootState } {
  const { good, trial, left } = state;
  if (trial === null || left === 0) return { slot: good, next: state };
  return { slot: trial, next: { good, trial, left: left - 1 } };
}
