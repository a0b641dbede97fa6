/** The progress of all rollouts as the gateway keeps it: one JSON file, `rollouts.json` in its state folder. */
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import { isOnItsWay, type Progress } from './progress.ts';
import type { RolloutState } from './rollout.ts';

/** Name of the file. */
export const keptFile = 'rollouts.json';
/** Largest file that is read, bytes. */
export const mostKeptBytes = 16 * 1024 * 1024;

const progress = z.object({
  phase: z.enum(['waiting', 'asked', 'installing', 'restarting', 'done', 'failed', 'skipped']),
  detail: z.string(),
  at: z.number(),
  from: z.string().nullable(),
  asks: z.int().min(0),
  hasFailed: z.boolean(),
});
const schema = z.object({
  v: z.literal(1),
  rollouts: z.array(
    z.object({ name: z.string(), version: z.string(), surfaces: z.record(z.string(), progress) }),
  ),
});

/** The content of the file. */
export function keptText(states: Iterable<RolloutState>): string {
  const rollouts = [...states].map(({ name, version, surfaces }) => ({
    name,
    version,
    surfaces: Object.fromEntries([...surfaces].map(([surface, { since: _, ...kept }]) => [surface, kept])),
  }));
  return `${JSON.stringify({ v: 1, rollouts })}\n`;
}

/**
 * What was kept. Clocks of an earlier process say nothing here: what was on its way has all its time again.
 * @param now monotonic milliseconds of this process
 * @throws SurfacedError E_ROLLOUT when it is not what {@link keptText} writes
 */
export function readKept(text: string, file: string, now: number): ReadonlyMap<string, RolloutState> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw broken(file, 'not JSON', cause);
  }
  const result = schema.safeParse(json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw broken(file, `${issue?.path.join('.')}: ${issue?.message}`, result.error);
  }
  const states = result.data.rollouts.map(({ name, version, surfaces }): RolloutState => {
    const entries = Object.entries(surfaces).map(([surface, kept]): [string, Progress] => [
      surface,
      { ...kept, since: now },
    ]);
    return { name, version, surfaces: new Map(entries) };
  });
  return new Map(states.map((state) => [state.name, state]));
}

const broken = (file: string, what: string, cause: unknown): SurfacedError =>
  new SurfacedError(
    'E_ROLLOUT',
    `${file}: ${what}; nothing is asked of any surface until it is restored, or removed to begin all rollouts anew`,
    { cause },
  );

/** So many surfaces in each phase, in words: "3 done, 1 failed". */
export function countsOf({ surfaces }: RolloutState): string {
  const counts = new Map<string, number>();
  for (const one of surfaces.values()) {
    const word = isOnItsWay(one) ? 'on their way' : one.phase;
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const parts = ['waiting', 'on their way', 'done', 'failed', 'skipped'].flatMap((word) => {
    const count = counts.get(word);
    return count === undefined ? [] : [`${count} ${word}`];
  });
  return parts.length === 0 ? 'no surfaces' : parts.join(', ');
}
