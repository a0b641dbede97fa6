/** Sessions: how they begin (TPM 2.0 Part 1, sections 17.6.8 to 17.6.13). */
import { randomBytes } from 'node:crypto';
import { algorithm, hashOf } from './algorithms.ts';
import { sessionType, startAuthSession } from './commands/policies.ts';
import { encapsulate } from './crypto-keys.ts';
import { type LoadedObject, nullEntity } from './keys.ts';
import { type Entity, Session } from './session.ts';
import type { Executor } from './tpm.ts';

export interface SessionOptions {
  readonly kind: 'hmac' | 'policy';
  /** A key of this TPM that a secret is encrypted to, which nobody on the bus can read; check first that it is the TPM's. */
  readonly salt?: LoadedObject | null;
  /** Something whose authorization value becomes part of the session's key. */
  readonly bind?: Entity | null;
  /** Algorithm of HMACs and policy digests; SHA-256 when missing. */
  readonly hash?: number;
  /** Which first parameters are encrypted, where a command has such a one; needs `salt` or `bind`. */
  readonly encrypts?: 'nothing' | 'commands' | 'responses' | 'both';
}

/**
 * Starts a session; the scope that it is started in flushes it.
 * @throws RangeError when parameters shall be encrypted with a key that anybody on the bus could compute; TpmError
 */
export async function startSession(executor: Executor, options: SessionOptions): Promise<Session> {
  const { kind, salt = null, bind = null, hash = algorithm.sha256, encrypts = 'nothing' } = options;
  if (encrypts !== 'nothing' && salt === null && bind === null)
    throw new RangeError('a session that encrypts needs a salt or something that it is bound to');
  const nonceCaller = randomBytes(hashOf(hash).size);
  const salted = salt === null ? null : encapsulate(salt.publicArea, 'SECRET');
  const { handle, nonceTPM } = await executor.execute(startAuthSession, {
    handles: { tpmKey: salt ?? nullEntity, bind: bind ?? nullEntity },
    parameters: {
      nonceCaller,
      encryptedSalt: salted?.encrypted ?? new Uint8Array(0),
      sessionType: sessionType[kind],
      symmetric: encrypts === 'nothing' ? null : 'aes-128-cfb',
      authHash: hash,
    },
  });
  const session = new Session({
    handle,
    kind,
    hash,
    nonceCaller,
    nonceTPM,
    salt: salted?.secret ?? new Uint8Array(0),
    bind,
  });
  session.encryptsCommands = encrypts === 'commands' || encrypts === 'both';
  session.encryptsResponses = encrypts === 'responses' || encrypts === 'both';
  return session;
}
