/** Logs replayed: what the PCRs must be if a log tells the truth, and the records of it that a quote then proves. */
import type { LogName, QuotableBank } from '../evidence/evidence.ts';
import { type EventRecord, eventLogFormat, eventRecords, evNoAction } from '../logs/event-log.ts';
import { logError, logStart } from '../logs/log.ts';
import {
  isMeasureCovered,
  type MeasureRecord,
  measureLogLimits,
  measureRecords,
} from '../logs/measure-log.ts';
import { type PcrValues, Replay } from '../logs/replay.ts';

/** Logs of userspace. Each is replayed from what the firmware left, as the firmware comes first. */
export type UserspaceLog = Extract<LogName, 'measured' | 'systemd'>;

/** What came of a replay. */
export interface Replayed {
  /** Records of the log, whatever they say. */
  readonly records: number;
  /** Records that extend a quoted PCR, by their PCR; without restarts, which measure nothing. */
  readonly quoted: ReadonlyMap<number, number>;
  /** Starts of the machine without a reset of the TPM. */
  readonly restarts: number;
  /** PCRs that it sets or extends, quoted or not. */
  readonly touched: ReadonlySet<number>;
  /** Values behind the last record, of the PCRs that the log touches and of those that the replay began with. */
  readonly values: PcrValues;
}

/** The quoted values of the bank that was chosen. */
export interface QuotedPcrs {
  readonly bank: QuotableBank;
  readonly pcrs: PcrValues;
}

/**
 * Replays the event log of the firmware.
 * @throws SurfacedError E_ATTEST_LOG when it cannot be read or has no digests of the bank
 */
export function replayFirmware(bytes: Uint8Array, { bank, pcrs }: QuotedPcrs): Replayed {
  const replay = new Replay([bank], null);
  const quoted = new Map<number, number>();
  let records = 0;
  for (const record of allEvents(bytes)) {
    records += 1;
    replay.event(record);
    if (isExtending(record) && pcrs.has(record.pcr)) count(quoted, record.pcr);
  }
  const values = replay.values(bank);
  return { records, quoted, restarts: 0, touched: new Set(values.keys()), values };
}

/**
 * Replays a log of userspace.
 * @param start what the firmware left in the PCRs
 * @throws SurfacedError E_ATTEST_LOG when it cannot be read, has no digests of the bank, or holds records of others
 */
export function replayUserspace(
  name: UserspaceLog,
  bytes: Uint8Array,
  { bank, pcrs, start }: QuotedPcrs & { readonly start: PcrValues },
): Replayed {
  const replay = new Replay([bank], new Map([[bank, start]]));
  const quoted = new Map<number, number>();
  const touched = new Set<number>();
  let records = 0;
  let restarts = 0;
  for (const record of measureRecords(bytes, logStart)) {
    const isRestart = record.content.kind === 'restart';
    if (isRestart) restarts += 1;
    const fault = contentFault(name, record, bank) ?? restartFault(restarts);
    if (fault !== null) throw logError(`${name} log`, record.start.bytes, fault.field, fault.what);
    records += 1;
    if (record.pcr === null) continue;
    replay.extend(record.pcr, record.digests);
    touched.add(record.pcr);
    if (pcrs.has(record.pcr) && !isRestart) count(quoted, record.pcr);
  }
  // In which order records of two PCRs were extended is not proven, so a restart in one says nothing about the other.
  if (restarts > 0 && touched.size > 1)
    throw logError(
      `${name} log`,
      0,
      'pcr',
      `restarts, and records of ${touched.size} PCRs: one alone can be`,
    );
  return { records, quoted, restarts, touched, values: replay.values(bank) };
}

const restartFault = (restarts: number) =>
  restarts > measureLogLimits.mostRestarts
    ? { field: 'content_type', what: `more than ${measureLogLimits.mostRestarts} restarts` }
    : null;

/** `surfaced measure` writes files and restarts, and extends what it writes; systemd's log has none of its records. */
function contentFault(
  name: UserspaceLog,
  record: MeasureRecord,
  bank: QuotableBank,
): { readonly field: string; readonly what: string } | null {
  const isOwn = record.content.kind !== 'systemd';
  if (isOwn !== (name === 'measured'))
    return { field: 'content_type', what: `record ${record.start.records} is of another log` };
  if (isOwn && !isMeasureCovered(record, bank))
    return { field: 'content', what: `record ${record.start.records}: its ${bank} digest is another one` };
  return null;
}

/** The events that a quote of these PCRs proves, once the log replays. */
export function* provenEvents(bytes: Uint8Array, { pcrs }: QuotedPcrs): Generator<EventRecord> {
  for (const record of allEvents(bytes)) if (isExtending(record) && pcrs.has(record.pcr)) yield record;
}

/** The records that a quote of these PCRs proves, once the log replays. */
export function* provenRecords(bytes: Uint8Array, { pcrs }: QuotedPcrs): Generator<MeasureRecord> {
  for (const record of measureRecords(bytes, logStart))
    if (record.pcr !== null && pcrs.has(record.pcr)) yield record;
}

function* allEvents(bytes: Uint8Array): Generator<EventRecord> {
  const format = eventLogFormat(bytes);
  yield* eventRecords(bytes.subarray(format.first.bytes), format, format.first);
}

/** EV_NO_ACTION extends nothing, so that no quote proves it. */
const isExtending = ({ type }: EventRecord): boolean => type !== evNoAction;

const count = (numbers: Map<number, number>, pcr: number): unknown =>
  numbers.set(pcr, (numbers.get(pcr) ?? 0) + 1);
