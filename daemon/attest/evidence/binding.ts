/**
 * What a quote is bound to: `extraData` is one SHA-256 over the gateway's nonce, the key of the wanted certificate, the
 * TLS connection, the activated secret and the logs that come with it. Evidence that was made for anything else fails.
 */
import { createHash } from 'node:crypto';
import type { LogPosition } from '../logs/log.ts';
import { type LogName, type LogParts, logNames } from './evidence.ts';

/** Changes with the meaning of any of the fields below. */
const label = Buffer.from('surfaced/attest/v1\0', 'latin1');

/** A log as the signed digest covers it. */
export interface LogDigest {
  readonly from: LogPosition;
  readonly length: number;
  /** 32 bytes. */
  readonly sha256: Uint8Array;
}
export type LogDigests = Readonly<Record<LogName, LogDigest | null>>;

/** Everything that a quote is for. */
export interface Binding {
  /** 32 bytes, from the gateway. */
  readonly nonce: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo that the certificate is wanted for. */
  readonly keySha256: Uint8Array;
  /** 32 bytes of the TLS exporter EXPORTER-Channel-Binding, without context (RFC 9266). */
  readonly channel: Uint8Array;
  /** What the credential held; null: none was asked for. */
  readonly secret: Uint8Array | null;
  readonly logs: LogDigests;
}

/** RFC 9266: the label of the exporter, and how many bytes are taken. */
export const channelBinding = { label: 'EXPORTER-Channel-Binding', bytes: 32 } as const;

/** Digests of the logs that are sent. */
export function logDigests(logs: LogParts): LogDigests {
  const digest = (name: LogName): LogDigest | null => {
    const part = logs[name];
    return part && { from: part.from, length: part.bytes.length, sha256: sha256(part.bytes) };
  };
  return {
    firmware: digest('firmware'),
    ima: digest('ima'),
    measured: digest('measured'),
    systemd: digest('systemd'),
  };
}

/**
 * The 32 bytes for `qualifyingData` of TPM2_Quote. Every field has a fixed length, so that no two bindings are written
 * alike.
 */
export function qualifyingData(binding: Binding): Buffer {
  const { nonce, keySha256, channel, secret, logs } = binding;
  const hash = createHash('sha256').update(label);
  for (const field of [nonce, keySha256, channel]) {
    if (field.length !== 32) throw new RangeError(`32 bytes are bound, not ${field.length}`);
    hash.update(field);
  }
  hash.update(sha256(secret ?? Buffer.alloc(0)));
  for (const name of logNames) hash.update(encoded(logs[name]));
  return hash.digest();
}

/** Presence, first byte, first record and length as 64-bit numbers, SHA-256; all zero for a log that is not there. */
function encoded(log: LogDigest | null): Buffer {
  const bytes = Buffer.alloc(57);
  if (log === null) return bytes;
  bytes.writeUInt8(1, 0);
  bytes.writeBigUInt64BE(BigInt(log.from.bytes), 1);
  bytes.writeBigUInt64BE(BigInt(log.from.records), 9);
  bytes.writeBigUInt64BE(BigInt(log.length), 17);
  bytes.set(log.sha256, 25);
  return bytes;
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
