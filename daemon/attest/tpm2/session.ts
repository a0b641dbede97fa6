/** Authorization sessions: HMACs and encrypted parameters (TPM 2.0 Part 1, sections 17.6 to 17.8 and 21). */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { digest, hashOf } from './algorithms.ts';
import { type Attributes, type SessionAttribute, sessionAttributes } from './attributes.ts';
import { encode, u32 } from './codec.ts';
import { kdfa } from './kdf.ts';

/** The answer was not made by the TPM that the session was started with, or somebody changed it on its way. */
export class TpmSessionError extends Error {
  override readonly name = 'TpmSessionError';
}

/** Something that a handle names, and what authorizes its use. */
export interface Entity {
  readonly handle: number;
  readonly name: Uint8Array;
  /** Empty when there is none. */
  readonly authValue: Uint8Array;
}

/** Authorization values count without trailing zeros; zeros within stay (Part 1, section 17.6.5). */
export function withoutTrailingZeros(value: Uint8Array): Uint8Array {
  let length = value.length;
  while (length > 0 && value[length - 1] === 0) length--;
  return value.subarray(0, length);
}

/** What a session is made of once the TPM has answered. */
export interface SessionParts {
  readonly handle: number;
  readonly kind: 'hmac' | 'policy';
  readonly hash: number;
  readonly nonceCaller: Uint8Array;
  readonly nonceTPM: Uint8Array;
  readonly salt: Uint8Array;
  readonly bind: Entity | null;
}

/** What one session says of one command. */
interface CommandHash {
  readonly cpHash: Uint8Array;
  /** What this session authorizes; null: it only encrypts. */
  readonly entity: Entity | null;
  /** Nonces of the other sessions that encrypt; in the first session only. */
  readonly otherNonces: readonly Uint8Array[];
}

/** A session that was started; it changes with each command. */
export class Session {
  readonly handle: number;
  readonly kind: 'hmac' | 'policy';
  readonly hash: number;
  /** A policy that demands the authorization value (PolicyAuthValue) was said; forgotten once the policy was used. */
  isAuthValueNeeded = false;
  /** The TPM ends the session after the next command when this is false. */
  isKept = true;
  /** Encrypts the first parameter of commands, where that can be done. */
  encryptsCommands = false;
  /** Encrypts the first parameter of responses, where that can be done. */
  encryptsResponses = false;
  #nonceCaller: Uint8Array;
  #nonceTPM: Uint8Array;
  readonly #sessionKey: Uint8Array;
  readonly #bind: Entity | null;

  constructor({ handle, kind, hash, nonceCaller, nonceTPM, salt, bind }: SessionParts) {
    this.handle = handle;
    this.kind = kind;
    this.hash = hash;
    this.#nonceCaller = nonceCaller;
    this.#nonceTPM = nonceTPM;
    this.#bind = bind;
    const key = Buffer.concat([withoutTrailingZeros(bind?.authValue ?? new Uint8Array(0)), salt]);
    const isKeyed = salt.length > 0 || bind !== null;
    this.#sessionKey = isKeyed
      ? kdfa({
          hash,
          key,
          label: 'ATH',
          contextU: nonceTPM,
          contextV: nonceCaller,
          bits: hashOf(hash).size * 8,
        })
      : new Uint8Array(0);
  }

  get nonceTPM(): Uint8Array {
    return this.#nonceTPM;
  }

  /** Takes a nonce for the next command; it can be given for tests alone. */
  roll(nonceCaller: Uint8Array = randomBytes(hashOf(this.hash).size)): void {
    this.#nonceCaller = nonceCaller;
  }

  /** TPMA_SESSION for a command that can encrypt what these say. */
  attributes(can: {
    readonly encryptCommand: boolean;
    readonly encryptResponse: boolean;
  }): Attributes<SessionAttribute> {
    const set = new Set<SessionAttribute>();
    if (this.isKept) set.add('continueSession');
    if (this.encryptsCommands && can.encryptCommand) set.add('decrypt');
    if (this.encryptsResponses && can.encryptResponse) set.add('encrypt');
    return set;
  }

