/** What a slot message says of a target: the snapshot in the words of the wire. Pure. */
import type { BindingConfig } from '../../config/schema.ts';
import type { Colour, SlotCondition, SlotOwner } from '../../surface/types.ts';
import type { PodState, TargetSnapshot } from '../kube/types.ts';
import type { SlotMessage } from '../wire/messages.ts';
import { cut } from './command.ts';
import { gitopsName } from './guards.ts';
import { nameOf } from './slots.ts';
import { troubleOf } from './trouble.ts';

/** Everything of a slot message that a change is measured by. */
export type SlotBody = Omit<SlotMessage, 'v' | 'rev' | 'at'>;

/** Why the last command for a target ended as blocked, where its status does not tell. */
export interface BlockedNote {
  readonly desired: number;
  /** Pods that were ready then; when more are, it goes on and the reason is of the past. */
  readonly ready: number;
  readonly reason: string;
  readonly message: string;
}

/** Most Pods that a message may name. */
const maxPods = 512;

/** The slot message of a binding, from what is known of its target. */
export function slotBody(
  binding: BindingConfig,
  colour: Colour,
  snapshot: TargetSnapshot,
  note: BlockedNote | null,
): SlotBody {
  const { target } = snapshot;
  const pods = inOrder(snapshot.pods, binding.target.kind);
  const { state, reason, message } = conditionOf(snapshot, note);
  return {
    name: nameOf(binding),
    colour,
    kind: binding.target.kind,
    desired: target?.desired ?? null,
    observed: target?.observed ?? 0,
    ready: target?.ready ?? 0,
    pods: pods.slice(0, maxPods).map(({ key, light }) => [key.slice(0, 16), light]),
    podsLeftOut: Math.max(0, pods.length - maxPods),
    condition: { state, reason: reason.slice(0, 64), message: cut(message, 512) },
    owner: ownerOf(snapshot),
  };
}

/** Pods keep their place: StatefulSet Pods by ordinal, others by age. */
function inOrder(pods: readonly PodState[], kind: string): readonly PodState[] {
  const byName = (a: PodState, b: PodState): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const byAge = (a: PodState, b: PodState): number => a.createdAt - b.createdAt || byName(a, b);
  const byOrdinal = (a: PodState, b: PodState): number => Number(a.key) - Number(b.key) || byAge(a, b);
  return [...pods].sort(kind === 'StatefulSet' ? byOrdinal : byAge);
}

/** How the target is, in one word and one sentence. */
export function conditionOf(snapshot: TargetSnapshot, note: BlockedNote | null): SlotCondition {
  const { target, problem } = snapshot;
  if (problem) return problem;
  if (!target) return { state: 'unknown', reason: 'NotReadYet', message: 'The state has not been read yet.' };
  const { desired, observed, ready } = target;
  if (target.isDeleting)
    return { state: 'progressing', reason: 'Deleting', message: 'The target is being deleted.' };
  const isSettled =
    target.observedGeneration >= target.generation && observed === desired && ready === desired;
  const isLeaving = snapshot.pods.some(({ light }) => light === 'terminating');
  if (isSettled && !isLeaving) return { state: 'ok', reason: '', message: '' };
  const isNoted = note?.desired === desired && ready <= note.ready;
  const trouble = isSettled ? null : (troubleOf(snapshot) ?? (isNoted ? note : null));
  if (trouble) return { state: 'blocked', reason: trouble.reason, message: trouble.message };
  if (observed > desired || (isSettled && isLeaving))
    return { state: 'progressing', reason: 'ScalingDown', message: `Going down to ${desired}.` };
  const reason = observed < desired ? 'ScalingUp' : 'Starting';
  return { state: 'progressing', reason, message: `${ready} of ${desired} Pods are ready.` };
}

/** Who else decides about the number. */
function ownerOf({ autoscaler, target }: TargetSnapshot): SlotOwner | null {
  if (autoscaler) return { kind: 'autoscaler', name: autoscaler.name.slice(0, 128) };
  if (target?.gitops) return { kind: 'gitops', name: gitopsName(target.gitops).slice(0, 128) };
  return null;
}
