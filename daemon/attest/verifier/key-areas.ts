/**
 * What the public area of a key must say, so that the TPM's own rules make it what it claims to be (TPM 2.0 Part 1,
 * section 25; Part 2, section 8.3; TCG EK Credential Profile, annex B).
 */
import {
  algorithm,
  curve,
  type EccPublic,
  isHash,
  type ObjectAttribute,
  type Public,
  publicKeyOf,
  type RsaPublic,
} from '../tpm2/index.ts';

/** Made in this TPM, by this TPM, never to leave it. */
const bound: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted'];
/** Sizes of RSA keys in the templates, bits. */
const rsaBits: readonly number[] = [2048, 3072, 4096];
const curves: readonly number[] = [curve.p256, curve.p384];
const signingSchemes: readonly number[] = [algorithm.rsassa, algorithm.rsapss, algorithm.ecdsa];

/** Whether this is SHA-256, SHA-384 or SHA-512. SHA-1 is not good enough to name or to sign anything. */
export const isStrongHash = (id: number): boolean => isHash(id) && id !== algorithm.sha1;

/**
 * What is wrong with the area of an endorsement key, naming the field; null: nothing. A key without fault can be given
 * to `makeCredential`, which throws for others.
 */
export function endorsementKeyFault(area: Public): string | null {
  const common = asymmetricFault(area) ?? attributeFault(area, [...bound, 'decrypt'], 'sign');
  if (common !== null) return common;
  const { nameAlg, scheme, symmetric } = area as RsaPublic | EccPublic;
  if (nameAlg !== algorithm.sha256 && nameAlg !== algorithm.sha384)
    return `nameAlg: ${hex(nameAlg)}, not SHA-256 or SHA-384`;
  if (scheme !== null) return 'scheme: a storage key has none';
  if (symmetric === null) return 'symmetric: missing, so that it can receive no credential';
  if (symmetric.mode !== algorithm.cfb || ![128, 256].includes(symmetric.keyBits))
    return `symmetric: AES-${symmetric.keyBits} with mode ${hex(symmetric.mode)}, not AES-128 or AES-256 with CFB`;
  return null;
}

/** What is wrong with the area of an attestation key, naming the field; null: nothing. */
export function attestationKeyFault(area: Public): string | null {
  const common = asymmetricFault(area) ?? attributeFault(area, [...bound, 'sign'], 'decrypt');
  if (common !== null) return common;
  const { type, nameAlg, scheme, symmetric } = area as RsaPublic | EccPublic;
  if (!isStrongHash(nameAlg)) return `nameAlg: ${hex(nameAlg)}, not SHA-256 or better`;
  if (symmetric !== null) return 'symmetric: a signing key has none';
  const isEcdsa = scheme?.algorithm === algorithm.ecdsa;
  if (!signingSchemes.includes(scheme?.algorithm ?? 0) || isEcdsa !== (type === algorithm.ecc))
    return `scheme: ${hex(scheme?.algorithm ?? algorithm.null)}, not one that this kind of key signs with`;
  if (!isStrongHash(scheme?.hash ?? 0))
    return `scheme: signs with hash ${hex(scheme?.hash ?? algorithm.null)}, not with SHA-256 or better`;
  return null;
}

/** The kind, size and form of the key. Others than those of the templates are not needed, and some would be weak. */
function asymmetricFault(area: Public): string | null {
  if (area.type === algorithm.ecc) {
    if (!curves.includes(area.curve)) return `curve: ${hex(area.curve)}, not P-256 or P-384`;
    if (area.kdf !== null) return `kdf: ${hex(area.kdf.algorithm)}, where the templates have none`;
    // Throws TpmFormatError for a point that is not on the curve.
    publicKeyOf(area);
    return null;
  }
  if (area.type !== algorithm.rsa) return `type: ${hex(area.type)}, not RSA or ECC`;
  const { keyBits, exponent, modulus } = area;
  if (!rsaBits.includes(keyBits)) return `keyBits: ${keyBits}, not ${rsaBits.join(', ')}`;
  if (exponent !== 0 && exponent !== 65_537) return `exponent: ${exponent}, not 65537`;
  const isFull = modulus.length * 8 === keyBits && (modulus[0] ?? 0) >= 0x80;
  if (!isFull || (modulus.at(-1) ?? 0) % 2 === 0) return `modulus: not an odd number of ${keyBits} bits`;
  publicKeyOf(area);
  return null;
}

function attributeFault(
  { attributes }: Public,
  needed: readonly ObjectAttribute[],
  forbidden: ObjectAttribute,
): string | null {
  const missing = needed.filter((name) => !attributes.has(name));
  if (missing.length > 0) return `attributes: ${missing.join(', ')} not set`;
  return attributes.has(forbidden) ? `attributes: ${forbidden} is set` : null;
}

const hex = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;
