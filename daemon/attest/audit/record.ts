/**
 * Records of the audit log: JSON lines `{seq, at, kind, ..., prev}`, chained by SHA-256 over the exact bytes of the line
 * before. One schema writes and reads what happened; bytes are base64.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { base64, quotableBanks } from '../evidence/evidence.ts';
import type { AuditEvent } from './types.ts';

/** Longest line, bytes, without its newline. What is longer is not written, and not read. */
export const mostLineBytes = 131_072;
/** Hash before the first record. */
export const noHash = '0'.repeat(64);

const bytes = z.codec(
  z.string(),
  z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'not bytes'),
  {
    decode: (text, context) => {
      const decoded = Buffer.from(text, 'base64');
      if (decoded.toString('base64') !== text)
        context.issues.push({ code: 'custom', message: 'not base64', input: text });
      return decoded;
    },
    encode: base64,
  },
);
const pcrs = z.codec(
  z.record(z.string().regex(/^\d{1,2}$/), bytes),
  z.custom<ReadonlyMap<number, Uint8Array>>((value) => value instanceof Map, 'not a map'),
  {
    decode: (values) => {
      const entries = Object.entries(values).map(([pcr, value]) => [Number(pcr), value] as const);
      return new Map(entries.toSorted(([one], [other]) => one - other));
    },
    encode: (values) => Object.fromEntries([...values].map(([pcr, value]) => [`${pcr}`, value])),
  },
);
/** Words of a list that may grow are plain text here: a log of years ago must still be read. */
const word = z.string();
const count = z.int().min(0);

const verdict = z.object({
  v: z.literal(1),
  isTrusted: z.boolean(),
  level: z.literal([0, 1, 2, 3]).nullable(),
  ekSha256: z.string().nullable(),
  akName: z.string().nullable(),
  hasTrustedCertificate: z.boolean(),
  checks: z
    .array(z.object({ name: word, outcome: z.enum(['passed', 'failed', 'skipped']), reason: z.string() }))
    .readonly(),
  clock: z
    .object({
      resetCount: count,
      restartCount: count,
      clock: z.string(),
      isSafe: z.boolean(),
      firmwareVersion: z.string(),
    })
    .nullable(),
  epoch: z.enum(['first', 'same', 'new']).nullable(),
  reference: z.object({ name: z.string(), version: z.number(), sha256: z.string() }).nullable(),
  measured: z.object({
    firmwareEvents: count,
    files: count,
    systemdRecords: count,
    imaEntries: count,
    imaViolations: count,
  }),
});

const log = z
  .object({ from: z.object({ bytes: count, records: count }), length: count, sha256: bytes })
  .nullable();
const quote = z.object({
  claims: z.object({ ekPublic: bytes, akPublic: bytes }),
  nonce: bytes,
  keySha256: bytes,
  channel: bytes,
  secret: bytes.nullable(),
  bank: z.enum(quotableBanks),
  logs: z.object({ firmware: log, ima: log, measured: log, systemd: log }),
  attest: bytes,
  signature: bytes,
  pcrs,
});

const command = z.object({
  surface: z.string(),
  id: z.string(),
  slot: z.number().nullable(),
  target: z
    .object({ apiVersion: z.string(), kind: z.string(), namespace: z.string(), name: z.string() })
    .nullable(),
  /** Left out before there was more than one. */
  verb: word.nullish(),
  want: z.number().nullable(),
  saw: z.number().nullable(),
  arm: z.array(word).readonly(),
  issuedAt: z.number().nullable(),
  receivedAt: z.number(),
  endedAt: z.number(),
  user: z.string(),
  wasAccepted: z.boolean(),
  phase: word,
  code: z.string(),
  now: z.number().nullable(),
  detail: z.string(),
});

/** Public part of a key that signs heads: SubjectPublicKeyInfo of an Ed25519 key, or TPMT_PUBLIC of a TPM's key. */
export const signerSchema = z.object({ type: z.enum(['ed25519', 'tpm2']), public: bytes });
export type SignerPublic = Readonly<z.output<typeof signerSchema>>;

