/** What each light of one target stands for, before hue and time come in. */
import type { PodPlaces } from './pod-places.ts';
import type { Binding, PodLight, SlotView } from './types.ts';
import { isLamp, numberOf } from './verbs.ts';

/** Kinds of lights. */
export const cell = {
  empty: 0,
  ready: 1,
  running: 2,
  pending: 3,
  crashed: 4,
  terminating: 5,
  /** Wanted by the cluster, not created yet. */
  hollow: 6,
  /** The same while something holds the creation up. */
  hollowBlocked: 7,
  /** Would be added by what the operator is setting. */
  ghostMore: 8,
  /** Would be taken away by it. */
  ghostLess: 9,
  /** There is more than there are lights. */
  overflow: 10,
  /** No such target: every second light. */
  missing: 11,
  /** Not allowed: every second light, changing sides. */
  deniedEven: 12,
  deniedOdd: 13,
  /** Nothing has been heard of this target yet. */
  waiting: 14,
  /** A switch that is at 0. */
  off: 15,
} as const;

const codeOf: Readonly<Record<PodLight, number>> = {
  ready: cell.ready,
  running: cell.running,
  pending: cell.pending,
  crashed: cell.crashed,
  terminating: cell.terminating,
};

/** What is known about a target when its lights are laid out. */
export interface CellInput {
  readonly view: SlotView | null;
  readonly places: PodPlaces;
  readonly desired: number | null;
  readonly wanted: number | null;
  readonly binding: Pick<Binding, 'verb'>;
}

/** Writes the kind of every light of one target, first place first. */
export function setCells(codes: Uint8Array, input: CellInput): void {
  const { view, places, desired, wanted, binding } = input;
  codes.fill(cell.empty);
  if (view === null) {
    codes[0] = cell.waiting;
    return;
  }
  if (view.condition.state === 'missing' || view.condition.state === 'denied') {
    setPattern(codes, view.condition.state);
    return;
  }
  if (isLamp(binding)) {
    const isMoving = wanted !== null && wanted !== desired;
    codes.fill(
      isMoving ? (wanted === 0 ? cell.ghostLess : cell.ghostMore) : desired === 1 ? cell.ready : cell.off,
    );
    return;
  }
  let live = places.hidden;
  for (let place = 0; place < codes.length; place++) {
    const light = places.lights[place] ?? null;
    if (light === null) continue;
    codes[place] = codeOf[light];
    if (light !== 'terminating') live++;
  }
  // What is not counted in Pods has none missing.
  const isCount = numberOf(binding) === 'count';
  const isOfPods = isCount && binding.verb !== 'ceiling';
  // A message over its size limit leaves Pods out, but not out of the count.
  const missing = isOfPods ? Math.max(0, (desired ?? 0) - Math.max(live, view.observed)) : 0;
  const isBlocked = view.condition.state === 'blocked';
  let beyond = places.hidden + fillFree(codes, missing, isBlocked ? cell.hollowBlocked : cell.hollow);
  if (isCount && desired !== null && wanted !== null && wanted > desired)
    beyond += fillFree(codes, wanted - desired, cell.ghostMore);
  if (isCount && desired !== null && wanted !== null && wanted < desired)
    markLast(codes, desired - wanted - Math.min(beyond, desired - wanted));
  if (beyond > 0 && codes.length > 0) codes[codes.length - 1] = cell.overflow;
}

function setPattern(codes: Uint8Array, state: 'missing' | 'denied'): void {
  for (let place = 0; place < codes.length; place++) {
    if (state === 'missing') codes[place] = place % 2 === 0 ? cell.missing : cell.empty;
    else codes[place] = place % 2 === 0 ? cell.deniedEven : cell.deniedOdd;
  }
}

/** Fills so many free places, lowest first; returns how many found none. */
function fillFree(codes: Uint8Array, count: number, code: number): number {
  let left = count;
  for (let place = 0; place < codes.length && left > 0; place++) {
    if (codes[place] !== cell.empty) continue;
    codes[place] = code;
    left--;
  }
  return left;
}

/** Marks so many as going, last first. Which Pods will really go is the cluster's choice. */
function markLast(codes: Uint8Array, count: number): void {
  let left = count;
  for (let place = codes.length - 1; place >= 0 && left > 0; place--) {
    if (codes[place] === cell.empty || codes[place] === cell.terminating) continue;
    codes[place] = cell.ghostLess;
    left--;
  }
}
