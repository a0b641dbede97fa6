import { constants, createECDH, generateKeyPairSync, privateDecrypt, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { algorithm, curve } from '../../../daemon/attest/tpm2/algorithms.ts';
import { decode } from '../../../daemon/attest/tpm2/codec.ts';
import { encapsulate, publicKeyOf } from '../../../daemon/attest/tpm2/crypto-keys.ts';
import { kdfe } from '../../../daemon/attest/tpm2/kdf.ts';
import { type EccPublic, publicArea, type RsaPublic } from '../../../daemon/attest/tpm2/structures/public.ts';
import { signature } from '../../../daemon/attest/tpm2/structures/signature.ts';
import { ekEccP256, ekRsa2048, sealed } from '../../../daemon/attest/tpm2/templates.ts';
import { TpmFormatError } from '../../../daemon/attest/tpm2/wire.ts';
import { publics } from './arbitraries.ts';
import { vector } from './vectors.ts';

t.test('keys of a TPM verify what it signed', async (t) => {
  for (const [log, group] of [
    ['e2', 'quote_ecc'],
    ['e2', 'quote_rsa_2bank'],
    ['e2', 'certify_creation'],
    ['e8', 'nv_certify'],
    ['e8', 'certify_key'],
  ] as const) {
    const values = vector(log, group);
    const key = publicKeyOf(decode('it', publicArea, values('akPub')));
    const signed = decode('it', signature, values('signature'));
    const bytes =
      signed.algorithm === algorithm.ecdsa
        ? Buffer.concat([signed.r, signed.s])
        : Buffer.from(signed.signature);
    const check = (data: Buffer) => verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, bytes);
    t.equal(check(values('attest')), true, group);
    t.equal(check(Buffer.concat([values('attest'), Buffer.of(0)])), false, group);
  }
});

t.test('exponents and coordinates as node:crypto wants them', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 });
  const modulus = Buffer.from(rsa.publicKey.export({ format: 'jwk' }).n!, 'base64url');
  const small = publicKeyOf({ ...ekRsa2048, modulus, exponent: 3 });
  t.ok(verify('sha256', Buffer.from('it'), small, sign('sha256', Buffer.from('it'), rsa.privateKey)));
  t.equal(publicKeyOf({ ...ekRsa2048, modulus, exponent: 0 }).asymmetricKeyDetails?.publicExponent, 65_537n);

  // A TPM may drop leading zeros of a coordinate.
  const short = pointWhere(({ x }) => x[0] === 0);
  const key = publicKeyOf({ ...ekEccP256, ...short, x: short.x.subarray(1) });
  t.ok(key.equals(publicKeyOf({ ...ekEccP256, ...short })));
});

/** A key of P-256 whose point has this. */
function pointWhere(isWanted: (point: { x: Buffer; y: Buffer }) => boolean): { x: Buffer; y: Buffer } {
  const pair = createECDH('prime256v1');
  for (let number = 1; ; number++) {
    const d = Buffer.alloc(32);
    d.writeUInt32BE(number, 28);
    pair.setPrivateKey(d);
    const bytes = pair.getPublicKey();
    const point = { x: bytes.subarray(1, 33), y: bytes.subarray(33) };
    if (isWanted(point)) return point;
  }
}

t.test('the key of an area is imported once', async (t) => {
  const area = { ...ekEccP256, ...pointWhere(() => true) };
  t.equal(publicKeyOf(area), publicKeyOf(area));
  t.not(publicKeyOf({ ...area }), publicKeyOf(area));
});

t.test('what is no key', async (t) => {
  const point = pointWhere(() => true);
  t.throws(() => publicKeyOf(sealed(null)), TpmFormatError);
  t.throws(() => publicKeyOf({ ...ekEccP256, ...point, x: point.y }), TpmFormatError, 'off the curve');
  t.throws(() => publicKeyOf({ ...ekEccP256, ...point, curve: 0x10 }), TpmFormatError, 'another curve');
  t.throws(
    () => publicKeyOf({ ...ekEccP256, ...point, x: Buffer.concat([Buffer.of(0), point.x]) }),
    TpmFormatError,
    'longer than the curve',
  );
});

