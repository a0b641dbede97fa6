/** One rollout: which of its surfaces are asked next, and when it stops. Pure. */
import type { Rollout } from '../../config/schema.ts';
import { advance, askedOf, begun, isFree, isOnItsWay, isOver, type Progress, type Want } from './progress.ts';

/** A rollout as far as it has come. */
export interface RolloutState {
  readonly name: string;
  readonly version: string;
  readonly surfaces: ReadonlyMap<string, Progress>;
}

/** What is known when it is looked at. */
export interface Look {
  readonly now: number;
  readonly at: number;
  readonly seenOf: (surface: string) => Want['seen'];
  readonly newerRolloutOf: (surface: string) => string | null;
  readonly obstacleOf: (surface: string) => string | null;
}

/**
 * Brings every surface up to what is known. One that is not meant any more stays while it is on its way, so that it is
 * counted.
 * @param names surfaces that are meant, in the order in which they are asked
 * @param before null: it has just been made, or its version has
 */
export function step(
  rollout: Rollout,
  names: readonly string[],
  before: RolloutState | null,
  look: Look,
): RolloutState {
  const { version } = rollout.spec;
  const known = before?.version === version ? before.surfaces : new Map<string, Progress>();
  const left = [...known].filter(([name, progress]) => isOnItsWay(progress) && !names.includes(name));
  const surfaces = new Map<string, Progress>();
  for (const name of [...names, ...left.map(([name]) => name)]) {
    const progress = known.get(name) ?? begun(look.now, look.at);
    const { now, at } = look;
    const seen = look.seenOf(name);
    const [newerRollout, obstacle] = [look.newerRolloutOf(name), look.obstacleOf(name)];
    surfaces.set(name, advance(progress, { version, seen, newerRollout, obstacle, now, at }));
  }
  const isSame =
    before?.version === version &&
    before.surfaces.size === surfaces.size &&
    [...surfaces].every(([name, progress]) => before.surfaces.get(name) === progress);
  return isSame ? before : { name: rollout.metadata.name, version, surfaces };
}

/** How many surfaces have failed, those included that arrived after all. */
export const failuresOf = ({ surfaces }: RolloutState): number =>
  [...surfaces.values()].filter(({ hasFailed }) => hasFailed).length;

/** Whether it asks no more because of failures. */
export const isStopped = ({ spec }: Rollout, state: RolloutState): boolean =>
  failuresOf(state) >= spec.stopAfterFailures;

/** Whether nothing is left to be done. */
export const isEnded = ({ surfaces }: RolloutState): boolean => [...surfaces.values()].every(isOver);

/** The surfaces to ask now. */
export function nextToAsk(rollout: Rollout, state: RolloutState, look: Look): readonly string[] {
  if (rollout.spec.isPaused || isStopped(rollout, state)) return [];
  const onTheirWay = [...state.surfaces.values()].filter(isOnItsWay).length;
  return [...state.surfaces]
    .filter(([name, progress]) => isFree(progress, look.seenOf(name)) && look.obstacleOf(name) === null)
    .slice(0, Math.max(0, rollout.spec.atOnce - onTheirWay))
    .map(([name]) => name);
}

/** The same after these have been asked. */
export function asked(
  state: RolloutState,
  names: readonly string[],
  { now, at, seenOf }: Pick<Look, 'now' | 'at' | 'seenOf'>,
): RolloutState {
  const surfaces = new Map(state.surfaces);
  for (const name of names) {
    const progress = surfaces.get(name);
    if (progress) surfaces.set(name, askedOf(progress, { from: seenOf(name).firmware, now, at }));
  }
  return { ...state, surfaces };
}
