/** The boot state on the card: which slot is known to work, which one is on trial, and how often it may still start. */
import { bootState, type SlotName } from '../layout.ts';
import { decodeEnvironment, encodeEnvironment } from './environment.ts';

/** What one copy of the boot state says. */
export interface BootState {
  /** The slot that is known to work. */
  readonly good: SlotName;
  /** The slot that is on trial, or was and failed; null: none. */
  readonly trial: SlotName | null;
  /** Starts that the trial has left, 0 to 3; 0 without a trial. */
  readonly left: number;
}

/** What holds where no copy can be read: a card as it was written has slot a alone. */
export const initialBootState: BootState = { good: 'a', trial: null, left: 0 };

/** One copy, a sector. @throws RangeError when `left` is not 0 to 3 */
export function bootStateSector({ good, trial, left }: BootState): Buffer {
  if (!Number.isInteger(left) || left < 0 || left > bootState.tries)
    throw new RangeError(`left is ${left}, not 0 to ${bootState.tries}`);
  const variables = new Map([
    ['good', good],
    ['left', String(left)],
    ...(trial === null ? [] : [['trial', trial] as const]),
  ]);
  return encodeEnvironment(variables, bootState.bytes);
}

/** Reads one copy; null when its checksum is wrong. What it says beyond its meaning is read as boot.cmd reads it. */
export function readBootStateSector(bytes: Buffer): BootState | null {
  const variables = decodeEnvironment(bytes.subarray(0, bootState.bytes));
  if (bytes.length < bootState.bytes || variables === null) return null;
  const named = variables.get('trial');
  const trial = named === 'a' || named === 'b' ? named : null;
  const left = variables.get('left') ?? '';
  return {
    good: variables.get('good') === 'b' ? 'b' : 'a',
    trial,
    left: trial !== null && /^[1-3]$/.test(left) ? Number(left) : 0,
  };
}
