/** What changed between two contents of a part's registers, as the fewest bits on an I2C bus. Pure. */

/** Bytes that follow each other, from a register on. */
export interface Run {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * A transfer of its own costs START, address, register and STOP, 20 bits; an unchanged byte in between costs 9. Up to two
 * of them are sent along.
 */
const cheapGap = 2;

/**
 * The runs of bytes that differ, for parts that count the register up by themselves. Together they never take longer than
 * one transfer of everything.
 * @param shown what the part has; null: not known, everything is sent
 */
export function changedRuns(shown: Uint8Array | null, wanted: Uint8Array): Run[] {
  if (shown === null) return wanted.length > 0 ? [{ start: 0, bytes: wanted }] : [];
  const ranges: { start: number; end: number }[] = [];
  for (let at = 0; at < wanted.length; at++) {
    if (wanted[at] === shown[at]) continue;
    const last = ranges.at(-1);
    if (last !== undefined && at - last.end <= cheapGap) last.end = at + 1;
    else ranges.push({ start: at, end: at + 1 });
  }
  return ranges.map(({ start, end }) => ({ start, bytes: wanted.subarray(start, end) }));
}
