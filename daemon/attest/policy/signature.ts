/**
 * The signature of a reference set: a file of its own beside it, `<file>.sig`, one line of JSON. Ed25519 (RFC 8032)
 * over a label and the exact bytes of the set, so that a signature made for anything else is none here, and a set is
 * not read before its signature is known to be good.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { z } from 'zod';
import { readBounded } from '../../config/read-bounded.ts';
import { SurfacedError } from '../../errors.ts';
import { keySha256 } from '../certificates/public-key.ts';
import { bytes as base64Bytes } from '../evidence/evidence.ts';

const label = Buffer.from('surfaced/reference-set/v1\0', 'latin1');

/** Largest signature file and largest key file that is read, bytes. */
export const mostSignatureBytes = 1024;
const mostKeyBytes = 16 * 1024;

const signatureSchema = z.strictObject({
  v: z.literal(1),
  key: z.string().regex(/^[0-9a-f]{64}$/),
  signature: base64Bytes(64).refine(({ length }) => length === 64),
});

/** Somebody whose signature makes a reference set count. */
export interface Signer {
  /** Hex of SHA-256 of the SubjectPublicKeyInfo. */
  readonly sha256: string;
  readonly key: KeyObject;
}

const policyError = (message: string, cause?: unknown): SurfacedError =>
  new SurfacedError('E_POLICY_SET', message, cause === undefined ? undefined : { cause });

/** A signer from the PEM of a public key. @throws SurfacedError E_POLICY_SET */
export function parseSigner(pem: string, name: string): Signer {
  // node:crypto would take the public half of it, and the private one would stay where it does not belong.
  if (/PRIVATE KEY/.test(pem)) throw policyError(`${name}: a private key; name the file with the public one`);
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw policyError(`${name}: not a public key in PEM`, cause);
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw policyError(`${name}: a key for ${key.asymmetricKeyType}, not for Ed25519`);
  return { sha256: keySha256(key), key };
}

/** Reads the public keys that a Gateway file names. @throws SurfacedError E_POLICY_SET, E_CFG_READ, E_CFG_INVALID */
export async function readSigners(files: readonly string[]): Promise<Signer[]> {
  const signers: Signer[] = [];
  for (const file of files)
    signers.push(parseSigner((await readBounded(file, mostKeyBytes)).toString('latin1'), file));
  return signers;
}

/** Reads a private key for {@link signSet}. @throws SurfacedError E_POLICY_SET, E_CFG_READ, E_CFG_INVALID */
export async function readSigningKey(file: string): Promise<KeyObject> {
  const pem = (await readBounded(file, mostKeyBytes)).toString('latin1');
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw policyError(`${file}: not a private key in PEM without a password`, cause);
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw policyError(`${file}: a key for ${key.asymmetricKeyType}, not for Ed25519`);
}

/** A new key pair, both halves in PEM, and the name by which lists show it. */
export function makeSigningKey(): {
  readonly privatePem: string;
  readonly publicPem: string;
  readonly sha256: string;
} {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sha256: keySha256(publicKey),
  };
}

/** The content of `<file>.sig` for these bytes. */
export function signSet(bytes: Uint8Array, key: KeyObject): string {
  const signature = sign(null, Buffer.concat([label, bytes]), key).toString('base64');
  return `${JSON.stringify({ v: 1, key: keySha256(createPublicKey(key)), signature })}\n`;
}

/**
 * Whose signature this is. The key that the file names is only a hint, for the message.
 * @param signature content of the `.sig` file
 * @returns hex of SHA-256 of the signer's SubjectPublicKeyInfo
 * @throws SurfacedError E_POLICY_SET when it is not that of a signer over exactly these bytes
 */
export function verifySet(bytes: Uint8Array, signature: Uint8Array, signers: readonly Signer[]): string {
  const claimed = parseSignature(signature);
  const signer = signers.find(({ sha256 }) => sha256 === claimed.key);
  if (signer === undefined) throw policyError(`signed by ${claimed.key}, who is not among the signers`);
  const isGood = verify(null, Buffer.concat([label, bytes]), signer.key, claimed.signature);
  if (isGood) return signer.sha256;
  throw policyError(`the signature of ${signer.sha256} is not for this content; sign the file again`);
}

function parseSignature(bytes: Uint8Array): z.infer<typeof signatureSchema> {
  if (bytes.length > mostSignatureBytes)
    throw policyError(`its signature file is larger than ${mostSignatureBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw policyError('its signature file is not the JSON that `surfaced policy sign` writes', cause);
  }
  const result = signatureSchema.safeParse(value);
  if (result.success) return result.data;
  const field = result.error.issues[0]?.path.join('.') || 'the whole';
  throw policyError(`its signature file is not one: ${field}`, result.error);
}
