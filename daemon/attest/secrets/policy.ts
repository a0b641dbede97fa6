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

/**
 * Keeps an approval from being taken for one of another secret, or for anything else that the key may sign. 32 bytes with
 * the id: the most that a TPM takes whose longest hash is SHA-256 (TPM 2.0 Part 2, TPM2B_NONCE).
 */
const policyRefOf = ({ id }: Pick<Terms, 'id'>): Buffer =>
  Buffer.concat([Buffer.from('surfaced/secret/', 'latin1'), id]);
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
  /** Of this secret alone: 16 bytes. */
  readonly id: Uint8Array;
  /** When it was sealed. */
  readonly values: PcrValuesHex;
  readonly updateKey: KeyObject | null;
}

type UpdatableTerms = Terms & { readonly updateKey: KeyObject };

/** Both branches, by their digests. */
function branches(terms: UpdatableTerms): PolicyStep {
  const key = publicAreaOf(terms.updateKey);
  const policyRef = policyRefOf(terms);
  return {
    kind: 'or',
    digests: [
      policyDigest(hash, [pcrStep(terms.values)]),
      policyDigest(hash, [{ kind: 'authorize', key, policyRef, approval: null }]),
    ],
  };
}

/** The digest for the sealed object. */
export const policyOf = ({ id, values, updateKey }: Terms): Buffer =>
  policyDigest(hash, [updateKey === null ? pcrStep(values) : branches({ id, values, updateKey })]);

/** Steps that open it with the values that it was sealed with. */
export const firstSteps = ({ id, values, updateKey }: Terms): readonly PolicyStep[] =>
  updateKey === null ? [pcrStep(values)] : [pcrStep(values), branches({ id, values, updateKey })];

/** Steps that open it with other values, which the update key has signed. */
export function approvedSteps(
  terms: UpdatableTerms,
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
  const key = publicAreaOf(terms.updateKey);
  return [step, { kind: 'authorize', key, policyRef: policyRefOf(terms), approval }, branches(terms)];
}

/** What is approved: other values for one secret. */
type Approved = Pick<Terms, 'id' | 'values'>;

const signedBytes = ({ id, values }: Approved): Buffer =>
  approvalOf(policyDigest(hash, [pcrStep(values)]), policyRefOf({ id }));

/** Signs that these values may open this secret: r and s, 64 bytes. */
export const approve = (approved: Approved, key: KeyObject): Buffer =>
  sign('sha256', signedBytes(approved), { key, dsaEncoding: 'ieee-p1363' });

/** Whether it was signed with the key that belongs to this one. */
export const isApproved = (approved: Approved, signature: Uint8Array, key: KeyObject): boolean =>
  verify('sha256', signedBytes(approved), { key, dsaEncoding: 'ieee-p1363' }, signature);

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
