/**
 * Just enough of the firmware's event log to replay it: TCG PC Client Platform Firmware Profile 1.05, section 10,
 * crypto-agile format.
 */
import { createHash } from 'node:crypto';

/** TPM_ALG_SHA256 of TPM 2.0 Library, Part 2, table 9. */
const sha256Id = 0x000b;
/** EV_NO_ACTION: says something about the log and is extended nowhere. */
const noAction = 3;

/** One measurement. */
export interface LoggedEvent {
  readonly pcr: number;
  readonly type: number;
  /** SHA-256. */
  readonly digest: Buffer;
  readonly data: Buffer;
}

/** A part of the log; throws RangeError when the log ends before it does. */
function part(log: Buffer, at: number, length: number): Buffer {
  if (at + length > log.length) throw new RangeError(`the log ends before byte ${at + length}`);
  return log.subarray(at, at + length);
}

/** The events of a whole log; throws RangeError when it ends early, Error when it is of another kind. */
export function parseEventLog(log: Buffer): LoggedEvent[] {
  // The first one, TCG_PCR_EVENT with TCG_EfiSpecIdEvent: pcr, type, 20 bytes of digest, size, data.
  let at = 32 + part(log, 32, log.readUInt32LE(28)).length;
  if (log.toString('latin1', 32, 47) !== 'Spec ID Event03') throw new Error('not a crypto-agile event log');
  const digestBytes = new Map<number, number>();
  for (let index = 0; index < log.readUInt32LE(56); index += 1)
    digestBytes.set(log.readUInt16LE(60 + 4 * index), log.readUInt16LE(62 + 4 * index));

  const events: LoggedEvent[] = [];
  while (at < log.length) {
    const [pcr, type, digestCount] = [
      log.readUInt32LE(at),
      log.readUInt32LE(at + 4),
      log.readUInt32LE(at + 8),
    ];
    at += 12;
    let digest: Buffer | null = null;
    for (let index = 0; index < digestCount; index += 1) {
      const id = log.readUInt16LE(at);
      const length = digestBytes.get(id);
      if (length === undefined)
        throw new Error(`event ${events.length}: digest of the unknown algorithm ${id}`);
      if (id === sha256Id) digest = part(log, at + 2, length);
      at += 2 + length;
    }
    const size = log.readUInt32LE(at);
    if (digest === null) throw new Error(`event ${events.length}: no SHA-256`);
    events.push({ pcr, type, digest, data: part(log, at + 4, size) });
    at += 4 + size;
  }
  return events;
}

/** What the registers hold after these events, by number, in hexadecimal; those without an event are left out. */
export function replay(events: readonly LoggedEvent[]): ReadonlyMap<number, string> {
  const registers = new Map<number, Buffer>();
  for (const { pcr, type, digest } of events) {
    if (type === noAction) continue;
    const before = registers.get(pcr) ?? Buffer.alloc(32);
    registers.set(pcr, createHash('sha256').update(before).update(digest).digest());
  }
  return new Map([...registers].map(([pcr, value]) => [pcr, value.toString('hex')]));
}
