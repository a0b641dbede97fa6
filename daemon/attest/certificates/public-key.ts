/** Keys of certificates and of TPMs in one form, so that a pin names a key wherever it comes from. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { type Public, publicKeyOf } from '../tpm2/index.ts';
import { certificateError, DerReader, oidOf, tag } from './der.ts';

/** rsaEncryption, id-RSAES-OAEP and id-RSASSA-PSS (RFC 8017, RFC 4055): the same key, said to be for different uses. */
const rsaAlgorithms: readonly string[] = [
  '1.2.840.113549.1.1.1',
  '1.2.840.113549.1.1.7',
  '1.2.840.113549.1.1.10',
];
const ecAlgorithm = '1.2.840.10045.2.1';
/** P-256, P-384, P-521: parameters that are spelt out instead of named could hide another generator. */
const curves: readonly string[] = ['1.2.840.10045.3.1.7', '1.3.132.0.34', '1.3.132.0.35'];
/** Above this a signature check costs a gateway too much. */
const modulusBits = { least: 2048, most: 8192 };
/** AlgorithmIdentifier of rsaEncryption. */
const rsaEncryption = Buffer.from('300d06092a864886f70d0101010500', 'hex');

/**
 * The key of a SubjectPublicKeyInfo: RSA of 2048 to 8192 bits under any of its three algorithm names (node:crypto
 * refuses that of RSAES-OAEP, which EK certificates carry), or ECC on P-256, P-384 or P-521.
 * @throws SurfacedError E_ATTEST_CERTIFICATE when it is none of these
 */
export function readPublicKey(spki: Uint8Array): KeyObject {
  const field = 'subjectPublicKeyInfo';
  const outer = new DerReader(spki, field);
  const reader = outer.inside(field);
  outer.end();
  const algorithm = reader.take(tag.sequence, field);
  const bits = reader.take(tag.bitString, field);
  reader.end();
  const parameters = new DerReader(algorithm.content, field);
  const id = oidOf(parameters.take(tag.oid, field), field);
  if (rsaAlgorithms.includes(id)) return checkedRsa(importKey(sequence(rsaEncryption, bits.bytes)));
  if (id !== ecAlgorithm) throw certificateError(field, `keys of algorithm ${id} are not known here`);
  const curve = oidOf(parameters.take(tag.oid, `${field}, curve`), `${field}, curve`);
  parameters.end();
  if (!curves.includes(curve)) throw certificateError(field, `curve ${curve} is not known here`);
  return importKey(Buffer.from(spki));
}

/**
 * Hex of SHA-256 over the key's SubjectPublicKeyInfo in its one usual form (rsaEncryption with NULL; a named curve with
 * an uncompressed point), by which an EK is pinned and known. The same for the certificate and for the TPM's own word.
 */
export function keySha256(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** {@link keySha256} of a SubjectPublicKeyInfo. @throws SurfacedError E_ATTEST_CERTIFICATE */
export const ekSpkiSha256 = (spki: Uint8Array): string => keySha256(readPublicKey(spki));

/** {@link keySha256} of a TPM's public area. @throws TpmFormatError when it holds no RSA or ECC key */
export const ekPublicSha256 = (area: Public): string => keySha256(publicKeyOf(area));

/** Through JWK and back: whatever spelling it had, the export is the usual one. */
function importKey(der: Buffer): KeyObject {
  try {
    const key = createPublicKey({ key: der, type: 'spki', format: 'der' });
    return createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' });
  } catch (problem) {
    throw certificateError('subjectPublicKeyInfo', 'holds no valid key', { cause: problem });
  }
}

function checkedRsa(key: KeyObject): KeyObject {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  const isSized = modulusLength >= modulusBits.least && modulusLength <= modulusBits.most;
  if (isSized && publicExponent >= 3n && publicExponent % 2n === 1n && publicExponent < 2n ** 33n) return key;
  throw certificateError(
    'subjectPublicKeyInfo',
    `RSA with ${modulusLength} bits; ${modulusBits.least} to ${modulusBits.most} and an odd exponent of 3 to 2^33 are accepted`,
  );
}

/** A SEQUENCE of these elements. */
function sequence(...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag.sequence, length]), content]);
  return Buffer.concat([
    Buffer.from([tag.sequence, 0x83, length >> 16, (length >> 8) & 255, length & 255]),
    content,
  ]);
}
