/**
 * The log of userspace: what `surfaced measure` has extended, and systemd's /run/log/systemd/tpm2-measure.log. Both
 * are JSON text sequences (RFC 7464: RS, a JSON object, LF) of records in the manner of the TCG Canonical Event Log
 * (CEL-JSON); systemd leaves out `recnum` (systemd-pcrextend(8)).
 *
 * `surfaced measure` extends H(`file:sha256:<SHA-256 of the file>:<path>`) in every bank, so that path and digest are
 * both covered, in any bank.
 *
 * A machine may be restarted while its TPM is not (one whose reset line is not wired). Then H(`surfaced:restart`) is extended
 * before anything else, and the log goes on: what is between two such records was measured in one start of the machine.
 */
import { z } from 'zod';
import type { HashName } from '../tpm2/index.ts';
import { type EventText, notCovered } from './event-log-text.ts';
import {
  bankBytes,
  bankDigest,
  boundedLog,
  type Digests,
  isBank,
  isSameBytes,
  type LogPosition,
  type LogRecord,
  pcrCount,
  shown,
} from './log.ts';
import { LogReader } from './log-reader.ts';

const logName = 'measure log';

/** What the reader takes at most. */
export const measureLogLimits = {
  mostBytes: 4 * 1024 * 1024,
  mostRecords: 10_000,
  /** Starts of the machine without a reset of the TPM; each is compared on its own. */
  mostRestarts: 1000,
  mostRecordBytes: 64 * 1024,
  /** UTF-16 units; PATH_MAX. */
  mostPathCharacters: 4096,
} as const;

/** A file and its digest, as `surfaced measure` extends them. */
export interface FileMeasurement {
  readonly kind: 'file';
  readonly path: string;
  /** Of the content of the file, 64 hex digits in lower case. */
  readonly sha256: string;
}

/** The machine was restarted here, and the TPM was not reset: what follows is of the next start. */
export interface RestartMeasurement {
  readonly kind: 'restart';
}

/** Something that systemd measured. */
export interface SystemdMeasurement {
  readonly kind: 'systemd';
  /** `phase`, `filesystem`, `volume-key`, `machine-id`, ...; null in older versions. */
  readonly eventType: string | null;
  /** Null where it has none. For a volume key it only says what was measured: the digest is not that of the text. */
  readonly text: string | null;
}

/** One record. */
export interface MeasureRecord extends LogRecord {
  /** Null for an NV index that systemd uses like a PCR: it extends none. */
  readonly pcr: number | null;
  readonly digests: Digests;
  readonly content: FileMeasurement | RestartMeasurement | SystemdMeasurement;
}

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);
const digestSchema = z.strictObject({
  hashAlg: z.string().max(16),
  digest: z.string().regex(/^(?:[0-9a-f]{2}){20,64}$/),
});
const common = {
  recnum: z.int().min(0).optional(),
  pcr: z
    .int()
    .min(0)
    .max(pcrCount - 1)
    .optional(),
  nv_index: z.int().min(0).max(0xffffffff).optional(),
  digests: z.array(digestSchema).min(1).max(8),
};
const recordSchema = z
  .discriminatedUnion('content_type', [
    z.strictObject({
      ...common,
      content_type: z.literal('surfaced'),
      content: z.strictObject({
        path: z.string().min(1).max(measureLogLimits.mostPathCharacters),
        sha256: sha256Hex,
      }),
    }),
    z.strictObject({
      ...common,
      content_type: z.literal('surfaced-restart'),
      content: z.strictObject({}),
    }),
    z.strictObject({
      ...common,
      content_type: z.literal('systemd'),
      // Each version of systemd has added fields here.
      content: z.object({ string: z.string().optional(), eventType: z.string().max(64).optional() }),
    }),
  ])
  .refine((record) => (record.pcr === undefined) !== (record.nv_index === undefined), {
    path: ['pcr'],
    message: 'either pcr or nv_index must be there',
  })
  // What extends no PCR is proven by no quote, and must not divide what is.
  .refine((record) => record.content_type !== 'surfaced-restart' || record.pcr !== undefined, {
    path: ['pcr'],
    message: 'a restart must be extended into a PCR',
  });

const recordSeparator = 0x1e;