const event = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('gateway'), what: z.enum(['started', 'stopped']), version: z.string() }),
  z.object({
    kind: z.literal('verdict'),
    surface: z.string().nullable(),
    evidence: z.string(),
    why: z.enum(['enrol', 'renew', 'policy']),
    verdict,
    quote: quote.nullable(),
  }),
  z.object({
    kind: z.literal('certificate'),
    surface: z.string(),
    trust: z.enum(['tpm', 'token']),
    evidence: z.string(),
    serial: z.string(),
    notAfter: z.number(),
  }),
  z.object({
    kind: z.literal('trust'),
    surface: z.string().nullable(),
    ekSha256: z.string().nullable(),
    from: z.string(),
    to: z.string(),
    reason: z.string(),
  }),
  z.object({ kind: z.literal('command'), command }),
  z.object({
    kind: z.literal('update'),
    surface: z.string(),
    rollout: z.string(),
    version: z.string(),
    from: z.string().nullable(),
    outcome: word,
    detail: z.string(),
  }),
  z.object({
    kind: z.literal('operator'),
    user: z.string(),
    what: z.enum(['approve', 'deny', 'revoke', 'restore']),
    surface: z.string().nullable(),
    ekSha256: z.string().nullable(),
    detail: z.string(),
  }),
  // What follows is about the log itself.
  z.object({ kind: z.literal('segment'), v: z.literal(1), segment: count, signer: signerSchema.nullable() }),
  z.object({ kind: z.literal('signer'), signer: signerSchema }),
  z.object({ kind: z.literal('recovered'), bytes: count, isHeadMissing: z.boolean() }),
]);
/** What a record holds beside its place in the chain, as it is read. */
export type LoggedEvent = z.output<typeof event>;

/**
 * What the log says about itself. `segment`: first record of each file, with the key that signs heads, null while it is
 * not known. `signer`: another key signs from here on. `recovered`: at a start, an incomplete last line of so many bytes
 * was cut, or the head was missing.
 */
export type OwnEvent = Extract<LoggedEvent, { kind: 'segment' | 'signer' | 'recovered' }>;

const envelope = z.object({
  seq: z.int().min(1),
  at: z.int(),
  kind: z.string(),
  prev: z.string().regex(/^[0-9a-f]{64}$/),
});
/** Place of a record. */
export type Envelope = Readonly<z.output<typeof envelope>>;

/** A place in the chain: `seq` of a record and hex of SHA-256 of its line. */
export interface Link {
  readonly seq: number;
  readonly hash: string;
}
/** Before the first record. */
export const chainStart: Link = { seq: 0, hash: noHash };

/**
 * The middle of a line.
 * @throws ZodError when the event is not what its type says
 */
export const eventText = (value: AuditEvent | OwnEvent): string =>
  JSON.stringify(z.encode(event, value as LoggedEvent)).slice(1, -1);

/** A line with its newline, and the link that it makes. */
export function lineOf(
  last: Link,
  at: number,
  text: string,
): { readonly bytes: Buffer; readonly link: Link } {
  const seq = last.seq + 1;
  const line = Buffer.from(`{"seq":${seq},"at":${at},${text},"prev":"${last.hash}"}`);
  return { bytes: Buffer.concat([line, newline]), link: { seq, hash: lineHash(line) } };
}
const newline = Buffer.from('\n');

/** Hex of SHA-256 over a line without its newline. */
export const lineHash = (line: Uint8Array): string => createHash('sha256').update(line).digest('hex');

/** A line that is no record. The message says why, and holds nothing of the line. */
export class LineError extends Error {
  override readonly name = 'LineError';
}

/** A line as JSON, with its place checked for form only. @throws LineError */
export function readEnvelope(line: Uint8Array): { readonly place: Envelope; readonly json: unknown } {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line));
  } catch (cause) {
    throw new LineError('it is not JSON', { cause });
  }
  return { place: parsed(envelope, json), json };
}

/** What happened. @throws LineError */
export const readEvent = (json: unknown): LoggedEvent => parsed(event, json);

function parsed<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'the record' : issue.path.join('.');
  throw new LineError(`${where}: ${issue?.message ?? 'is not readable'}`, { cause: result.error });
}

/**
 * The link that a line makes when it follows `last`; null: the chain begins with it.
 * @throws LineError when it does not follow
 */
export function follow(last: Link | null, place: Envelope, line: Uint8Array): Link {
  if (last !== null && place.seq !== last.seq + 1)
    throw new LineError(`it is record ${place.seq}, and ${last.seq + 1} is due`);
  if (last !== null && place.prev !== last.hash)
    throw new LineError('it does not chain: `prev` is not the hash of the record before');
  if (place.seq === 1 && place.prev !== noHash) throw new LineError('it is the first, and has a `prev`');
  return { seq: place.seq, hash: lineHash(line) };
}
