/** Carries the log of `surfaced measure` over a restart of the machine that was none of its TPM. Pure. */
import { isSameBytes } from '../logs/log.ts';
import type { MeasureRecord } from '../logs/measure-log.ts';
import { Replay } from '../logs/replay.ts';
import { type ReadLog, type Registers, readLog } from './standing.ts';

/**
 * Most records that are dropped from the end of a saved log: it is saved before its last records are extended, so that those
 * of one call may be missing in the TPM.
 */
const mostDropped = 256;

/** The saved log and the new one together, or why they do not explain the PCR. */
export type Carried =
  | { readonly kind: 'joined'; readonly bytes: Buffer; readonly log: ReadLog }
  | { readonly kind: 'refused'; readonly why: string };

const refused = (why: string): Carried => ({ kind: 'refused', why });

/**
 * Joins them where the PCR is exactly what they say, in all banks.
 * @param fresh the log since the restart; it begins with the record of the restart, or is empty
 * @throws SurfacedError E_ATTEST_LOG when one cannot be read, or a record lacks the digest of an active bank
 */
export function carriedLog(options: {
  readonly saved: Buffer;
  readonly fresh: Buffer;
  readonly registers: Registers;
  readonly pcr: number;
}): Carried {
  const { saved, fresh, registers, pcr } = options;
  const before = readLog(saved, false).records;
  const since = readLog(fresh, false).records;
  if (before.length === 0) return refused('it is empty');
  // The order of records of two PCRs is not proven, so that no gateway would take them.
  const other = [...before, ...since].find((record) => record.pcr !== pcr);
  if (other !== undefined) return refused(`it has records of PCR ${other.pcr}, too`);
  if (since[0] !== undefined && since[0].content.kind !== 'restart')
    return refused('what was measured since does not begin with the restart');
  const banks = [...registers.keys()];
  const replay = new Replay(banks, null);
  for (const [index, record] of before.entries()) {
    replay.extend(pcr, record.digests);
    if (before.length - 1 - index > mostDropped) continue;
    const end = new Replay(banks, new Map(banks.map((bank) => [bank, replay.values(bank)])));
    for (const one of since) end.extend(pcr, one.digests);
    const isExplained = banks.every((bank) => {
      const held = registers.get(bank)?.get(pcr);
      return held !== undefined && isSameBytes(held, end.value(bank, pcr));
    });
    if (!isExplained) continue;
    const bytes = Buffer.concat([
      saved.subarray(0, record.end.bytes),
      ...since.map((one) => numbered(fresh, one, index + 1 + one.start.records)),
    ]);
    return { kind: 'joined', bytes, log: readLog(bytes, false) };
  }
  return refused('it does not explain the PCR');
}

/** The bytes of a record with another number; digests do not cover numbers. */
function numbered(log: Buffer, { start, end }: MeasureRecord, recnum: number): Buffer {
  const text = log.toString('utf8', start.bytes, end.bytes);
  const json = text.startsWith('\x1e') ? text.slice(1) : text;
  return Buffer.from(`\x1e${JSON.stringify({ ...(JSON.parse(json) as object), recnum })}\n`);
}

/** What was measured since the last restart. */
export function lastStart(records: readonly MeasureRecord[]): readonly MeasureRecord[] {
  return records.slice(records.findLastIndex(({ content }) => content.kind === 'restart') + 1);
}
