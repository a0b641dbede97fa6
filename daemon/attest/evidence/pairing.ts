/**
 * The code that a person compares between a panel and the gateway before they approve a surface.
 *
 * It is short, so it must not be possible to look for a TPM that has the same one. The gateway chooses the salt when it
 * first sees an endorsement key, and keeps it: whoever tries keys has one guess for each that they show to the gateway.
 */
import { createHash } from 'node:crypto';

/** Bytes of the salt. */
export const pairingSaltBytes = 16;

/**
 * Eight decimal digits in two groups, e.g. `4821-9037`; the same on both ends.
 * @param ekSha256 hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo: the surface takes its own
 * @param caPin of the gateway that the surface talks to
 */
export function pairingCode(salt: Uint8Array, ekSha256: string, caPin: string): string {
  if (salt.length !== pairingSaltBytes) throw new RangeError(`a salt of ${salt.length} bytes`);
  // Else Buffer.from would take what it can read of it, and many keys would have the same code.
  if (!/^[0-9a-f]{64}$/.test(ekSha256))
    throw new RangeError('the hash of an endorsement key is 64 hex digits');
  const digest = createHash('sha256')
    .update('surfaced/pairing/v1\0')
    .update(salt)
    .update(Buffer.from(ekSha256, 'hex'))
    .update(caPin)
    .digest();
  const digits = (digest.readBigUInt64BE(0) % 100_000_000n).toString().padStart(8, '0');
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}