/**
 * The records of a log one after the other. `bytes` begins at `from`.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function* measureRecords(
  bytes: Uint8Array,
  from: LogPosition,
): Generator<MeasureRecord, void, undefined> {
  const buffer = boundedLog(logName, bytes, from, measureLogLimits.mostBytes);
  const reader = new LogReader(logName, buffer, from.bytes);
  let start = from;
  while (reader.left > 0) {
    if (start.records >= measureLogLimits.mostRecords)
      throw reader.error('records', `more than ${measureLogLimits.mostRecords}`);
    const line = reader.line(measureLogLimits.mostRecordBytes, 'record');
    const json = line[0] === recordSeparator ? line.subarray(1) : line;
    const record = parseRecord(json, start.records, (field, what) =>
      reader.error(field, what, line.length + 1),
    );
    const end = { bytes: from.bytes + reader.at, records: start.records + 1 };
    yield { ...record, start, end };
    start = end;
  }
}

type Fail = (field: string, what: string) => Error;

function parseRecord(json: Buffer, index: number, fail: Fail): Omit<MeasureRecord, keyof LogRecord> {
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    throw fail('record', 'not JSON');
  }
  const result = recordSchema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw fail(shown(issue?.path.join('.') || 'record'), shown(issue?.message ?? 'not a record', 200));
  }
  const record = result.data;
  if (record.recnum !== undefined && record.recnum !== index)
    throw fail('recnum', `${record.recnum}, not ${index}`);
  const digests = new Map<HashName, Uint8Array>();
  for (const { hashAlg, digest } of record.digests) {
    // Hashes that are not known here are passed over, as in the log of the firmware.
    if (!isBank(hashAlg)) continue;
    if (digests.has(hashAlg)) throw fail('digests', `${hashAlg} stands there twice`);
    const bytes = Buffer.from(digest, 'hex');
    if (bytes.length !== bankBytes[hashAlg]) throw fail('digests', `${bytes.length} bytes for ${hashAlg}`);
    digests.set(hashAlg, bytes);
  }
  return { pcr: record.pcr ?? null, digests, content: contentOf(record) };
}

function contentOf(record: z.infer<typeof recordSchema>): MeasureRecord['content'] {
  switch (record.content_type) {
    case 'surfaced':
      return { kind: 'file', ...record.content };
    case 'surfaced-restart':
      return { kind: 'restart' };
    case 'systemd': {
      const { eventType, string } = record.content;
      return { kind: 'systemd', eventType: eventType ?? null, text: string ?? null };
    }
  }
}

/** What begins every text that stands for a file. */
const filePrefix = 'file:sha256:';
/** The text whose digest is extended for a file. */
const fileText = ({ path, sha256 }: FileMeasurement): string => `${filePrefix}${sha256}:${path}`;

/** The text whose digest is extended at a restart; no text of a file is like it. */
const restartText = 'surfaced:restart';

/** The text whose digest a record should have; null: it does not say. */
function textOf(content: MeasureRecord['content']): string | null {
  switch (content.kind) {
    case 'file':
      return fileText(content);
    case 'restart':
      return restartText;
    case 'systemd':
      return content.text;
  }
}

/** Whether the text of a record stands for a file or a restart, whoever has written the record. */
export function isOwnText(content: MeasureRecord['content']): boolean {
  const text = textOf(content);
  return text === restartText || text?.startsWith(filePrefix) === true;
}

/** Whether the digest of the bank is that of the content: then path and file digest are as proven as the PCR. */
export function isMeasureCovered(record: MeasureRecord, bank: HashName): boolean {
  const digest = record.digests.get(bank);
  const text = textOf(record.content);
  return digest !== undefined && text !== null && isSameBytes(bankDigest(bank, Buffer.from(text)), digest);
}

/** The content of a record for a person, as far as the digest of the quoted bank covers it. */
export function measureText(record: MeasureRecord, bank: HashName): EventText {
  if (!isMeasureCovered(record, bank)) return { isCovered: false, text: notCovered };
  const { content } = record;
  const text = content.kind === 'file' ? content.path : (textOf(content) ?? '');
  return { isCovered: true, text: shown(text, 200) };
}

/**
 * Whether `surfaced measure` may extend this PCR: 8 to 15 without that of IMA. The firmware has 0 to 7; any process
 * can reset 16 and 23, and nobody at locality 0 can extend 17 to 22.
 */
export const isMeasurablePcr = (pcr: number): boolean =>
  Number.isInteger(pcr) && pcr >= 8 && pcr <= 15 && pcr !== 10;

/** What must be extended, and the record that says so. */
export interface NewMeasurement {
  /** For TPM2_PCR_Extend, one a bank. */
  readonly digests: Digests;
  /** The bytes to append to the log. */
  readonly bytes: Buffer;
}

/** Where a measurement goes. */
interface Into {
  readonly pcr: number;
  /** The active banks of the TPM, at least one. */
  readonly banks: readonly HashName[];
  /** Records that are in the log. */
  readonly recnum: number;
}

/**
 * Makes the record of a file.
 * @param options.sha256 of the content, 32 bytes
 * @throws RangeError for a PCR that {@link isMeasurablePcr} refuses, or a file that no reader would accept
 */
export function fileMeasurement(
  options: Into & { readonly path: string; readonly sha256: Uint8Array },
): NewMeasurement {
  const { path } = options;
  const content = { path, sha256: Buffer.from(options.sha256).toString('hex') };
  return newMeasurement(fileText({ kind: 'file', ...content }), options, 'surfaced', content);
}

/**
 * Makes the record of a restart of the machine that was none of the TPM.
 * @throws RangeError for a PCR that {@link isMeasurablePcr} refuses
 */
export const restartMeasurement = (into: Into): NewMeasurement =>
  newMeasurement(restartText, into, 'surfaced-restart', {});

function newMeasurement(
  text: string,
  { pcr, banks, recnum }: Into,
  content_type: 'surfaced' | 'surfaced-restart',
  content: object,
): NewMeasurement {
  if (!isMeasurablePcr(pcr)) throw new RangeError(`PCR ${pcr} is not for files`);
  const digests = new Map(banks.map((bank) => [bank, bankDigest(bank, Buffer.from(text))]));
  const record = {
    recnum,
    pcr,
    digests: [...digests].map(([hashAlg, digest]) => ({ hashAlg, digest: digest.toString('hex') })),
    content_type,
    content,
  };
  const problem = recordSchema.safeParse(record).error?.issues[0];
  if (problem) throw new RangeError(`${problem.path.join('.')}: ${problem.message}`);
  return { digests, bytes: Buffer.from(`\x1e${JSON.stringify(record)}\n`) };
}
