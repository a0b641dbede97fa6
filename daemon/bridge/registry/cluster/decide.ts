/**
 * What a decision about a TPM leads to. The gateway goes by what it has seen itself: a request in the cluster only says
 * what people decide, and what they were shown must be what is true.
 */
import type { Quarantined } from '../../../attest/trust/types.ts';
import type { KeyApproval } from './approve-key.ts';
import { factsOf, type RequestRecord } from './request-objects.ts';

/** What is to be done now. */
export type Step =
  | { readonly kind: 'wait' }
  | { readonly kind: 'approve'; readonly approval: KeyApproval }
  | { readonly kind: 'deny' }
  /** The decision stands and is not carried out. */
  | { readonly kind: 'refuse'; readonly reason: string; readonly message: string }
  /** What was decided on was not true: the decision is taken back and must be made anew. */
  | { readonly kind: 'forged'; readonly message: string };

const digits = (code: string): string => code.replaceAll('-', '');

/**
 * Looks at the request of a TPM that waits.
 * @param waiting as the gateway knows it
 * @param record as the cluster has it
 */
export function stepOf(waiting: Quarantined, record: RequestRecord): Step {
  const { spec, facts, problem } = record;
  const truth = factsOf(waiting);
  if (spec === null)
    return { kind: 'refuse', reason: 'Invalid', message: problem ?? 'the request cannot be read' };
  if (spec.decision === undefined) return { kind: 'wait' };
  // Nobody can have compared what was not there yet, either.
  if (facts.ekSha256 !== truth.ekSha256 || facts.pairingCode !== truth.pairingCode)
    return {
      kind: 'forged',
      message:
        'when it was decided, key and pairing code in the status were not those that the gateway knows; compare again, and decide again',
    };
  if (spec.decision === 'Deny') return { kind: 'deny' };
  if (spec.surface === undefined)
    return {
      kind: 'refuse',
      reason: 'NoSurface',
      message: 'spec.surface: name the surface that it is to be',
    };
  if (spec.pairingCode !== undefined && digits(spec.pairingCode) !== digits(truth.pairingCode))
    return {
      kind: 'refuse',
      reason: 'CodeDiffers',
      message: `spec.pairingCode: this TPM shows ${truth.pairingCode}, not ${spec.pairingCode}`,
    };
  return {
    kind: 'approve',
    approval: {
      surface: spec.surface,
      ekSha256: truth.ekSha256,
      level: spec.level ?? null,
      policy: spec.policy ?? null,
      isReplacing: spec.replace,
    },
  };
}
