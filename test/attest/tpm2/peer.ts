/** The other end of a session. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { algorithm } from '../../../daemon/attest/tpm2/algorithms.ts';
import { kdfa } from '../../../daemon/attest/tpm2/kdf.ts';
import { type Entity, Session, withoutTrailingZeros } from '../../../daemon/attest/tpm2/session.ts';

const none = Buffer.alloc(0);

/** How a session is started and what it does, for both ends. */
export interface Plan {
  readonly kind: 'hmac' | 'policy';
  readonly salt: Buffer;
  readonly isBound: boolean;
  readonly isAuthValueNeeded: boolean;
  readonly isKept: boolean;
}

/** Any such plan. */
export const plan: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom('hmac', 'policy'),
  salt: fc.oneof(fc.constant(none), fc.uint8Array({ minLength: 32, maxLength: 32 }).map(Buffer.from)),
  isBound: fc.boolean(),
  isAuthValueNeeded: fc.boolean(),
  isKept: fc.boolean(),
});

/** A TPM's end of a session, from the formulas of Part 1 and not from the library. */
export class Peer {
  readonly session: Session;
  readonly nonceTPM: Buffer;
  readonly #plan: Plan;
  readonly #key: Buffer;
  readonly #entity: Entity;

  constructor(plan: Plan, entity: Entity, index: number) {
    const nonceCaller = Buffer.alloc(32, 0x10 + index);
    this.nonceTPM = Buffer.alloc(32, 0x20 + index);
    this.#plan = plan;
    this.#entity = entity;
    this.session = new Session({
      handle: 0x02000000 + index,
      kind: plan.kind,
      hash: algorithm.sha256,
      nonceCaller,
      nonceTPM: this.nonceTPM,
      salt: plan.salt,
      bind: plan.isBound ? entity : null,
    });
    this.session.isAuthValueNeeded = plan.isAuthValueNeeded;
    this.session.isKept = plan.isKept;
    const key = Buffer.concat([plan.isBound ? withoutTrailingZeros(entity.authValue) : none, plan.salt]);
    const isKeyed = plan.isBound || plan.salt.length > 0;
    const parts = { hash: algorithm.sha256, label: 'ATH', contextU: this.nonceTPM, contextV: nonceCaller };
    this.#key = isKeyed ? kdfa({ ...parts, key, bits: 256 }) : none;
  }

  /** The key of HMACs; `authorizes`: the session stands for the handle. */
  hmac(authorizes: boolean, ...parts: readonly Uint8Array[]): Buffer {
    const { kind, isBound, isAuthValueNeeded } = this.#plan;
    const counts = authorizes && (kind === 'policy' ? isAuthValueNeeded : !isBound);
    const authValue = counts ? withoutTrailingZeros(this.#entity.authValue) : none;
    const key = Buffer.concat([this.#key, authValue]);
    if (kind === 'policy' && key.length === 0) return none;
    return createHmac('sha256', key).update(Buffer.concat(parts)).digest();
  }

  cipherKey(authorizes: boolean, newer: Uint8Array, older: Uint8Array): readonly [key: Buffer, iv: Buffer] {
    const authValue = authorizes ? withoutTrailingZeros(this.#entity.authValue) : none;
    const key = Buffer.concat([this.#key, authValue]);
    const parts = { hash: algorithm.sha256, label: 'CFB', contextU: newer, contextV: older };
    const made = kdfa({ ...parts, key, bits: 256 });
    return [made.subarray(0, 16), made.subarray(16)];
  }
}
