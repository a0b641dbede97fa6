/** Key derivation of TPM 2.0 Part 1, sections 11.4.10.2 (KDFa) and 11.4.10.3 (KDFe). */
import { createHash, createHmac } from 'node:crypto';
import { hashOf } from './algorithms.ts';
import { encode, u32 } from './codec.ts';

/** `label` without its terminating zero, which both functions add. */
interface Derivation {
  /** Hash algorithm, TPM_ALG_ID. */
  readonly hash: number;
  readonly label: string;
  readonly bits: number;
}

/** As many blocks as give the bits; when they are no multiple of 8, the unused ones of the first byte are cleared. */
function blocks({ hash, bits }: Derivation, block: (index: Buffer) => Buffer): Buffer {
  const length = Math.ceil(bits / 8);
  const count = Math.ceil(length / hashOf(hash).size);
  const key = Buffer.concat(Array.from({ length: count }, (_, index) => block(encode(u32, index + 1))));
  if (bits % 8 !== 0) key[0] = (key[0] ?? 0) & ((1 << (bits % 8)) - 1);
  return key.subarray(0, length);
}

/** KDFa: SP 800-108 in counter mode over HMAC. */
export function kdfa(
  derivation: Derivation & {
    readonly key: Uint8Array;
    readonly contextU: Uint8Array;
    readonly contextV: Uint8Array;
  },
): Buffer {
  const { hash, key, label, contextU, contextV, bits } = derivation;
  return blocks(derivation, (index) =>
    createHmac(hashOf(hash).name, key)
      .update(index)
      .update(`${label}\0`)
      .update(contextU)
      .update(contextV)
      .update(encode(u32, bits))
      .digest(),
  );
}

/** KDFe: SP 800-56A's concatenation KDF, for a secret `z` that ECDH gave. */
export function kdfe(
  derivation: Derivation & {
    readonly z: Uint8Array;
    readonly partyU: Uint8Array;
    readonly partyV: Uint8Array;
  },
): Buffer {
  const { hash, z, label, partyU, partyV } = derivation;
  return blocks(derivation, (index) =>
    createHash(hashOf(hash).name)
      .update(index)
      .update(z)
      .update(`${label}\0`)
      .update(partyU)
      .update(partyV)
      .digest(),
  );
}
