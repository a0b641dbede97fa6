/** Nanoseconds of CLOCK_MONOTONIC at which `performance.now()` was 0; both are that clock, from different starts. */
const originNs = findOrigin();

/** Turns a time of CLOCK_MONOTONIC, nanoseconds, into milliseconds of `performance.now()`. */
export function fromMonotonic(timestampNs: bigint): number {
  return Number(timestampNs - originNs) / 1e6;
}

/** Reads one clock between two readings of the other; the closest pair counts, because every call may be interrupted. */
function findOrigin(): bigint {
  let origin = 0n;
  let closest: bigint | null = null;
  for (let count = 0; count < 20; count += 1) {
    const before = process.hrtime.bigint();
    const now = performance.now();
    const apart = process.hrtime.bigint() - before;
    if (closest !== null && apart >= closest) continue;
    closest = apart;
    origin = before + apart / 2n - BigInt(Math.round(now * 1e6));
  }
  return origin;
}
