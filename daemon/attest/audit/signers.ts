/** Keys that sign the head of the audit log: one in a file, or one that never leaves the gateway's TPM. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SurfacedError } from '../../errors.ts';
import { tpmProblem } from '../open-tpm.ts';
import { stateError, writeStateFile } from '../state-files.ts';
import {
  akEccP256,
  attestTime,
  encode,
  encodePublic,
  handle,
  makePrimary,
  permanent,
  signature as signatureCodec,
  type Tpm,
} from '../tpm2/index.ts';
import { type HeadSignature, type HeadText, headBytes, headDigest } from './head.ts';
import type { SignerPublic } from './record.ts';

/** Signs heads. */
export interface Signer {
  /** Its public part; null: not known yet, as nobody has answered. */
  readonly known: SignerPublic | null;
  /** Least time from one signature to the next, milliseconds: so long the newest records may be unsigned. */
  readonly pauseMs: number;
  /** @throws SurfacedError E_TPM, E_TPM_OPEN, E_TPM_LOCKOUT; the reason of the signal */
  sign(head: HeadText, signal: AbortSignal): Promise<HeadSignature>;
}

/**
 * An Ed25519 key in a file with mode 0600, made at first use. Who can read the file can write another log.
 * @throws SurfacedError E_STATE_DIR when the file cannot be written or read, E_AUDIT_BROKEN when it holds no such key
 */
export async function keySigner(file: string): Promise<Signer> {
  const key = await loadKey(file);
  const known: SignerPublic = {
    type: 'ed25519',
    public: createPublicKey(key).export({ type: 'spki', format: 'der' }),
  };
  return {
    known,
    pauseMs: 1000,
    sign: async (head) => ({ signer: known, signature: sign(null, headBytes(head), key), attest: null }),
  };
}

async function loadKey(file: string): Promise<KeyObject> {
  let text = await readOrNull(file);
  if (text === null) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const made = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    // Two that start at once both take what the first has made.
    text = (await writeStateFile(file, made, { isExclusive: true })) ? made : await readOrNull(file);
  }
  try {
    const key = createPrivateKey(text ?? '');
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw new SurfacedError('E_AUDIT_BROKEN', `${file}: holds no private key`, { cause });
  }
  throw new SurfacedError('E_AUDIT_BROKEN', `${file}: holds a key that is not an Ed25519 key`);
}

async function readOrNull(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw stateError(file, cause);
  }
}

/** A key of its own: evidence of a surface on the same TPM is signed by another one. */
const template = { ...akEccP256, x: createHash('sha256').update('surfaced/audit-head/v1').digest() };

/**
 * A restricted key of the TPM's endorsement hierarchy, the same at every start until the TPM is cleared, so nothing is
 * kept. It signs the TPM's clock and reset count with the head in it (TPM2_GetTime, TPM 2.0 Part 3, section 18.7).
 */
export function tpmSigner(tpm: Tpm): Signer {
  let known: SignerPublic | null = null;
  return {
    get known() {
      return known;
    },
    // Making the key and signing keeps a chip busy for about half a second.
    pauseMs: 5000,
    async sign(head, signal) {
      try {
        return await tpm.scope(async (scope) => {
          const key = await makePrimary(scope, { hierarchy: permanent(handle.endorsement), template });
          const qualifyingData = headDigest(head);
          const { attest, signature } = await attestTime(scope, { key, qualifyingData });
          const signer: SignerPublic = { type: 'tpm2', public: encodePublic(key.publicArea) };
          known = signer;
          return { signer, signature: encode(signatureCodec, signature), attest };
        }, signal);
      } catch (problem) {
        throw tpmProblem(problem, 'signing the head of the audit log');
      }
    },
  };
}
