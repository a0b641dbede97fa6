/** Public areas as keys of node:crypto and back, and secrets that only the holder of such a key can read. */
import {
  constants,
  createECDH,
  createPublicKey,
  type ECDH,
  type JsonWebKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { algorithm, curve, type HashName, hashOf } from './algorithms.ts';
import { buffer, encode, struct, u32 } from './codec.ts';
import { kdfe } from './kdf.ts';
import type { EccPublic, Public, RsaPublic } from './structures/public.ts';
import { TpmFormatError } from './wire.ts';

const curves = new Map<number, { readonly jwk: string; readonly openssl: string; readonly bytes: number }>([
  [curve.p256, { jwk: 'P-256', openssl: 'prime256v1', bytes: 32 }],
  [curve.p384, { jwk: 'P-384', openssl: 'secp384r1', bytes: 48 }],
  [curve.p521, { jwk: 'P-521', openssl: 'secp521r1', bytes: 66 }],
]);

/** @throws TpmFormatError */
function curveOf(id: number) {
  const found = curves.get(id);
  if (found === undefined) throw new TpmFormatError(`curve 0x${id.toString(16)} is not known`);
  return found;
}

/**
 * Bytes of a coordinate of an ECC key.
 * @throws TpmFormatError when its curve is not known here
 */
export const coordinateBytes = (area: EccPublic): number => curveOf(area.curve).bytes;

/** Left-padded to `bytes`: TPMs may drop leading zeros of integers. */
function padded(value: Uint8Array, bytes: number): Buffer {
  if (value.length > bytes)
    throw new TpmFormatError(`an integer of ${value.length} bytes, at most ${bytes} fit`);
  return Buffer.concat([Buffer.alloc(bytes - value.length), value]);
}

function exponentBytes({ exponent }: RsaPublic): Buffer {
  const bytes = encode(u32, exponent === 0 ? 65_537 : exponent);
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0));
}

function jwkOf(area: RsaPublic | EccPublic): JsonWebKey {
  if (area.type === algorithm.rsa)
    return {
      kty: 'RSA',
      n: Buffer.from(area.modulus).toString('base64url'),
      e: exponentBytes(area).toString('base64url'),
    };
  const { jwk, bytes } = curveOf(area.curve);
  return {
    kty: 'EC',
    crv: jwk,
    x: padded(area.x, bytes).toString('base64url'),
    y: padded(area.y, bytes).toString('base64url'),
  };
}

/** Keys by their areas: OpenSSL checks each point that it imports, and who judges a key asks for it several times. */
const imported = new WeakMap<Public, KeyObject>();

/**
 * The key of an RSA or ECC object.
 * @throws TpmFormatError when it is another object, or no key at all (a point off its curve)
 */
export function publicKeyOf(area: Public): KeyObject {
  if (area.type !== algorithm.rsa && area.type !== algorithm.ecc)
    throw new TpmFormatError('the object is no asymmetric key');
  try {
    const key = imported.get(area) ?? createPublicKey({ key: jwkOf(area), format: 'jwk' });
    imported.set(area, key);
    return key;
  } catch (problem) {
    if (problem instanceof TpmFormatError) throw problem;
    throw new TpmFormatError('the object holds no valid public key', { cause: problem });
  }
}

/** TPMS_ECC_POINT. */
const point = struct({
  x: buffer('TPM2B_ECC_PARAMETER', 66),
  y: buffer('TPM2B_ECC_PARAMETER', 66),
});

/**
 * A new secret, and the same encrypted to a key, as salts and credentials need it (TPM 2.0 Part 1, annexes B.10 and C.6).
 * `label` is without its terminating zero. For tests the randomness can be given: the secret of RSA keys, the ephemeral
 * private key of ECC keys.
 * @throws TpmFormatError when the key cannot receive secrets
 */
export function encapsulate(
  area: Public,
  label: string,
  random: (bytes: number) => Uint8Array = randomBytes,
): { readonly secret: Buffer; readonly encrypted: Buffer } {
  if (area.type === algorithm.rsa) {
    const { name, size } = hashOf(oaepHashOf(area));
    const secret = Buffer.from(random(size));
    return { secret, encrypted: encryptOaep(publicKeyOf(area), name, label, secret) };
  }
  if (area.type !== algorithm.ecc) throw new TpmFormatError('the object is no asymmetric key');
  const { openssl, bytes } = curveOf(area.curve);
  publicKeyOf(area); // Refuses a point that is not on the curve.
  const ephemeral = createECDH(openssl);
  takePrivate(ephemeral, random, bytes);
  const [x, y] = [padded(area.x, bytes), padded(area.y, bytes)];
  const z = padded(ephemeral.computeSecret(Buffer.concat([Buffer.from([4]), x, y])), bytes);
  const own = ephemeral.getPublicKey();
  const ownX = own.subarray(1, 1 + bytes);
  const { size } = hashOf(area.nameAlg);
  const secret = kdfe({ hash: area.nameAlg, z, label, partyU: ownX, partyV: x, bits: size * 8 });
  return { secret, encrypted: encode(point, { x: ownX, y: own.subarray(1 + bytes) }) };
}

/** That of the key's own scheme, which storage keys do not have; else nameAlg (Part 1, annex B.4). */
const oaepHashOf = ({ scheme, nameAlg }: RsaPublic): number =>
  scheme?.algorithm === algorithm.oaep && scheme.hash !== null ? scheme.hash : nameAlg;

/** @throws TpmFormatError when the key cannot encrypt: its modulus is too short or even */
function encryptOaep(key: KeyObject, oaepHash: HashName, label: string, secret: Uint8Array): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  try {
    return publicEncrypt({ key, padding, oaepHash, oaepLabel: Buffer.from(`${label}\0`) }, secret);
  } catch (problem) {
    throw new TpmFormatError('the object holds no RSA key that secrets can be encrypted to', {
      cause: problem,
    });
  }
}

function takePrivate(ephemeral: ECDH, random: (bytes: number) => Uint8Array, bytes: number): void {
  if (random === randomBytes) ephemeral.generateKeys();
  else ephemeral.setPrivateKey(random(bytes));
}
