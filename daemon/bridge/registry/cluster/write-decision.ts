/** Writes what an operator decides about a TPM into its request, and waits until the gateway has carried it out. */
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../clock.ts';
import { SurfacedError } from '../../../errors.ts';
import type { KubeAccess } from '../../kube/access.ts';
import { fields } from '../../kube/read.ts';
import type { KeyApproval } from './approve-key.ts';
import { type RequestRecord, requestOf } from './request-objects.ts';

const decisionMs = 15_000;
const lookMs = 300;

/** Approval of a TPM by the name of a surface, or its denial. */
export type Decision =
  | ({ readonly decision: 'Approve' } & Omit<KeyApproval, 'ekSha256'>)
  | { readonly decision: 'Deny' };

/**
 * Writes the decision and waits.
 * @param path of the request
 * @returns the request as it is then; null: the gateway has not done it yet
 * @throws SurfacedError E_USAGE with the gateway's words when it refuses; KubeError
 */
export async function writeDecision(
  access: KubeAccess,
  { path, request }: { readonly path: string; readonly request: RequestRecord },
  decision: Decision,
  signal: AbortSignal,
): Promise<RequestRecord | null> {
  const { uid, resourceVersion, facts } = request;
  const spec =
    decision.decision === 'Deny'
      ? { decision: 'Deny' }
      : {
          decision: 'Approve',
          surface: decision.surface,
          // What was compared is what is decided.
          pairingCode: facts.pairingCode,
          level: decision.level,
          policy: decision.policy,
          replace: decision.isReplacing,
        };
  const body = { metadata: { uid, resourceVersion }, spec };
  const decided = requestOf(fields(await access.write({ method: 'PATCH', path, body }, signal)));
  const endsAt = systemClock.monotonic() + decisionMs;
  for (;;) {
    const now = requestOf(fields(await access.get(path, signal)));
    // A decision that the gateway takes back makes a new generation.
    const isCarriedOut = (now.observedGeneration ?? 0) >= decided.generation;
    const refused = now.conditions.find(({ type, status }) => type === 'Refused' && status === 'True');
    if (isCarriedOut && refused) throw new SurfacedError('E_USAGE', refused.message);
    if (isCarriedOut) return now;
    if (systemClock.monotonic() > endsAt) return null;
    await delay(lookMs, undefined, { signal });
  }
}
