/**
 * Which endorsement keys there are, where their certificates lie in NV memory, and what opens them (TCG EK Credential
 * Profile 2.5, section 2.2.1 and annex B).
 */
import {
  algorithm,
  curve,
  type EccPublic,
  ekEccP256,
  ekEccP256High,
  ekRsa2048,
  ekRsa2048High,
  handle,
  type PolicyStep,
  type Public,
  permanent,
  policyC as policyCSha256,
  policyDigest,
  type RsaPublic,
} from '../tpm2/index.ts';

/** One kind of endorsement key. */
export interface EkKind {
  /** For the log. */
  readonly name: string;
  /** NV index of its certificate. */
  readonly certificate: number;
  /** NV index of what its `unique` begins with; null: the high range has none. */
  readonly nonce: number | null;
  /** NV index of the template that counts instead of `template`. */
  readonly templateIndex: number;
  readonly template: Public;
}

/** PolicyC for SHA-384: with PolicyA of that hash it gives the profile's PolicyB. */
const policyCSha384 = Buffer.from(
  'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
  'hex',
);
const policiesC: ReadonlyMap<number, Buffer> = new Map([
  [algorithm.sha256, policyCSha256],
  [algorithm.sha384, policyCSha384],
]);

/** PolicyA: whoever may use the endorsement hierarchy. */
const stepsA: readonly PolicyStep[] = [{ kind: 'secret', entity: permanent(handle.endorsement) }];

/** PolicyB: PolicyA, or PolicyC, which is an NV index of the owner's. */
function stepsB(hash: number): readonly PolicyStep[] | null {
  const policyC = policiesC.get(hash);
  if (policyC === undefined) return null;
  return [...stepsA, { kind: 'or', digests: [policyDigest(hash, stepsA), policyC] }];
}

/** How to satisfy the policy of an endorsement key; null: it is neither PolicyA nor PolicyB. */
export function ekPolicy({ nameAlg, authPolicy }: Public): readonly PolicyStep[] | null {
  if (!policiesC.has(nameAlg)) return null;
  const known = [stepsA, stepsB(nameAlg)];
  return (
    known.find((steps) => steps !== null && Buffer.compare(policyDigest(nameAlg, steps), authPolicy) === 0) ??
    null
  );
}

const strong = {
  nameAlg: algorithm.sha384,
  authPolicy: policyDigest(algorithm.sha384, stepsB(algorithm.sha384) ?? []),
  symmetric: { algorithm: algorithm.aes, keyBits: 256, mode: algorithm.cfb },
};
/** Template H-3. */
const ekEccP384: EccPublic = { ...ekEccP256High, ...strong, curve: curve.p384 };
/** Template H-6. */
const ekRsa3072: RsaPublic = { ...ekRsa2048High, ...strong, keyBits: 3072 };
/** Template H-7. */
const ekRsa4096: RsaPublic = { ...ekRsa2048High, ...strong, keyBits: 4096 };

const low = (name: string, certificate: number, template: Public): EkKind => ({
  name,
  certificate,
  nonce: certificate + 1,
  templateIndex: certificate + 2,
  template,
});
const high = (name: string, certificate: number, template: Public): EkKind => ({
  name,
  certificate,
  nonce: null,
  templateIndex: certificate + 1,
  template,
});

const lowEcc = low('ECC P-256, low range', 0x01c0000a, ekEccP256);
const lowRsa = low('RSA 2048, low range', 0x01c00002, ekRsa2048);

/** All of them; the first whose certificate is there and fits is the TPM's identity. */
export const ekKinds: readonly EkKind[] = [
  lowEcc,
  lowRsa,
  high('ECC P-256, high range', 0x01c00014, ekEccP256High),
  high('RSA 2048, high range', 0x01c00012, ekRsa2048High),
  high('ECC P-384, high range', 0x01c00016, ekEccP384),
  high('RSA 3072, high range', 0x01c0001c, ekRsa3072),
  high('RSA 4096, high range', 0x01c0001e, ekRsa4096),
];

/** What is made where no certificate is: the second only by a TPM that has no elliptic curves. */
export const ekKindsWithoutCertificate: readonly EkKind[] = [lowEcc, lowRsa];

/** Where platforms keep endorsement keys that take long to make (TPM 2.0 Provisioning Guidance, section 7.8). */
export const persistentEkHandles: readonly number[] = [0x81010001, 0x81010002];

/** NV indices of the chain that leads from the certificates to a root: one after the other, as one run of DER. */
export const chainIndices = { first: 0x01c00100, last: 0x01c001ff } as const;
