/** What is hit in which round, and how; the same for the same seed. Pure. */
import { Random } from '../sim/cluster/random.ts';

export const victims = ['gateway', 'broker', 'API server'] as const;
export type Victim = (typeof victims)[number];
export const blows = ['kill', 'freeze', 'cut'] as const;
export type Blow = (typeof blows)[number];

export interface Round {
  readonly victim: Victim;
  readonly blow: Blow;
  /** Which of the gateways, from 1; only where a gateway is hit. */
  readonly gateway: number;
  /** Which ways of it a cut closes; only where a gateway is cut. */
  readonly ways: 'both' | 'to the broker' | 'to the API server';
  /** From the blow until things are put right, milliseconds. */
  readonly lastsMs: number;
}

/** A killed process is started again after this at most: longer is what a freeze is for. */
const longestDownMs = 10_000;
const shortestMs = 5000;

/**
 * Rounds in which every kind of blow comes before any comes again.
 * @param longestMs of a freeze or a cut
 */
export function planOf(options: {
  readonly rounds: number;
  readonly gateways: number;
  readonly longestMs: number;
  readonly seed: number;
}): readonly Round[] {
  // Seeds that are near would begin alike.
  const random = new Random(Math.imul(options.seed + 1, 0x9e3779b1));
  for (let skipped = 0; skipped < 16; skipped += 1) random.next();
  const between = (least: number, most: number): number => Math.round(least + random.next() * (most - least));
  const one = <T>(choices: readonly T[]): T => choices[Math.floor(random.next() * choices.length)] as T;
  const kinds = victims.flatMap((victim) => blows.map((blow) => ({ victim, blow })));
  const plan: Round[] = [];
  while (plan.length < options.rounds) {
    const left = [...kinds];
    while (left.length > 0) {
      const [kind] = left.splice(Math.floor(random.next() * left.length), 1);
      if (kind === undefined) break;
      const lastsMs =
        kind.blow === 'kill' ? between(500, longestDownMs) : between(shortestMs, options.longestMs);
      const gateway = 1 + Math.floor(random.next() * options.gateways);
      plan.push({ ...kind, gateway, ways: one(['both', 'to the broker', 'to the API server']), lastsMs });
    }
  }
  return plan.slice(0, options.rounds);
}
