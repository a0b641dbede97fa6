/** Where logs end that were accepted: the next evidence goes on from there. */
import { SurfacedError } from '../../errors.ts';
import { type LogName, logNames } from '../evidence/evidence.ts';
import { eventLogFormat, eventRecords } from '../logs/event-log.ts';
import { imaPcr } from '../logs/ima-entry.ts';
import { imaEntries } from '../logs/ima-list.ts';
import { type LogPosition, type LogRecord, logStart } from '../logs/log.ts';
import { measureRecords } from '../logs/measure-log.ts';
import type { WholeLogs } from '../verifier/types.ts';

export type LogEnds = Readonly<Record<LogName, LogPosition>>;

/** Asks for all of every log. */
export const allFromStart: LogEnds = {
  firmware: logStart,
  ima: logStart,
  measured: logStart,
  systemd: logStart,
};

/**
 * The ends of whole logs, of which the part before `from` has been read already. Bytes behind the last record, as the
 * fixed areas of firmware have them, come before no end. A log that cannot be read ends at its start: all of it is
 * asked for again.
 */
export function logEnds(logs: WholeLogs, from: LogEnds): LogEnds {
  const ends = Object.fromEntries(logNames.map((name) => [name, endOf(name, logs[name], from[name])]));
  return ends as Record<LogName, LogPosition>;
}

function endOf(name: LogName, whole: Uint8Array | null, from: LogPosition): LogPosition {
  if (whole === null) return logStart;
  try {
    let end = from;
    for (const record of recordsOf(name, whole, from)) end = record.end;
    return end;
  } catch (problem) {
    if (problem instanceof SurfacedError) return logStart;
    throw problem;
  }
}

function recordsOf(name: LogName, whole: Uint8Array, from: LogPosition): Iterable<LogRecord> {
  const rest = whole.subarray(from.bytes);
  switch (name) {
    case 'firmware': {
      const format = eventLogFormat(whole);
      const first = from.bytes === 0 ? format.first : from;
      return eventRecords(whole.subarray(first.bytes), format, first);
    }
    case 'ima':
      return imaEntries(rest, { form: 'binary', pcr: imaPcr, from });
    case 'measured':
    case 'systemd':
      return measureRecords(rest, from);
  }
}
