/** Whether the log of `surfaced measure` says what the PCRs hold. Pure. */
import { isSameBytes, type LogPosition, logStart } from '../logs/log.ts';
import { isMeasureCovered, type MeasureRecord, measureRecords } from '../logs/measure-log.ts';
import { type PcrValues, Replay } from '../logs/replay.ts';
import type { HashName } from '../tpm2/index.ts';

/** PCRs of each bank that is active. */
export type Registers = ReadonlyMap<HashName, PcrValues>;

/** A log as it was read. */
export interface ReadLog {
  readonly records: readonly MeasureRecord[];
  /** Behind the last whole record. */
  readonly end: LogPosition;
}

/**
 * Reads a log.
 * @param isEndTorn whether the last record may be written in part, which is then passed over
 * @throws SurfacedError E_ATTEST_LOG
 */
export function readLog(bytes: Buffer, isEndTorn: boolean): ReadLog {
  const whole = isEndTorn ? bytes.subarray(0, bytes.lastIndexOf('\n') + 1) : bytes;
  const records = [...measureRecords(whole, logStart)];
  return { records, end: records.at(-1)?.end ?? logStart };
}

/** How a log and the PCRs stand to each other. */
export type Standing =
  /** The PCRs hold the first `extended` records: all of them, when nothing was interrupted. */
  | { readonly kind: 'extended'; readonly extended: number }
  /** None of these PCRs was extended, and the log has records: the TPM was reset and the machine was not. */
  | { readonly kind: 'reset' }
  /** This PCR was extended by somebody else, or the log was removed or changed. */
  | { readonly kind: 'other'; readonly pcr: number };

/**
 * Compares.
 * @param pcr one that counts beside those of the log
 * @param marked records from this one on may not have been extended; null: all were
 * @throws SurfacedError E_ATTEST_LOG when a record lacks the digest of an active bank
 */
export function standingOf(options: {
  readonly records: readonly MeasureRecord[];
  readonly registers: Registers;
  readonly pcr: number;
  readonly marked: number | null;
}): Standing {
  const { records, registers, pcr, marked } = options;
  const pcrs = new Set([pcr, ...records.flatMap((record) => record.pcr ?? [])]);
  const replay = new Replay([...registers.keys()], null);
  const differing = (): number | undefined =>
    [...pcrs].find((one) =>
      replay.banks.some((bank) => {
        const held = registers.get(bank)?.get(one);
        return held === undefined || !isSameBytes(held, replay.value(bank, one));
      }),
    );
  const isUntouched = differing() === undefined;
  let extended: number | null = null;
  for (const [index, record] of records.entries()) {
    if (marked !== null && index >= marked && differing() === undefined) extended = index;
    if (record.pcr !== null) replay.extend(record.pcr, record.digests);
  }
  const wrong = differing();
  if (wrong === undefined) return { kind: 'extended', extended: records.length };
  if (extended !== null) return { kind: 'extended', extended };
  return isUntouched ? { kind: 'reset' } : { kind: 'other', pcr: wrong };
}

/** What was measured into a PCR already, so that doing it again would add nothing. */
export function measuredBefore(
  records: readonly MeasureRecord[],
  pcr: number,
  banks: readonly HashName[],
): (file: { readonly path: string; readonly sha256: Uint8Array }) => boolean {
  const known = new Set(
    records.flatMap((record) =>
      record.pcr === pcr &&
      record.content.kind === 'file' &&
      banks.every((bank) => isMeasureCovered(record, bank))
        ? [`${record.content.sha256} ${record.content.path}`]
        : [],
    ),
  );
  return ({ path, sha256 }) => known.has(`${Buffer.from(sha256).toString('hex')} ${path}`);
}
