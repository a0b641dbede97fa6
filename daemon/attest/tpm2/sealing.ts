/** Secrets that only this TPM gives back, and only when a policy holds (TPM 2.0 Part 1, section 26.1; Part 3, section 12.7). */

import { decode, encode, struct } from './codec.ts';
import { create, unseal } from './commands/objects.ts';
import { loadObject } from './keys.ts';
import type { Entity, Session } from './session.ts';
import { opaqueBuffer } from './structures/common.ts';
import { type Public, publicBuffer } from './structures/public.ts';
import { sealed as sealedTemplate } from './templates.ts';
import type { Scope } from './tpm.ts';

/** A secret at rest: useless without the TPM that sealed it. */
export interface SealedData {
  readonly privateArea: Uint8Array;
  readonly publicArea: Public;
}

const sealedData = struct({ privateArea: opaqueBuffer, publicArea: publicBuffer });

/** TPM2B_PRIVATE and TPM2B_PUBLIC, one after the other, as tools of others keep them too. */
export const encodeSealed = (data: SealedData): Buffer => encode(sealedData, data);

/** @throws TpmFormatError */
export const decodeSealed = (bytes: Uint8Array): SealedData => decode('sealed data', sealedData, bytes);

/**
 * Seals at most 128 bytes under a storage key.
 * @param options.policy digest of the policy that opens it; null: the authorization value does
 * @param options.sessions one that encrypts commands keeps the secret off the bus
 * @throws TpmError
 */
export async function sealData(
  scope: Scope,
  options: {
    readonly parent: Entity;
    readonly secret: Uint8Array;
    readonly policy: Uint8Array | null;
    readonly authValue: Uint8Array;
    readonly sessions: readonly Session[];
  },
): Promise<SealedData> {
  const { parent, secret, policy, authValue, sessions } = options;
  const none = new Uint8Array(0);
  const made = await scope.execute(create, {
    handles: { parentHandle: parent },
    parameters: {
      inSensitive: { userAuth: authValue, data: secret },
      inPublic: sealedTemplate(policy),
      outsideInfo: none,
      creationPCR: [],
    },
    sessions,
  });
  return { privateArea: made.outPrivate, publicArea: made.outPublic };
}

/**
 * Opens it.
 * @param options.authorization a session that satisfies the policy; null: the authorization value as a password
 * @throws TpmError POLICY_FAIL when the policy does not hold, INTEGRITY when another TPM sealed it
 */
export async function unsealData(
  scope: Scope,
  options: {
    readonly parent: Entity;
    readonly data: SealedData;
    readonly authValue: Uint8Array;
    readonly authorization: Session | null;
    readonly sessions: readonly Session[];
  },
): Promise<Uint8Array> {
  const { parent, data, authValue, authorization, sessions } = options;
  const object = await loadObject(scope, { parent, ...data, authValue });
  try {
    const { outData } = await scope.execute(unseal, {
      handles: { itemHandle: object },
      parameters: {},
      authorizations: [authorization],
      sessions,
    });
    return outData;
  } finally {
    await scope.flush(object.handle);
  }
}
