/** Algorithm identifiers (TCG Algorithm Registry, section 6.4; TPM 2.0 Part 2, section 6.3), and what Node calls them. */
import { createHash } from 'node:crypto';
import { TpmFormatError } from './wire.ts';

/** TPM_ALG_ID. */
export const algorithm = {
  rsa: 0x0001,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  keyedHash: 0x0008,
  xor: 0x000a,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  kdf1Sp800Part108: 0x0022,
  ecc: 0x0023,
  symCipher: 0x0025,
  cfb: 0x0043,
} as const;

/** TPM_ECC_CURVE (Part 2, section 6.4). */
export const curve = { p256: 0x0003, p384: 0x0004, p521: 0x0005 } as const;

/** A hash algorithm, as Node names it. */
export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

const hashes = new Map<number, { readonly name: HashName; readonly size: number }>([
  [algorithm.sha1, { name: 'sha1', size: 20 }],
  [algorithm.sha256, { name: 'sha256', size: 32 }],
  [algorithm.sha384, { name: 'sha384', size: 48 }],
  [algorithm.sha512, { name: 'sha512', size: 64 }],
]);

/** Bytes of the largest digest that is known here. */
export const mostDigestBytes = 64;

/** Whether this is a hash algorithm that is known here. */
export const isHash = (id: number): boolean => hashes.has(id);

/** @throws TpmFormatError when it is no hash that is known here */
export function hashOf(id: number): { readonly name: HashName; readonly size: number } {
  const found = hashes.get(id);
  if (found === undefined) throw new TpmFormatError(`algorithm 0x${id.toString(16)} is not a known hash`);
  return found;
}

/**
 * The digest of all parts one after the other.
 * @throws TpmFormatError when the algorithm is no hash that is known here
 */
export function digest(id: number, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash(hashOf(id).name);
  for (const part of parts) hash.update(part);
  return hash.digest();
}
