/** What a TPM signs, and whether it did (TPM 2.0 Part 3, sections 18 and 20.2). */
import { constants, verify } from 'node:crypto';
import { algorithm, hashOf } from './algorithms.ts';
import { certify, certifyCreation, getTime, quote, sign } from './commands/attestation.ts';
import { coordinateBytes, publicKeyOf } from './crypto-keys.ts';
import { handle } from './handles.ts';
import { type LoadedObject, type PrimaryKey, permanent } from './keys.ts';
import type { Entity, Session } from './session.ts';
import type { PcrSelection } from './structures/pcr.ts';
import type { Public } from './structures/public.ts';
import type { Signature } from './structures/signature.ts';
import { nullTicket, ticketTag } from './structures/ticket.ts';
import type { Executor } from './tpm.ts';

/** TPMS_ATTEST as it came, and the signature over exactly these bytes. */
export interface Attestation {
  readonly attest: Uint8Array;
  readonly signature: Signature;
}

interface Signing {
  /** The key that signs, by the scheme that it was made with. */
  readonly key: Entity;
  /** Goes into the attestation as `extraData`; 50 bytes at most on many TPMs. */
  readonly qualifyingData: Uint8Array;
  readonly sessions?: readonly Session[];
}

/** What the PCRs are, signed. */
export async function quotePcrs(
  executor: Executor,
  { key, qualifyingData, pcrs, sessions = [] }: Signing & { readonly pcrs: readonly PcrSelection[] },
): Promise<Attestation> {
  const { quoted, signature } = await executor.execute(quote, {
    handles: { signHandle: key },
    parameters: { qualifyingData, inScheme: null, PCRselect: pcrs },
    sessions,
  });
  return { attest: quoted, signature };
}

/** That an object is in this TPM, signed by another key of it. */
export async function certifyObject(
  executor: Executor,
  { key, qualifyingData, object, sessions = [] }: Signing & { readonly object: LoadedObject },
): Promise<Attestation> {
  const { certifyInfo, signature } = await executor.execute(certify, {
    handles: { objectHandle: object, signHandle: key },
    parameters: { qualifyingData, inScheme: null },
    sessions,
  });
  return { attest: certifyInfo, signature };
}

/** That a key was made in this TPM with these creation data. */
export async function certifyCreationOf(
  executor: Executor,
  { key, qualifyingData, object, sessions = [] }: Signing & { readonly object: PrimaryKey },
): Promise<Attestation> {
  const { creationHash, creationTicket } = object;
  const { certifyInfo, signature } = await executor.execute(certifyCreation, {
    handles: { signHandle: key, objectHandle: object },
    parameters: { qualifyingData, creationHash, inScheme: null, creationTicket },
    sessions,
  });
  return { attest: certifyInfo, signature };
}

/** The TPM's clock, signed. */
export async function attestTime(
  executor: Executor,
  { key, qualifyingData, sessions = [] }: Signing,
): Promise<Attestation> {
  const { timeInfo, signature } = await executor.execute(getTime, {
    handles: { privacyAdminHandle: permanent(handle.endorsement), signHandle: key },
    parameters: { qualifyingData, inScheme: null },
    sessions,
  });
  return { attest: timeInfo, signature };
}

/** Signs a digest with a key that is not restricted, by the scheme that it was made with. */
export async function signDigest(
  executor: Executor,
  key: Entity,
  digest: Uint8Array,
  authorization: Session | null = null,
): Promise<Signature> {
  const { signature } = await executor.execute(sign, {
    handles: { keyHandle: key },
    parameters: { digest, inScheme: null, validation: nullTicket(ticketTag.hashCheck) },
    authorizations: [authorization],
  });
  return signature;
}

/** Left-padded to the size of the curve: r and s as IEEE P1363 has them. */
function fixed(value: Uint8Array, bytes: number): Buffer | null {
  const start = Math.max(0, value.length - bytes);
  if (value.subarray(0, start).some((byte) => byte !== 0)) return null;
  return Buffer.concat([Buffer.alloc(Math.max(0, bytes - value.length)), value.subarray(start)]);
}

/**
 * Whether a signature over these bytes was made with the private part of this key. False for everything else: another
 * scheme than the key is for, malformed integers.
 * @throws TpmFormatError when the area holds no valid public key
 */
export function isSignedBy(area: Public, bytes: Uint8Array, signature: Signature): boolean {
  const key = publicKeyOf(area);
  const { name } = hashOf(signature.hash);
  if (signature.algorithm === algorithm.ecdsa) {
    if (area.type !== algorithm.ecc) return false;
    const size = coordinateBytes(area);
    const [r, s] = [fixed(signature.r, size), fixed(signature.s, size)];
    if (r === null || s === null) return false;
    return verify(name, bytes, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat([r, s]));
  }
  if (area.type !== algorithm.rsa) return false;
  const padding =
    signature.algorithm === algorithm.rsapss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength =
    padding === constants.RSA_PKCS1_PSS_PADDING ? { saltLength: constants.RSA_PSS_SALTLEN_AUTO } : {};
  return verify(name, bytes, { key, padding, ...saltLength }, signature.signature);
}
