/**
 * The event log of the firmware: TCG PC Client Platform Firmware Profile, section 10 (crypto-agile), and the SHA-1
 * form of TPM 1.2 before it. Linux gives it as /sys/kernel/security/tpm0/binary_bios_measurements; a Raspberry Pi
 * with stock firmware has none. Everything in it is untrusted until a replay gives the quoted PCRs.
 */
import { type HashName, hashOf, isHash } from '../tpm2/index.ts';
import { boundedLog, type Digests, type LogPosition, type LogRecord, logStart, pcrCount } from './log.ts';
import { LogReader } from './log-reader.ts';

const logName = 'event log';

/** What the reader takes at most. The largest real logs have some hundred events and some hundred KiB. */
export const eventLogLimits = {
  mostBytes: 4 * 1024 * 1024,
  mostRecords: 20_000,
  /** Of one event. A revocation list (dbx) is the largest thing that firmware logs whole. */
  mostDataBytes: 1024 * 1024,
  mostBanks: 16,
} as const;

/** EV_NO_ACTION: for the reader only, never extended, whatever PCR it names. */
export const evNoAction = 3;
const specIdSignature = Buffer.from('Spec ID Event03\0', 'latin1');

/** A bank of the Spec ID event. */
export interface EventBank {
  /** TPM_ALG_ID. */
  readonly algorithm: number;
  readonly digestBytes: number;
  /** Null for a hash that is not known here (SM3, SHA-3): its digests are passed over. */
  readonly name: HashName | null;
}

/** How the records of a log are laid out; `sha1` is the old form without a Spec ID. */
export interface EventLogFormat {
  readonly kind: 'crypto-agile' | 'sha1';
  readonly banks: readonly EventBank[];
  /** Where the records begin that {@link eventRecords} reads. */
  readonly first: LogPosition;
}

/** One event. Its type and data are covered by a digest only in some cases: see event-log-text.ts. */
export interface EventRecord extends LogRecord {
  /** 0 to 23, except in EV_NO_ACTION, which may name any. */
  readonly pcr: number;
  readonly type: number;
  readonly digests: Digests;
  /** A view of the log. */
  readonly data: Uint8Array;
}

const sha1Bank: EventBank = { algorithm: 0x0004, digestBytes: 20, name: 'sha1' };

/**
 * Reads the head of a log, which says what sizes the digests have.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function eventLogFormat(bytes: Uint8Array): EventLogFormat {
  const buffer = boundedLog(logName, bytes, logStart, eventLogLimits.mostBytes);
  const reader = new LogReader(logName, buffer, 0);
  const old: EventLogFormat = { kind: 'sha1', banks: [sha1Bank], first: logStart };
  if (tailStart(buffer) === 0) return old;
  reader.u32('pcr');
  const type = reader.u32('type');
  reader.take(sha1Bank.digestBytes, 'digest');
  const data = reader.sized(eventLogLimits.mostDataBytes, 'data');
  if (type !== evNoAction || !data.subarray(0, specIdSignature.length).equals(specIdSignature)) return old;
  const banks = specIdBanks(new LogReader(logName, data, reader.at - data.length));
  return { kind: 'crypto-agile', banks, first: { bytes: reader.at, records: 1 } };
}

/** TCG_EfiSpecIdEvent: signature, platform class, version, size of an integer, banks, what the vendor adds. */
function specIdBanks(reader: LogReader): EventBank[] {
  reader.take(specIdSignature.length, 'Spec ID signature');
  reader.u32('Spec ID platform class');
  reader.u8('Spec ID minor version');
  const major = reader.u8('Spec ID major version');
  if (major !== 2) throw reader.error('Spec ID major version', `${major}, only 2 is known`);
  reader.u8('Spec ID errata');
  reader.u8('Spec ID integer size');
  const count = reader.u32('Spec ID number of banks');
  if (count === 0 || count > eventLogLimits.mostBanks)
    throw reader.error('Spec ID number of banks', `${count}, not 1 to ${eventLogLimits.mostBanks}`);
  const banks: EventBank[] = [];
  for (let index = 0; index < count; index++) {
    const algorithm = reader.u16('Spec ID algorithm');
    const digestBytes = reader.u16('Spec ID digest size');
    const known = isHash(algorithm) ? hashOf(algorithm) : null;
    if (digestBytes < 1 || digestBytes > 64 || (known !== null && known.size !== digestBytes))
      throw reader.error('Spec ID digest size', `${digestBytes} for algorithm ${hex(algorithm)}`);
    if (banks.some((bank) => bank.algorithm === algorithm))
      throw reader.error('Spec ID algorithm', `${hex(algorithm)} stands there twice`);
    banks.push({ algorithm, digestBytes, name: known?.name ?? null });
  }
  reader.take(reader.u8('Spec ID vendor size'), 'Spec ID vendor data');
  reader.done('Spec ID');
  return banks;
}

