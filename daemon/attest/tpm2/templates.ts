/** Templates of keys (TCG EK Credential Profile 2.5, annex B; TPM 2.0 Provisioning Guidance, section 7.5). */
import { algorithm, curve } from './algorithms.ts';
import type { ObjectAttribute } from './attributes.ts';
import type { EccPublic, KeyedHashPublic, RsaPublic, Symmetric } from './structures/public.ts';

const nothing = new Uint8Array(0);
const aes = (keyBits: number): Symmetric => ({ algorithm: algorithm.aes, keyBits, mode: algorithm.cfb });

/** PolicySecret of the endorsement hierarchy, which its owner can always give (profile, annex B.6.2: PolicyA). */
export const policyA = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');
/** PolicyAuthorizeNV, the other branch of PolicyB for SHA-256 (profile, annex B.6.4: PolicyC). */
export const policyC = Buffer.from('3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde', 'hex');
/** PolicyA or PolicyC (profile, annex B.6.3). */
export const policyB = Buffer.from('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0', 'hex');

const storage: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'restricted',
  'decrypt',
];
const ekAttributes = new Set<ObjectAttribute>([...storage, 'adminWithPolicy']);
const highEkAttributes = new Set<ObjectAttribute>([...ekAttributes, 'userWithAuth']);
const srkAttributes = new Set<ObjectAttribute>([...storage, 'userWithAuth', 'noDA']);
const akAttributes = new Set<ObjectAttribute>([
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'noDA',
  'restricted',
  'sign',
]);

const rsa = (
  common: Pick<RsaPublic, 'attributes' | 'authPolicy' | 'symmetric' | 'scheme'>,
  uniqueBytes: number,
): RsaPublic => ({
  type: algorithm.rsa,
  nameAlg: algorithm.sha256,
  ...common,
  keyBits: 2048,
  exponent: 0,
  modulus: new Uint8Array(uniqueBytes),
});

const ecc = (
  common: Pick<EccPublic, 'attributes' | 'authPolicy' | 'symmetric' | 'scheme'>,
  uniqueBytes: number,
): EccPublic => ({
  type: algorithm.ecc,
  nameAlg: algorithm.sha256,
  ...common,
  curve: curve.p256,
  kdf: null,
  x: new Uint8Array(uniqueBytes),
  y: new Uint8Array(uniqueBytes),
});

const lowEk = { attributes: ekAttributes, authPolicy: policyA, symmetric: aes(128), scheme: null };
const highEk = { attributes: highEkAttributes, authPolicy: policyB, symmetric: aes(128), scheme: null };
const srk = { attributes: srkAttributes, authPolicy: nothing, symmetric: aes(128), scheme: null };

/** Endorsement key of the low range, template L-1. */
export const ekRsa2048: RsaPublic = rsa(lowEk, 256);
/** Endorsement key of the low range, template L-2. */
export const ekEccP256: EccPublic = ecc(lowEk, 32);
/** Endorsement key of the high range, template H-1: `unique` is empty. */
export const ekRsa2048High: RsaPublic = rsa(highEk, 0);
/** Endorsement key of the high range, template H-2. */
export const ekEccP256High: EccPublic = ecc(highEk, 0);
/** Storage root key. */
export const srkRsa2048: RsaPublic = rsa(srk, 256);
/** Storage root key. */
export const srkEccP256: EccPublic = ecc(srk, 32);

/**
 * Attestation key: restricted, signs what the TPM made only; without dictionary-attack protection, so that power cuts
 * never lock it (a primary of the endorsement hierarchy: the same at every start, nothing has to be kept).
 */
export const akEccP256: EccPublic = ecc(
  {
    attributes: akAttributes,
    authPolicy: nothing,
    symmetric: null,
    scheme: { algorithm: algorithm.ecdsa, hash: algorithm.sha256 },
  },
  0,
);
/** The same as an RSA key, for TPMs without elliptic curves. */
export const akRsa2048: RsaPublic = rsa(
  {
    attributes: akAttributes,
    authPolicy: nothing,
    symmetric: null,
    scheme: { algorithm: algorithm.rsassa, hash: algorithm.sha256 },
  },
  0,
);

/** Sealed data; with a policy only the policy opens it, without one its authorization value does. */
export const sealed = (authPolicy: Uint8Array | null): KeyedHashPublic => ({
  type: algorithm.keyedHash,
  nameAlg: algorithm.sha256,
  attributes: new Set<ObjectAttribute>(
    authPolicy === null
      ? ['fixedTPM', 'fixedParent', 'userWithAuth', 'noDA']
      : ['fixedTPM', 'fixedParent', 'noDA'],
  ),
  authPolicy: authPolicy ?? nothing,
  scheme: null,
  unique: nothing,
});
