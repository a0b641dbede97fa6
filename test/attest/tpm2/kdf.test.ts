import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { algorithm, hashOf } from '../../../daemon/attest/tpm2/algorithms.ts';
import { kdfa, kdfe } from '../../../daemon/attest/tpm2/kdf.ts';
import { vector } from './vectors.ts';

const none = Buffer.alloc(0);
const { sha256 } = algorithm;

t.test('KDFa: keys that a TPM derived too', async (t) => {
  const credential = vector('e2', 'makecred_rsa');
  const derive = (label: string, contextU: Buffer, bits: number) =>
    kdfa({ hash: sha256, key: credential('seed'), label, contextU, contextV: none, bits });
  t.same(derive('STORAGE', credential('akName'), 128), credential('symKey'));
  t.same(derive('INTEGRITY', none, 256), credential('hmacKey'));
  const session = vector('e3', 'salted_session');
  t.same(
    kdfa({
      hash: sha256,
      key: session('salt'),
      label: 'ATH',
      contextU: session('nonceTPM'),
      contextV: session('nonceCaller'),
      bits: 256,
    }),
    session('sessionKey'),
  );
});

t.test('KDFe: a seed that a TPM derived too', async (t) => {
  const credential = vector('e2', 'makecred_ecc');
  // Both points: TPMS_ECC_POINT of the secret, and the end of the public area.
  const partyU = credential('encryptedSecret').subarray(2, 34);
  const partyV = credential('ekPub').subarray(-66, -34);
  const z = credential('z');
  t.same(kdfe({ hash: sha256, z, label: 'IDENTITY', partyU, partyV, bits: 256 }), credential('seed'));
});

/** Written from Part 1, section 11.4.10, in another way: bit by bit of one long string. */
function clipped(stream: Buffer, bits: number): Buffer {
  const bytes = Buffer.from(stream.subarray(0, Math.ceil(bits / 8)));
  for (let bit = 0; bit < bytes.length * 8 - bits; bit++) bytes[0] = bytes[0]! & ~(0x80 >> bit);
  return bytes;
}

t.test('both: any number of blocks and bits, for every hash', async () => {
  const word = (value: number) => Buffer.from(value.toString(16).padStart(8, '0'), 'hex');
  const bytes = fc.uint8Array({ maxLength: 70 });
  const hashes = [algorithm.sha1, sha256, algorithm.sha384, algorithm.sha512];
  fc.assert(
    fc.property(
      fc.constantFrom(...hashes),
      fc.constantFrom('ATH', 'CFB', 'STORAGE', ''),
      bytes,
      bytes,
      bytes,
      fc.integer({ min: 1, max: 1200 }),
      (hash, label, key, first, second, bits) => {
        const { name } = hashOf(hash);
        const tail = Buffer.concat([Buffer.from(`${label}\0`), first, second]);
        const counters = Array.from({ length: 10 }, (_, index) => word(index + 1));
        const a = counters.map((i) =>
          createHmac(name, key)
            .update(Buffer.concat([i, tail, word(bits)]))
            .digest(),
        );
        const e = counters.map((i) =>
          createHash(name)
            .update(Buffer.concat([i, key, tail]))
            .digest(),
        );
        return (
          kdfa({ hash, key, label, contextU: first, contextV: second, bits }).equals(
            clipped(Buffer.concat(a), bits),
          ) &&
          kdfe({ hash, z: key, label, partyU: first, partyV: second, bits }).equals(
            clipped(Buffer.concat(e), bits),
          )
        );
      },
    ),
  );
});