t.test('a secret for an RSA key: OAEP with a label that ends with a zero', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url');
  const { secret, encrypted } = encapsulate({ ...ekRsa2048, modulus }, 'SECRET');
  t.equal(secret.length, 32);
  const open = (label: string) =>
    privateDecrypt(
      {
        key: privateKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
        oaepLabel: Buffer.from(label),
      },
      encrypted,
    );
  t.same(open('SECRET\0'), secret);
  t.throws(() => open('SECRET'));
});

t.test('a secret for an RSA key with an OAEP scheme of its own: in its hash', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url');
  const scheme = { algorithm: algorithm.oaep, hash: algorithm.sha384 };
  const { secret, encrypted } = encapsulate({ ...ekRsa2048, modulus, scheme }, 'SECRET');
  t.equal(secret.length, 48);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const oaepLabel = Buffer.from('SECRET\0');
  t.same(privateDecrypt({ key: privateKey, padding, oaepHash: 'sha384', oaepLabel }, encrypted), secret);
});

t.test('a secret for an ECC key: the holder of the private key comes to the same', async (t) => {
  for (const [id, name, bytes] of [
    [curve.p256, 'prime256v1', 32],
    [curve.p384, 'secp384r1', 48],
    [curve.p521, 'secp521r1', 66],
  ] as const) {
    const pair = createECDH(name);
    const own = pair.generateKeys();
    const [x, y] = [own.subarray(1, 1 + bytes), own.subarray(1 + bytes)];
    const key: EccPublic = { ...ekEccP256, nameAlg: algorithm.sha384, curve: id, x, y };
    const { secret, encrypted } = encapsulate(key, 'SECRET');
    t.equal(encrypted.length, 2 * (bytes + 2));
    const partyU = encrypted.subarray(2, 2 + bytes);
    const theirs = Buffer.concat([Buffer.of(4), partyU, encrypted.subarray(4 + bytes)]);
    const z = pair.computeSecret(theirs);
    const parts = { hash: algorithm.sha384, label: 'SECRET', partyU, partyV: x, bits: 384 };
    t.same(kdfe({ ...parts, z: Buffer.concat([Buffer.alloc(bytes - z.length), z]) }), secret, name);
  }
});

t.test('a salt that a TPM took', async (t) => {
  const values = vector('e3', 'salted_session');
  const key = decode('it', publicArea, values('srkPub'));
  const { secret, encrypted } = encapsulate(key, 'SECRET', () => values('ephPriv'));
  t.same(secret, values('salt'));
  t.same(encrypted, values('encSalt'));
});

t.test('public areas that anybody sent: a key, or one error', async () => {
  const isHandled = (work: () => unknown) => {
    try {
      work();
    } catch (problem) {
      if (!(problem instanceof TpmFormatError)) throw problem;
    }
    return true;
  };
  fc.assert(
    fc.property(
      publics,
      (area) => isHandled(() => publicKeyOf(area)) && isHandled(() => encapsulate(area, 'IDENTITY')),
    ),
    { numRuns: 200 },
  );
});

t.test('RSA moduli that are none', async (t) => {
  const wrong: Readonly<Record<string, Partial<RsaPublic>>> = {
    empty: { modulus: Buffer.alloc(0) },
    zero: { modulus: Buffer.alloc(256) },
    one: { modulus: Buffer.of(1) },
    'too short for the padding': { modulus: Buffer.alloc(32, 0xff) },
    even: { modulus: Buffer.alloc(256, 0xfe) },
  };
  for (const [name, change] of Object.entries(wrong))
    t.throws(() => encapsulate({ ...ekRsa2048, ...change }, 'IDENTITY'), TpmFormatError, name);
});
