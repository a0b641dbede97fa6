/**
 * Policies as lists of steps: what must be shown before an object may be used (TPM 2.0 Part 1, section 19.7; the digests:
 * Part 3, section 23). The same list gives the digest that goes into an object, and satisfies it in a session.
 */
import { digest as digestOf, hashOf } from './algorithms.ts';
import { encode, u16, u32 } from './codec.ts';
import { verifySignature } from './commands/attestation.ts';
import { flushContext } from './commands/objects.ts';
import {
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyGetDigest,
  policyNv,
  policyOr,
  policyPcr,
  policySecret,
} from './commands/policies.ts';
import { loadPublic, permanent } from './keys.ts';
import { nameOfPublic } from './names.ts';
import type { Entity, Session } from './session.ts';
import { type PcrSelection, pcrSelections } from './structures/pcr.ts';
import type { Public } from './structures/public.ts';
import type { Signature } from './structures/signature.ts';
import type { Ticket } from './structures/ticket.ts';
import type { Executor } from './tpm.ts';

/** One thing that a policy demands. */
export type PolicyStep =
  /** The PCRs have these values; `digest` is that of all of them, one after the other. */
  | { readonly kind: 'pcr'; readonly pcrs: readonly PcrSelection[]; readonly digest: Uint8Array }
  /** Somebody knows the authorization value of another entity; `authorization` null: it is sent as a password. */
  | { readonly kind: 'secret'; readonly entity: Entity; readonly authorization?: Session | null }
  /** The authorization value of the object itself is known; it becomes part of the HMAC. */
  | { readonly kind: 'authValue' }
  /** Only this command. */
  | { readonly kind: 'commandCode'; readonly code: number }
  /** What an NV index holds compares so. */
  | {
      readonly kind: 'nv';
      readonly index: Entity;
      /** Who may read the index; often the index itself. */
      readonly reader: Entity;
      readonly operand: Uint8Array;
      readonly offset: number;
      readonly operation: number;
    }
  /** One of these policies, of which the steps before are one. */
  | { readonly kind: 'or'; readonly digests: readonly Uint8Array[] }
  /**
   * Whatever policy the holder of this key has signed, of which the steps before are one; `approval` is needed to satisfy
   * the step, not for its digest.
   */
  | {
      readonly kind: 'authorize';
      readonly key: Public;
      readonly policyRef: Uint8Array;
      readonly approval: { readonly policy: Uint8Array; readonly signature: Signature } | null;
    };

/** The digest after one more step. */
function extended(hash: number, before: Uint8Array, step: PolicyStep): Buffer {
  const extend = (...parts: readonly Uint8Array[]) => digestOf(hash, before, ...parts);
  const zero = Buffer.alloc(hashOf(hash).size);
  switch (step.kind) {
    case 'pcr':
      return extend(encode(u32, policyPcr.code), encode(pcrSelections, step.pcrs), step.digest);
    case 'secret':
      // The second hash is over policyRef, which is empty here.
      return digestOf(hash, extend(encode(u32, policySecret.code), step.entity.name));
    case 'authValue':
      return extend(encode(u32, policyAuthValue.code));
    case 'commandCode':
      return extend(encode(u32, policyCommandCode.code), encode(u32, step.code));
    case 'nv': {
      const args = digestOf(hash, step.operand, encode(u16, step.offset), encode(u16, step.operation));
      return extend(encode(u32, policyNv.code), args, step.index.name);
    }
    case 'or':
      return digestOf(hash, zero, encode(u32, policyOr.code), ...step.digests);
    case 'authorize':
      return digestOf(
        hash,
        digestOf(hash, zero, encode(u32, policyAuthorize.code), nameOfPublic(step.key)),
        step.policyRef,
      );
  }
}

/** The digest of a policy, as it goes into the authPolicy of an object. */
export const policyDigest = (hash: number, steps: readonly PolicyStep[]): Buffer =>
  steps.reduce<Buffer>((before, step) => extended(hash, before, step), Buffer.alloc(hashOf(hash).size));

/** What has to be signed with the key of an `authorize` step, hashed with the key's own algorithm, to approve a policy. */
export const approvalOf = (policy: Uint8Array, policyRef: Uint8Array): Buffer =>
  Buffer.concat([policy, policyRef]);

/**
 * Takes the steps in a policy session. A step that does not hold throws here (PCRs, NV, secrets) or when the session is
 * used (all others).
 * @throws TpmError, e.g. VALUE when PCRs differ, POLICY when an NV comparison fails
 */
export async function satisfy(
  executor: Executor,
  session: Session,
  steps: readonly PolicyStep[],
): Promise<void> {
  for (const step of steps) await take(executor, session, step);
}

async function take(executor: Executor, session: Session, step: PolicyStep): Promise<void> {
  const policySession = permanent(session.handle);
  const none = new Uint8Array(0);
  switch (step.kind) {
    case 'pcr':
      await executor.execute(policyPcr, {
        handles: { policySession },
        parameters: { pcrDigest: step.digest, pcrs: step.pcrs },
      });
      return;
    case 'secret':
      await executor.execute(policySecret, {
        handles: { authHandle: step.entity, policySession },
        parameters: { nonceTPM: session.nonceTPM, cpHashA: none, policyRef: none, expiration: 0 },
        authorizations: [step.authorization ?? null],
      });
      return;
    case 'authValue':
      await executor.execute(policyAuthValue, { handles: { policySession }, parameters: {} });
      session.isAuthValueNeeded = true;
      return;
    case 'commandCode':
      await executor.execute(policyCommandCode, {
        handles: { policySession },
        parameters: { code: step.code },
      });
      return;
    case 'nv':
      await executor.execute(policyNv, {
        handles: { authHandle: step.reader, nvIndex: step.index, policySession },
        parameters: { operandB: step.operand, offset: step.offset, operation: step.operation },
      });
      return;
    case 'or':
      await executor.execute(policyOr, {
        handles: { policySession },
        parameters: { pHashList: step.digests },
      });
      return;
    case 'authorize':
      await takeAuthorize(executor, policySession, step);
  }
}

/** The TPM checks the signature itself and says so in a ticket. */
async function takeAuthorize(
  executor: Executor,
  policySession: Entity,
  { key, policyRef, approval }: Extract<PolicyStep, { kind: 'authorize' }>,
): Promise<void> {
  if (approval === null) throw new RangeError('the policy was not approved: there is no signature to show');
  const signed = digestOf(key.nameAlg, approvalOf(approval.policy, policyRef));
  const checkTicket = await checked(executor, key, signed, approval.signature);
  await executor.execute(policyAuthorize, {
    handles: { policySession },
    parameters: {
      approvedPolicy: approval.policy,
      policyRef,
      keySign: nameOfPublic(key),
      checkTicket,
    },
  });
}

/** The TPM's word that the signature is right; the key does not stay loaded. */
async function checked(
  executor: Executor,
  key: Public,
  digest: Uint8Array,
  signature: Signature,
): Promise<Ticket> {
  const loaded = await loadPublic(executor, key);
  try {
    const call = { handles: { keyHandle: loaded }, parameters: { digest, signature } };
    return (await executor.execute(verifySignature, call)).validation;
  } finally {
    await executor.execute(flushContext, { handles: {}, parameters: { flushHandle: loaded.handle } });
  }
}

/** The digest that a session has come to. */
export async function sessionDigest(executor: Executor, session: Session): Promise<Uint8Array> {
  const { policyDigest: digest } = await executor.execute(policyGetDigest, {
    handles: { policySession: permanent(session.handle) },
    parameters: {},
  });
  return digest;
}
