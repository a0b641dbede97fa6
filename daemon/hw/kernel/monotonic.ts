/** Nanoseconds of CLOCK_MONOTONIC at which `performance.now()` was 0; both are that clock, from different starts. */
const originNs = process.hrtime.bigint() - BigInt(Math.round(performance.now() * 1e6));

/** Turns a time of CLOCK_MONOTONIC, nanoseconds, into milliseconds of `performance.now()`. */
export function fromMonotonic(timestampNs: bigint): number {
  return Number(timestampNs - originNs) / 1e6;
}
