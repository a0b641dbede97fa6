/** Binds the endorsement key of a TPM to a ControlSurface in the cluster: one key is one name, and none is replaced unasked. */
import { apiVersion } from '../../../config/schema.ts';
import type { KubeAccess } from '../../kube/access.ts';
import { type Fields, fields, text } from '../../kube/read.ts';
import { KubeError } from '../../kube/types.ts';
import { pathOf } from './objects.ts';

/** How often a write is tried anew after a conflict with another writer. */
const attempts = 4;

/** What an operator decides. */
export interface KeyApproval {
  readonly surface: string;
  readonly ekSha256: string;
  /** What is asserted about how it boots; null: as the object has it. */
  readonly level: number | null;
  /** Name of its reference sets; null: as the object has it. */
  readonly policy: string | null;
  /** Whether another key may be replaced. */
  readonly isReplacing: boolean;
}

/** What came of it. */
export type KeyOutcome =
  | {
      readonly kind: 'approved';
      readonly isRevoked: boolean;
      readonly assertedLevel: number;
      readonly policy: string | null;
    }
  | { readonly kind: 'refused'; readonly reason: 'KeyTaken' | 'OtherKey'; readonly message: string };

/**
 * Writes the key into the object; makes the object when there is none.
 * @param owners which surface has which key now: name -> key
 * @throws KubeError
 */
export async function approveKey(
  access: KubeAccess,
  where: { readonly namespace: string; readonly owners: ReadonlyMap<string, string> },
  approval: KeyApproval,
  signal: AbortSignal,
): Promise<KeyOutcome> {
  const { surface, ekSha256, level, policy, isReplacing } = approval;
  for (const [name, key] of where.owners) {
    if (key !== ekSha256 || name === surface) continue;
    const message = `this TPM is already approved as "${name}"; one key is one surface`;
    return { kind: 'refused', reason: 'KeyTaken', message };
  }
  const path = pathOf('controlsurfaces', where.namespace);
  const change = {
    tpm: { ekSha256, ...(level !== null && { assertedLevel: level }) },
    ...(policy !== null && { policy }),
  };
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await find(access, `${path}/${encodeURIComponent(surface)}`, signal);
      const spec = fields(found?.spec);
      const earlier = text(fields(spec.tpm).ekSha256, 64);
      if (earlier !== '' && earlier !== ekSha256 && !isReplacing) {
        const message = `surface "${surface}" has another TPM (endorsement key ${earlier}); it is replaced only when that is asked for`;
        return { kind: 'refused', reason: 'OtherKey', message };
      }
      const written = fields(
        found === null
          ? await access.write(
              {
                method: 'POST',
                path,
                body: { apiVersion, kind: 'ControlSurface', metadata: { name: surface }, spec: change },
              },
              signal,
            )
          : await access.write(
              {
                method: 'PATCH',
                path: `${path}/${encodeURIComponent(surface)}`,
                body: { metadata: versionOf(found), spec: change },
              },
              signal,
            ),
      );
      const after = fields(written.spec);
      const { assertedLevel } = fields(after.tpm);
      return {
        kind: 'approved',
        isRevoked: after.isRevoked === true,
        assertedLevel: typeof assertedLevel === 'number' ? assertedLevel : 0,
        policy: text(after.policy, 63) || null,
      };
    } catch (error) {
      // Somebody else has written or made it: what it is now decides.
      if (!(error instanceof KubeError) || error.status !== 409 || attempt >= attempts) throw error;
    }
  }
}

async function find(access: KubeAccess, path: string, signal: AbortSignal): Promise<Fields | null> {
  try {
    return fields(await access.get(path, signal));
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return null;
    throw error;
  }
}

/** What a patch must be based on. */
function versionOf(object: Fields): { readonly uid: string; readonly resourceVersion: string } {
  const { uid, resourceVersion } = fields(object.metadata);
  return { uid: text(uid, 64), resourceVersion: text(resourceVersion, 64) };
}
