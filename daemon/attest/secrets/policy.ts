/**
 * When a sealed secret opens: while the PCRs are what they were when it was sealed, or what the holder of the update key has
 * signed since. In the words of TPM 2.0 Part 3, section 23: PolicyPCR; with an update key PolicyOR of that and of PolicyPCR
 * with PolicyAuthorize. Approving needs no TPM, and can be done before the update is there.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { SurfacedError } from '../../errors.ts';
import {
  algorithm,
  approvalOf,
  curve,
  digest,
  type EccPublic,
  type PcrSelection,
  type PolicyStep,
  policyDigest,
} from '../tpm2/index.ts';
import type { PcrValuesHex } from './sealed-file.ts';

/** Keeps approvals for secrets from being taken for anything else that the key may sign. */
const policyRef = Buffer.from('surfaced/secret/v1', 'latin1');
const hash = algorithm.sha256;

/** The PCRs of the values. */
export const selectionOf = (values: PcrValuesHex): readonly PcrSelection[] => [
  { hash, pcrs: Object.keys(values).map(Number) },
];

/** That the PCRs have these values. */
function pcrStep(values: PcrValuesHex): PolicyStep {
  const all = Object.values(values).map((value) => Buffer.from(value, 'hex'));
  return { kind: 'pcr', pcrs: selectionOf(values), digest: digest(hash, ...all) };
}

/** What a secret was sealed with. */
export interface Terms {
  /** When it was sealed. */
  readonly values: PcrValuesHex;
  readonly updateKey: KeyObject | null;
}

/** Both branches, by their digests. */
const branches = ({ values, updateKey }: Terms & { readonly updateKey: KeyObject }): PolicyStep => ({
  kind: 'or',
  digests: [
    policyDigest(hash, [pcrStep(values)]),
    policyDigest(hash, [{ kind: 'authorize', key: publicAreaOf(updateKey), policyRef, approval: null }]),
  ],
});

/** The digest for the sealed object. */
export const policyOf = ({ values, updateKey }: Terms): Buffer =>
  policyDigest(hash, [updateKey === null ? pcrStep(values) : branches({ values, updateKey })]);

/** Steps that open it with the values that it was sealed with. */
export const firstSteps = ({ values, updateKey }: Terms): readonly PolicyStep[] =>
  updateKey === null ? [pcrStep(values)] : [pcrStep(values), branches({ values, updateKey })];

/** Steps that open it with other values, which the update key has signed. */
export function approvedSteps(
  { values, updateKey }: Terms & { readonly updateKey: KeyObject },
  approved: { readonly values: PcrValuesHex; readonly signature: Uint8Array },
): readonly PolicyStep[] {
  const step = pcrStep(approved.values);
  const approval = {
    policy: policyDigest(hash, [step]),
    signature: {
      algorithm: algorithm.ecdsa,
      hash,
      r: approved.signature.subarray(0, 32),
      s: approved.signature.subarray(32),
    },
  };
  const key = publicAreaOf(updateKey);
  return [step, { kind: 'authorize', key, policyRef, approval }, branches({ values, updateKey })];
}

const signedBytes = (values: PcrValuesHex): Buffer =>
  approvalOf(policyDigest(hash, [pcrStep(values)]), policyRef);

/** Signs that these values may open: r and s, 64 bytes. */
export const approve = (values: PcrValuesHex, key: KeyObject): Buffer =>
  sign('sha256', signedBytes(values), { key, dsaEncoding: 'ieee-p1363' });

/** Whether it was signed with the key that belongs to this one. */
export const isApproved = (values: PcrValuesHex, signature: Uint8Array, key: KeyObject): boolean =>
  verify('sha256', signedBytes(values), { key, dsaEncoding: 'ieee-p1363' }, signature);

/**
 * Reads an update key: P-256, in PEM.
 * @throws SurfacedError E_USAGE when it is another key or none
 */
export function readUpdateKey(pem: string, kind: 'public' | 'private'): KeyObject {
  let key: KeyObject;
  try {
    key = kind === 'public' ? createPublicKey(pem) : createPrivateKey(pem);
  } catch (cause) {
    throw new SurfacedError('E_USAGE', `the update key is no ${kind} key in PEM`, { cause });
  }
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw new SurfacedError('E_USAGE', 'the update key is not on the curve P-256 (prime256v1)');
}

/** The same text for the same key. */
export const pemOf = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'pem' }).toString();

/** The key as the TPM takes it; the attributes are part of its Name and must stay. */
function publicAreaOf(key: KeyObject): EccPublic {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return {
    type: algorithm.ecc,
    nameAlg: hash,
    attributes: new Set(['userWithAuth', 'sign']),
    authPolicy: new Uint8Array(0),
    symmetric: null,
    scheme: { algorithm: algorithm.ecdsa, hash },
    curve: curve.p256,
    kdf: null,
    x: Buffer.from(x, 'base64url'),
    y: Buffer.from(y, 'base64url'),
  };
}