/**
 * The records of a log one after the other, with constant memory. `bytes` begins at `from`, which is `format.first`
 * or the end of a record that was read before. A tail of nothing but 00 or nothing but ff ends the log: U-Boot and
 * device trees (`linux,sml-base`) hand over an area of fixed size.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function* eventRecords(
  bytes: Uint8Array,
  format: EventLogFormat,
  from: LogPosition,
): Generator<EventRecord, void, undefined> {
  const buffer = boundedLog(logName, bytes, from, eventLogLimits.mostBytes);
  const reader = new LogReader(logName, buffer, from.bytes);
  const end = tailStart(buffer);
  let start = from;
  while (reader.at < end) {
    if (start.records >= eventLogLimits.mostRecords)
      throw reader.error('records', `more than ${eventLogLimits.mostRecords}`);
    const record = readRecord(reader, format, start, from.bytes);
    yield record;
    start = record.end;
  }
}

function readRecord(
  reader: LogReader,
  format: EventLogFormat,
  start: LogPosition,
  base: number,
): EventRecord {
  const pcr = reader.u32('pcr');
  const type = reader.u32('type');
  if (pcr >= pcrCount && type !== evNoAction) throw reader.error('pcr', `${pcr}, at most ${pcrCount - 1}`);
  const digests =
    format.kind === 'sha1'
      ? new Map<HashName, Uint8Array>([['sha1', reader.take(sha1Bank.digestBytes, 'digest')]])
      : readDigests(reader, format.banks, type);
  const data = reader.sized(eventLogLimits.mostDataBytes, 'data');
  const end = { bytes: base + reader.at, records: start.records + 1 };
  return { start, end, pcr, type, digests, data };
}

/** TPML_DIGEST_VALUES. Sizes come from the Spec ID alone. */
function readDigests(
  reader: LogReader,
  banks: readonly EventBank[],
  type: number,
): Map<HashName, Uint8Array> {
  const count = reader.u32('number of digests');
  if (count > banks.length)
    throw reader.error('number of digests', `${count}, the Spec ID names ${banks.length} banks`);
  if (count === 0 && type !== evNoAction) throw reader.error('number of digests', '0, so it extends nothing');
  const seen = new Set<EventBank>();
  const digests = new Map<HashName, Uint8Array>();
  for (let index = 0; index < count; index++) {
    const algorithm = reader.u16('algorithm');
    const bank = banks.find((candidate) => candidate.algorithm === algorithm);
    if (bank === undefined) throw reader.error('algorithm', `${hex(algorithm)} is not in the Spec ID`);
    if (seen.has(bank)) throw reader.error('algorithm', `${hex(algorithm)} stands there twice`);
    seen.add(bank);
    const digest = reader.take(bank.digestBytes, 'digest');
    if (bank.name !== null) digests.set(bank.name, digest);
  }
  return digests;
}

/** Where the 00 or ff at the end of the bytes begin; their length when they end with something else. */
function tailStart(bytes: Buffer): number {
  const last = bytes.at(-1);
  if (last !== 0x00 && last !== 0xff) return bytes.length;
  let start = bytes.length - 1;
  while (start > 0 && bytes[start - 1] === last) start -= 1;
  return start;
}

const hex = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;

/** Where StartupLocality stands: signature and the locality of TPM2_Startup, 17 bytes. */
const startupSignature = Buffer.from('StartupLocality\0', 'latin1');

/**
 * The locality that an EV_NO_ACTION of PCR 0 names (section 10.4.5.3), or null when the record is another one.
 * PCR 0 then starts with that number in its last byte.
 */
export function startupLocality(record: EventRecord): number | null {
  const { type, pcr, data } = record;
  if (type !== evNoAction || pcr !== 0 || data.length !== startupSignature.length + 1) return null;
  if (Buffer.compare(data.subarray(0, startupSignature.length), startupSignature) !== 0) return null;
  return data[startupSignature.length] ?? null;
}
