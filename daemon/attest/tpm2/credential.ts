/** Credentials: a secret that only the TPM with a certain endorsement key and a certain other key can read. */
import { createCipheriv, createHmac } from 'node:crypto';
import { hashOf } from './algorithms.ts';
import { encode } from './codec.ts';
import { activateCredential } from './commands/attestation.ts';
import { encapsulate } from './crypto-keys.ts';
import { kdfa } from './kdf.ts';
import type { LoadedObject } from './keys.ts';
import type { Session } from './session.ts';
import { digestBuffer } from './structures/common.ts';
import type { Public } from './structures/public.ts';
import type { Executor } from './tpm.ts';
import { TpmFormatError } from './wire.ts';

/** What TPM2_ActivateCredential takes. */
export interface Credential {
  /** TPMS_ID_OBJECT: HMAC and encrypted secret. */
  readonly credentialBlob: Buffer;
  /** The seed, encrypted to the endorsement key. */
  readonly secret: Buffer;
}

/**
 * TPM2_MakeCredential in software (TPM 2.0 Part 1, section 24): whoever activates it has the endorsement key, and in the
 * same TPM an object with this Name.
 * @param secret what is to be proved; at most a digest of the endorsement key's nameAlg
 * @throws TpmFormatError when the key cannot receive credentials
 */
export function makeCredential(
  endorsementKey: Public,
  objectName: Uint8Array,
  secret: Uint8Array,
  random?: (bytes: number) => Uint8Array,
): Credential {
  const { nameAlg } = endorsementKey;
  const { name, size } = hashOf(nameAlg);
  if (secret.length > size) throw new RangeError(`a credential has at most ${size} bytes`);
  if (!('symmetric' in endorsementKey) || endorsementKey.symmetric === null)
    throw new TpmFormatError('the endorsement key is no storage key');
  const { keyBits } = endorsementKey.symmetric;
  if (keyBits !== 128 && keyBits !== 256) throw new TpmFormatError(`AES with ${keyBits} bits is not known`);
  const seed = encapsulate(endorsementKey, 'IDENTITY', random);
  const none = new Uint8Array(0);
  const derive = (label: string, contextU: Uint8Array, bits: number) =>
    kdfa({ hash: nameAlg, key: seed.secret, label, contextU, contextV: none, bits });
  const cipher = createCipheriv(
    `aes-${keyBits}-cfb`,
    derive('STORAGE', objectName, keyBits),
    Buffer.alloc(16),
  );
  const encrypted = Buffer.concat([cipher.update(encode(digestBuffer, secret)), cipher.final()]);
  const integrity = createHmac(name, derive('INTEGRITY', none, size * 8))
    .update(encrypted)
    .update(objectName)
    .digest();
  return {
    credentialBlob: Buffer.concat([encode(digestBuffer, integrity), encrypted]),
    secret: seed.encrypted,
  };
}

/**
 * The secret of a credential.
 * @param policy a session that satisfies the endorsement key's policy
 * @throws TpmError INTEGRITY or VALUE when it was made for another TPM or object
 */
export async function openCredential(
  executor: Executor,
  options: {
    readonly object: LoadedObject;
    readonly endorsementKey: LoadedObject;
    readonly policy: Session;
    readonly credential: Credential;
    /** Authorizes the use of `object`; null: its authorization value. */
    readonly authorization?: Session | null;
    readonly sessions?: readonly Session[];
  },
): Promise<Uint8Array> {
  const { object, endorsementKey, policy, credential, authorization = null, sessions = [] } = options;
  const { certInfo } = await executor.execute(activateCredential, {
    handles: { activateHandle: object, keyHandle: endorsementKey },
    parameters: credential,
    authorizations: [authorization, policy],
    sessions,
  });
  return certInfo;
}