  /** The authorization of a command: TPMS_AUTH_COMMAND without the handle. */
  authorize(
    { cpHash, entity, otherNonces }: CommandHash,
    attributes: Attributes<SessionAttribute>,
  ): {
    readonly nonce: Uint8Array;
    readonly hmac: Uint8Array;
  } {
    const key = this.#hmacKey(entity, null);
    const hmac =
      this.kind === 'policy' && key.length === 0
        ? new Uint8Array(0)
        : this.#hmac(key, [
            cpHash,
            this.#nonceCaller,
            this.#nonceTPM,
            ...otherNonces,
            encode(sessionAttributes, attributes),
          ]);
    return { nonce: this.#nonceCaller, hmac };
  }

  /**
   * Checks the TPM's answer and takes its nonce up.
   * @throws TpmSessionError
   */
  check(answer: {
    readonly rpHash: Uint8Array;
    readonly entity: Entity | null;
    /** The authorization value of `entity` from now on, when the command changed it. */
    readonly authValueAfter: Uint8Array | null;
    readonly nonceTPM: Uint8Array;
    readonly attributes: Attributes<SessionAttribute>;
    readonly hmac: Uint8Array;
  }): void {
    const { rpHash, entity, authValueAfter, nonceTPM, attributes, hmac } = answer;
    const key = this.#hmacKey(entity, authValueAfter);
    if (this.kind === 'policy' && key.length === 0) {
      if (hmac.length > 0) throw new TpmSessionError('an HMAC from a session that has no key');
    } else {
      const parts = [rpHash, nonceTPM, this.#nonceCaller, encode(sessionAttributes, attributes)];
      const expected = this.#hmac(key, parts);
      if (hmac.length !== expected.length || !timingSafeEqual(hmac, expected))
        throw new TpmSessionError('the HMAC of the response is wrong: it was changed on its way');
    }
    this.#nonceTPM = nonceTPM;
    // A policy holds for one use: the TPM begins anew with a session that stays (seen with libtpms 0.9.2).
    if (entity !== null) this.isAuthValueNeeded = false;
  }

  /** Encrypts the first parameter of a command. */
  encrypt(data: Uint8Array, entity: Entity | null): Buffer {
    const { key, iv } = this.#cipherKey(entity, this.#nonceCaller, this.#nonceTPM);
    const cipher = createCipheriv('aes-128-cfb', key, iv);
    return Buffer.concat([cipher.update(data), cipher.final()]);
  }

  /** Decrypts the first parameter of a response, after {@link check}. */
  decrypt(data: Uint8Array, entity: Entity | null): Buffer {
    const { key, iv } = this.#cipherKey(entity, this.#nonceTPM, this.#nonceCaller);
    const cipher = createDecipheriv('aes-128-cfb', key, iv);
    return Buffer.concat([cipher.update(data), cipher.final()]);
  }

  /** The authorization value counts even when the session is bound to the entity (Part 1, section 21.2). */
  #cipherKey(entity: Entity | null, newer: Uint8Array, older: Uint8Array): { key: Buffer; iv: Buffer } {
    const key = Buffer.concat([
      this.#sessionKey,
      withoutTrailingZeros(entity?.authValue ?? new Uint8Array(0)),
    ]);
    const bits = 256;
    const made = kdfa({ hash: this.hash, key, label: 'CFB', contextU: newer, contextV: older, bits });
    return { key: made.subarray(0, 16), iv: made.subarray(16) };
  }

  #hmacKey(entity: Entity | null, authValueAfter: Uint8Array | null): Buffer {
    if (entity === null || !this.#countsAuthValue(entity)) return Buffer.from(this.#sessionKey);
    return Buffer.concat([this.#sessionKey, withoutTrailingZeros(authValueAfter ?? entity.authValue)]);
  }

  #countsAuthValue(entity: Entity): boolean {
    if (this.kind === 'policy') return this.isAuthValueNeeded;
    return this.#bind === null || !isSame(this.#bind, entity);
  }

  #hmac(key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
    const hmac = createHmac(hashOf(this.hash).name, key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }
}

/** A session is bound to an entity for as long as the authorization value of that stays (seen with libtpms 0.9.2). */
function isSame(bound: Entity, entity: Entity): boolean {
  const authValues = [withoutTrailingZeros(bound.authValue), withoutTrailingZeros(entity.authValue)] as const;
  return Buffer.compare(bound.name, entity.name) === 0 && Buffer.compare(...authValues) === 0;
}

/** cpHash: the command as sent, i.e. with its first parameter encrypted (Part 1, section 16.7). */
export const commandHash = (
  hash: number,
  code: number,
  names: readonly Uint8Array[],
  parameters: Uint8Array,
): Buffer => digest(hash, encode(u32, code), ...names, parameters);

/** rpHash: the response as received; only successful ones have sessions (Part 1, section 16.8). */
export const responseHash = (hash: number, code: number, parameters: Uint8Array): Buffer =>
  digest(hash, encode(u32, 0), encode(u32, code), parameters);
