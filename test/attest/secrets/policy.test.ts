import { createHash, generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { approve, isApproved, policyOf } from '../../../daemon/attest/secrets/policy.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const values = { 8: 'ab'.repeat(32), 14: 'cd'.repeat(32) };
const H = (...parts: readonly (string | Uint8Array)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(typeof part === 'string' ? Buffer.from(part, 'hex') : part);
  return hash.digest();
};
const zeros = Buffer.alloc(32);
const id = Buffer.alloc(16, 5);
const ref = Buffer.concat([Buffer.from('surfaced/secret/'), id]);
/** Part 3, section 23.7: PCR 8 and 14 are bits of the second byte. */
const pcrs = H(zeros, '0000017f', '00000001000b03004100', H(values[8], values[14]));

t.test('the digest of the policy, as the specification has it', async (t) => {
  t.same(policyOf({ id, values, updateKey: null }), pcrs);
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const point = [x, y].map((part) => `0020${Buffer.from(part, 'base64url').toString('hex')}`).join('');
  // TPMT_PUBLIC: ECC, SHA-256, sign and userWithAuth, no policy, no cipher, ECDSA with SHA-256, P-256, no KDF.
  t.equal(ref.length, 32, 'any TPM takes it');
  const name = Buffer.concat([
    Buffer.from('000b', 'hex'),
    H(`0023000b00040040000000100018000b00030010${point}`),
  ]);
  const authorize = H(H(zeros, '0000016a', name), ref);
  t.same(
    policyOf({ id, values, updateKey: publicKey }),
    H(zeros, '00000171', pcrs, authorize),
    'one of two, no more',
  );
});

t.test('an approval is a signature over the policy of the values, and for one secret alone', async (t) => {
  const signature = approve({ id, values }, privateKey);
  t.equal(signature.length, 64);
  t.equal(isApproved({ id, values }, signature, publicKey), true);
  t.equal(isApproved({ id: Buffer.alloc(16, 6), values }, signature, publicKey), false);
  t.equal(isApproved({ id, values: { ...values, 14: values[8] } }, signature, publicKey), false);
  t.equal(isApproved({ id, values: { 14: values[14] } }, signature, publicKey), false);
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  t.equal(isApproved({ id, values }, signature, other.publicKey), false);
  const { verify } = await import('node:crypto');
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  t.equal(verify('sha256', Buffer.concat([pcrs, ref]), key, signature), true);
});
