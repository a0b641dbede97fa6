/**
 * The signed head: `head.json` says how far the log went at some moment, signed by a key of the gateway or by its TPM, so
 * that records cannot be taken from the end, and the chain cannot be made anew without that key.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import {
  type Attest,
  attest as attestCodec,
  attestType,
  type ClockInfo,
  decode,
  isSignedBy,
  publicArea,
  signature as signatureCodec,
  TpmFormatError,
} from '../tpm2/index.ts';
import { attestationKeyFault } from '../verifier/key-areas.ts';
import { type Link, type SignerPublic, signerSchema } from './record.ts';

/** What is signed. */
export interface HeadText extends Link {
  /** Gateway time, Unix milliseconds. */
  readonly at: number;
}

/** A signature over a head. */
export interface HeadSignature {
  readonly signer: SignerPublic;
  /** Ed25519 over the text; of a TPM: TPMT_SIGNATURE over `attest`. */
  readonly signature: Uint8Array;
  /** TPMS_ATTEST of TPM2_GetTime with SHA-256 of the text as qualifying data; null: no TPM signed. */
  readonly attest: Uint8Array | null;
}

/** What head.json holds. */
export interface Head extends HeadText, HeadSignature {}

const fileName = 'head.json';
/** Path of the head of a log. */
export const headFile = (folder: string): string => path.join(folder, fileName);
/** A head with the RSA signature of a TPM is about 2 KiB. */
const mostHeadBytes = 16_384;

/** The bytes that a signer signs; no other text of the project begins so. */
export const headBytes = ({ seq, hash, at }: HeadText): Buffer =>
  Buffer.from(`surfaced/audit-head/v1\0${seq}\n${hash}\n${at}\n`);

/** What a TPM's signature covers of it. */
export const headDigest = (head: HeadText): Buffer => createHash('sha256').update(headBytes(head)).digest();

const bytes = signerSchema.shape.public;
const schema = z.strictObject({
  v: z.literal(1),
  seq: z.int().min(1),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.int(),
  signer: signerSchema.strict(),
  signature: bytes,
  attest: bytes.nullable(),
});

/** A head as it stands in its file. */
export function headJson({ seq, hash, at, signer, signature, attest }: Head): string {
  return `${JSON.stringify(z.encode(schema, { v: 1, seq, hash, at, signer, signature, attest }))}\n`;
}

/**
 * The head of a log, not checked yet; null: there is none.
 * @throws SurfacedError E_AUDIT_BROKEN when it is not readable
 */
export async function readHead(folder: string): Promise<Head | null> {
  const file = headFile(folder);
  try {
    const content = await readFile(file);
    if (content.length > mostHeadBytes) throw new Error(`more than ${mostHeadBytes} bytes`);
    const { v, ...head } = schema.parse(JSON.parse(content.toString('utf8')));
    return head;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    const reason = (cause as NodeJS.ErrnoException).code ?? 'it is no head of an audit log';
    throw new SurfacedError('E_AUDIT_BROKEN', `${file}: ${reason}`, { cause });
  }
}

/** Hex of SHA-256 over the public part of a signer: what an auditor notes down when the gateway first starts. */
export const signerSha256 = (signer: SignerPublic): string =>
  createHash('sha256').update(signer.type).update('\0').update(signer.public).digest('hex');

/** Whether two are the same key. */
export const isSameSigner = (one: SignerPublic | null, other: SignerPublic | null): boolean =>
  one === other ||
  (one !== null &&
    other !== null &&
    one.type === other.type &&
    Buffer.compare(one.public, other.public) === 0);

/** What a signature is worth: the TPM's clock when one signed, or why it does not hold. */
export type HeadCheck =
  | { readonly isGood: true; readonly clock: ClockInfo | null }
  | { readonly isGood: false; readonly problem: string };

/** Checks the signature of a head with the key that it names; whose key that is, is another question. Never throws. */
export function checkHead(head: Head): HeadCheck {
  try {
    return head.signer.type === 'ed25519' ? checkKey(head) : checkTpm(head);
  } catch (problem) {
    if (!(problem instanceof TpmFormatError)) throw problem;
    return bad(problem.message);
  }
}

const bad = (problem: string): HeadCheck => ({ isGood: false, problem });

function checkKey(head: Head): HeadCheck {
  const key = ed25519Key(head.signer.public);
  if (key === null) return bad('the signer is no Ed25519 key');
  if (head.attest !== null) return bad('it has a word of a TPM, and a key as signer');
  if (!verify(null, headBytes(head), key, head.signature)) return bad('the signature does not hold');
  return { isGood: true, clock: null };
}

function ed25519Key(spki: Uint8Array): KeyObject | null {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
    return key.asymmetricKeyType === 'ed25519' ? key : null;
  } catch {
    return null; // Whatever OpenSSL says about it: it is none.
  }
}

/** @throws TpmFormatError */
function checkTpm(head: Head): HeadCheck {
  if (head.attest === null) return bad('the word of the TPM is missing');
  const area = decode('signer', publicArea, head.signer.public);
  const fault = attestationKeyFault(area);
  if (fault !== null) return bad(`the signer is no attestation key of a TPM: ${fault}`);
  const word: Attest = decode('attest', attestCodec, head.attest);
  if (word.attested.type !== attestType.time) return bad('the TPM signed something else than its clock');
  if (!headDigest(head).equals(word.extraData)) return bad('the TPM signed another head');
  if (!isSignedBy(area, head.attest, decode('signature', signatureCodec, head.signature)))
    return bad('the signature does not hold');
  return { isGood: true, clock: word.clockInfo };
}
