/** What the readers of all logs share: where they are, how they fail, how they compare and show bytes. */
import { hash } from 'node:crypto';
import { SurfacedError } from '../../errors.ts';
import type { HashName } from '../tpm2/index.ts';

/** Up to where a log has been read. Readers go on from here, so only what is new must be sent and held. */
export interface LogPosition {
  /** Bytes before this position, from the start of the log. */
  readonly bytes: number;
  /** Records before this position. */
  readonly records: number;
}

/** The start of a log. */
export const logStart: LogPosition = { bytes: 0, records: 0 };

/** What every record of a log has. */
export interface LogRecord {
  /** Position of its first byte in the whole log, and its number from 0. */
  readonly start: LogPosition;
  /** Position behind it: whoever has read this record goes on there. */
  readonly end: LogPosition;
}

/** Digests of one event, by bank. Views of the log, not copies. */
export type Digests = ReadonlyMap<HashName, Uint8Array>;

/** Bytes of the digests of each bank that can be replayed. */
export const bankBytes: Readonly<Record<HashName, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/** Whether this is the name of a bank that can be replayed. */
export const isBank = (name: string): name is HashName => Object.hasOwn(bankBytes, name);

/** The digest of all parts one after the other, in a bank's hash. One call of `hash` is quicker than a Hash object. */
export function bankDigest(bank: HashName, ...parts: readonly Uint8Array[]): Buffer {
  const [only] = parts;
  return hash(bank, only !== undefined && parts.length === 1 ? only : Buffer.concat(parts), 'buffer');
}

/** PCRs of a TPM (PC Client Platform TPM Profile, section 4.6). */
export const pcrCount = 24;

/**
 * The one error of this folder, E_ATTEST_LOG: which log, which byte of it, which field, and what is wrong.
 * Texts of the log itself must be given through {@link shown}.
 */
export function logError(log: string, byte: number, field: string, what: string): SurfacedError {
  return new SurfacedError('E_ATTEST_LOG', `${log}, byte ${byte}, ${field}: ${what}`);
}

/**
 * Untrusted text in a form that is safe on a terminal, in a log line and in a page's source: printable ASCII as it
 * is, everything else as \u escapes, cut behind `mostCharacters`.
 */
export function shown(text: string, mostCharacters = 80): string {
  const cut = text.slice(0, mostCharacters);
  const safe = cut.replaceAll(/[^ -[\]-~]/g, (unit) =>
    unit === '\\' ? '\\\\' : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length > mostCharacters ? `${safe}...` : safe;
}

/** Whether two byte strings are the same. Nothing here is secret: the time it takes may tell. */
export const isSameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && Buffer.compare(one, other) === 0;

/** Whether every byte has this value; true for no bytes. */
export const isFilledWith = (bytes: Uint8Array, value: number): boolean =>
  bytes.every((byte) => byte === value);

/** The same bytes with Node's methods, without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * Bytes that begin at `from`, not more than `mostBytes` with what came before them.
 * @throws SurfacedError E_ATTEST_LOG
 */
export function boundedLog(log: string, bytes: Uint8Array, from: LogPosition, mostBytes: number): Buffer {
  const total = from.bytes + bytes.length;
  if (total > mostBytes) throw logError(log, from.bytes, 'size', `${total} bytes, at most ${mostBytes}`);
  return asBuffer(bytes);
}
