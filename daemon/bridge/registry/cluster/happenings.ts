/** What is worth a Kubernetes Event: ends of commands, and changes of trust. */
import type { SurfaceTrust } from '../../../attest/trust/types.ts';
import type { CommandRecord } from '../../gateway/command.ts';
import { verbs } from '../../gateway/verbs/table.ts';
import { nameOf } from '../../kube/scales.ts';
import type { TargetRef } from '../../kube/types.ts';
import type { Occurrence, Subject } from './event-recorder.ts';

/** The surface, and the object that it acts on, as Events name them. */
export interface Parties {
  readonly surface: Subject;
  readonly targetUid: string | null;
}

const subjectOf = (target: TargetRef, uid: string | null): Subject => ({ ...target, uid });

/**
 * The Events of a command's end. Those on the target are never warnings: the gateway looks for the cause of a blocked
 * command among the warnings there, and would find its own words.
 */
export function happeningsOf(record: CommandRecord, { surface, targetUid }: Parties): readonly Occurrence[] {
  const { target, verb, phase, code, detail, saw, want, wasAccepted } = record;
  // What was not readable, or is only a question to the operator, is no news of the target.
  if (target === null || verb === null || phase === 'needs-arm') return [];
  const { reason, done, words } = verbs[verb].happened;
  const on = subjectOf(target, targetUid);
  const [self, other] = [surface.name, nameOf(target)];
  const both = (what: string, type: Occurrence['type'], note: string) => [
    { regarding: surface, related: on, type, reason: what, action: reason, note },
    { regarding: on, related: surface, type: 'Normal' as const, reason: what, action: reason, note },
  ];
  if (!wasAccepted) {
    const note = `Surface ${self} asked for ${want ?? 'something'} at ${other}: ${code}, ${detail}`;
    // That a number was out of date concerns whoever turned the knob, not the target's owner.
    return both(`${reason}Refused`, 'Warning', note).slice(0, phase === 'denied' ? 2 : 1);
  }
  if (phase === 'reverted' && code !== 'Superseded')
    return both(`${reason}Reverted`, 'Warning', `Surface ${self} had set ${other} to ${want}: ${detail}`);
  const blocked = phase === 'blocked' ? `; ${code}: ${detail}` : '';
  return both(`${done}BySurface`, 'Normal', `Surface ${self} ${words(other, saw, want)}${blocked}`);
}

/** The Event of a change of trust; null: none is worth it. @param before null: the surface was not known */
export function happeningOf(
  before: SurfaceTrust | null,
  after: SurfaceTrust | null,
  surface: Subject,
): Occurrence | null {
  if (after === null) return null;
  const about = { regarding: surface, related: null, action: 'Attest' };
  const isSame = before?.state === after.state;
  if (after.state === 'trusted' && (!isSame || before?.level !== after.level)) {
    const note = `Its evidence was accepted at level ${after.level ?? 0}: ${after.reason}`;
    return { ...about, type: 'Normal', reason: 'Attested', note };
  }
  if (after.state === 'failed' && (!isSame || before?.reason !== after.reason))
    return { ...about, type: 'Warning', reason: 'AttestationFailed', note: after.reason };
  return null;
}

/** The Event of a key that a surface has now. */
export const approvedHappening = (surface: Subject, ekSha256: string): Occurrence => ({
  regarding: surface,
  related: null,
  type: 'Normal',
  reason: 'Approved',
  action: 'Approve',
  note: `The TPM with the endorsement key ${ekSha256} is this surface now`,
});
