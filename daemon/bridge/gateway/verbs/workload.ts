/** What verbs on workloads have in common: how Pods are counted, shown and judged. Pure. */
import type { SlotCondition } from '../../../surface/types.ts';
import type { PodState, TargetSnapshot } from '../../kube/types.ts';
import { type Trouble, troubleOf } from '../trouble.ts';
import type { BlockedNote, Shown } from './verb.ts';

/** Pods that are on their way out. */
export const leaving = ({ pods }: TargetSnapshot): number =>
  pods.filter(({ light }) => light === 'terminating').length;

/** The controller has taken the object in, and as many Pods as it wants exist and are ready. */
export const isSettled = ({ target }: TargetSnapshot): boolean =>
  target !== null &&
  target.observedGeneration >= target.generation &&
  target.observed === target.desired &&
  target.ready === target.desired;

/** Differs whenever a Pod has come, gone or become ready. */
export const podMark = (snapshot: TargetSnapshot): string => {
  const { target, pods } = snapshot;
  return `${target?.observed}/${target?.ready}/${target?.settings.updated}/${pods.length}/${leaving(snapshot)}`;
};

/** Why Pods do not come or go, where nothing tells. */
export function stalledPods(snapshot: TargetSnapshot, want: number): Trouble {
  const { target } = snapshot;
  const left = leaving(snapshot);
  const isDown = left > 0 && target !== null && target.ready >= want;
  return {
    reason: isDown ? 'StillTerminating' : 'NotReady',
    message: isDown
      ? `${left} Pods do not go away.`
      : `${target?.ready ?? 0} of ${want} Pods are ready and it has stopped there.`,
    settleMs: 0,
  };
}

/** Pods keep their place: those of a StatefulSet by ordinal, others by age. */
export function inOrder(pods: readonly PodState[], kind: string): readonly PodState[] {
  const byName = (a: PodState, b: PodState): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const byAge = (a: PodState, b: PodState): number => a.createdAt - b.createdAt || byName(a, b);
  const byOrdinal = (a: PodState, b: PodState): number => Number(a.key) - Number(b.key) || byAge(a, b);
  return [...pods].sort(kind === 'StatefulSet' ? byOrdinal : byAge);
}

/** A workload as its Pods show it. */
export const showWorkload = (snapshot: TargetSnapshot, note: BlockedNote | null, kind: string): Shown => ({
  observed: snapshot.target?.observed ?? 0,
  ready: snapshot.target?.ready ?? 0,
  lights: inOrder(snapshot.pods, kind).map(({ key, light }) => [key.slice(0, 16), light]),
  condition: conditionOf(snapshot, note),
});

const unread: SlotCondition = {
  state: 'unknown',
  reason: 'NotReadYet',
  message: 'The state has not been read yet.',
};
const well: SlotCondition = { state: 'ok', reason: '', message: '' };

/** What can be said of any object: that it is there and not about to go; null: nothing is wrong so far. */
export function commonCondition({ target, problem }: TargetSnapshot): SlotCondition | null {
  if (problem) return problem;
  if (!target) return unread;
  if (target.isDeleting)
    return { state: 'progressing', reason: 'Deleting', message: 'The target is being deleted.' };
  return null;
}

/** How an object is that has no Pods of its own. */
export const plainCondition = (snapshot: TargetSnapshot): SlotCondition => commonCondition(snapshot) ?? well;

/** How a workload is, in one word and one sentence. */
export function conditionOf(snapshot: TargetSnapshot, note: BlockedNote | null): SlotCondition {
  const common = commonCondition(snapshot);
  const { target } = snapshot;
  if (common !== null || target === null) return common ?? unread;
  const { desired, observed, ready } = target;
  const hasSettled = isSettled(snapshot);
  const isLeaving = leaving(snapshot) > 0;
  if (hasSettled && !isLeaving) return well;
  const isNoted = note?.desired === desired && ready <= note.ready;
  const trouble = hasSettled ? null : (troubleOf(snapshot) ?? (isNoted ? note : null));
  if (trouble) return { state: 'blocked', reason: trouble.reason, message: trouble.message };
  if (observed > desired || (hasSettled && isLeaving))
    return { state: 'progressing', reason: 'ScalingDown', message: `Going down to ${desired}.` };
  const reason = observed < desired ? 'ScalingUp' : 'Starting';
  return { state: 'progressing', reason, message: `${ready} of ${desired} Pods are ready.` };
}
