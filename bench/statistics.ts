/** Medians, because one busy moment of the machine must not decide. */

/** The value below which this part (0..1) of the sample lies, between neighbours if need be. */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}

/** The middle of the sample. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** A sample in a few numbers, for the JSON. */
export const summary = (values: readonly number[]) => ({
  rounds: values.length,
  least: quantile(values, 0),
  p25: quantile(values, 0.25),
  median: median(values),
  p75: quantile(values, 0.75),
  p95: quantile(values, 0.95),
  most: quantile(values, 1),
});

/** Two numbers of each round side by side: medians of both, and of their ratio within the round. */
export function compare(
  ours: readonly number[],
  theirs: readonly number[],
): {
  readonly ours: number;
  readonly theirs: number;
  readonly ratio: number;
  readonly ratioLow: number;
  readonly ratioHigh: number;
} {
  // Nothing beside nothing is no ratio, and would spoil those of the other rounds.
  const ratios = ours
    .map((value, round) => value / (theirs[round] ?? Number.NaN))
    .filter((ratio) => !Number.isNaN(ratio));
  return {
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ratios),
    ratioLow: quantile(ratios, 0.25),
    ratioHigh: quantile(ratios, 0.75),
  };
}

/** How often a second something can be done, one after the other: for this long, but once at least. */
export function perSecond(work: () => void, forMs: number): number {
  const from = performance.now();
  let times = 0;
  let tookMs = 0;
  do {
    work();
    times++;
    tookMs = performance.now() - from;
  } while (tookMs < forMs);
  return (times * 1000) / tookMs;
}
