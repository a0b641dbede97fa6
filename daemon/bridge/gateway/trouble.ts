/**
 * Why a target does not get to where it should: read from its conditions, its Pods and warning events, most
 * telling first. Words follow recordings of a v1.36 control plane (test/fixtures/kube/06).
 */
import type { TargetSnapshot, WarningEvent } from '../kube/types.ts';
import { cut } from './command.ts';

/** A reason in Kubernetes' own word, and a sentence for people. */
export interface Trouble {
  readonly reason: string;
  readonly message: string;
  /** How long it must last before a command ends for it, milliseconds: some troubles pass by themselves. */
  readonly settleMs: number;
}

const defaultSettleMs = 3000;

/** Reasons of a Pod that it does not grow out of while one waits; starting and pulling are not among them. */
const podTroubles: ReadonlyMap<string, { words: string; settleMs: number }> = new Map([
  ['CrashLoopBackOff', { words: 'crash again and again', settleMs: defaultSettleMs }],
  ['ImagePullBackOff', { words: 'cannot pull their image', settleMs: defaultSettleMs }],
  ['ErrImagePull', { words: 'cannot pull their image', settleMs: defaultSettleMs }],
  ['ErrImageNeverPull', { words: 'may not pull their image', settleMs: defaultSettleMs }],
  ['InvalidImageName', { words: 'have an image name that is wrong', settleMs: defaultSettleMs }],
  ['CreateContainerConfigError', { words: 'miss a part of their configuration', settleMs: defaultSettleMs }],
  ['CreateContainerError', { words: 'cannot be made', settleMs: defaultSettleMs }],
  ['RunContainerError', { words: 'cannot be started', settleMs: defaultSettleMs }],
  ['OOMKilled', { words: 'run out of memory', settleMs: defaultSettleMs }],
  ['StartError', { words: 'cannot be started', settleMs: defaultSettleMs }],
  ['ContainerCannotRun', { words: 'cannot be started', settleMs: defaultSettleMs }],
  // One crash may be a service that came up before what it needs.
  ['Error', { words: 'crash', settleMs: 10_000 }],
  // A cluster autoscaler may be adding a node.
  ['Unschedulable', { words: 'find no node', settleMs: 15_000 }],
]);

/** The trouble that the snapshot shows, or null when everything is well or on its way. */
export function troubleOf(snapshot: TargetSnapshot): Trouble | null {
  const { target } = snapshot;
  if (!target) return null;
  const failure = target.conditions.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  if (failure && target.observed !== target.desired) return createTrouble(failure.reason, failure.message);
  const pods = podTrouble(snapshot);
  if (pods) return pods;
  const progress = target.conditions.find(({ type }) => type === 'Progressing');
  if (progress?.status === 'False' && target.ready < target.desired)
    return {
      reason: progress.reason || 'ProgressDeadlineExceeded',
      message:
        `${target.ready} of ${target.desired} Pods are ready and there is no progress. ${progress.message}`.trim(),
      settleMs: defaultSettleMs,
    };
  if (target.isPaused && target.observed !== target.desired && target.observedGeneration >= target.generation)
    return {
      reason: 'Paused',
      message: `The rollout is paused: ${target.observed} of ${target.desired} Pods exist.`,
      settleMs: defaultSettleMs,
    };
  return null;
}

function podTrouble({ pods, target }: TargetSnapshot): Trouble | null {
  const counts = new Map<string, { count: number; message: string }>();
  for (const pod of pods) {
    if (pod.light === 'ready' || pod.light === 'terminating' || !podTroubles.has(pod.reason)) continue;
    const entry = counts.get(pod.reason) ?? { count: 0, message: pod.message };
    counts.set(pod.reason, { ...entry, count: entry.count + 1 });
  }
  const worst = [...counts].sort((a, b) => b[1].count - a[1].count)[0];
  if (!worst) return null;
  const [reason, { count, message }] = worst;
  const kind = podTroubles.get(reason);
  const text = `${count} of ${target?.desired ?? pods.length} Pods ${kind?.words ?? 'are in trouble'}. ${message}`;
  return { reason, message: text.trim(), settleMs: kind?.settleMs ?? defaultSettleMs };
}

/** Trouble from the events, for kinds whose status does not tell: a StatefulSet has no ReplicaFailure. */
export function troubleOfEvents(events: readonly WarningEvent[], since: number): Trouble | null {
  const failed = events.find(({ reason, at }) => reason === 'FailedCreate' && at >= since);
  return failed ? createTrouble(failed.reason, failed.message) : null;
}

/** Pods that cannot even be created: quota, admission, or the API's own words. */
function createTrouble(reason: string, message: string): Trouble {
  const quota = quotaWords(message);
  if (quota) return { reason: 'QuotaExceeded', message: quota, settleMs: defaultSettleMs };
  if (/admission webhook .* denied|ValidatingAdmissionPolicy|violates PodSecurity/.test(message))
    return { reason: 'AdmissionDenied', message: apiText(message), settleMs: defaultSettleMs };
  return { reason: reason || 'FailedCreate', message: apiText(message), settleMs: defaultSettleMs };
}

/**
 * The numbers of a quota refusal, as the ResourceQuota admission plug-in words them: `exceeded quota: NAME,
 * requested: pods=1, used: pods=2, limited: pods=2`. Null when the text is something else.
 */
export function quotaWords(message: string): string | null {
  const match = /exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+?)(?:$|[;\n])/.exec(
    message,
  );
  if (!match) return null;
  const [, name, requested, used, limited] = match;
  return cut(`Quota ${name} is used up: ${used} of ${limited} in use, ${requested} more asked for.`, 400);
}

/** The API's text without what every such text begins with. */
const apiText = (message: string): string => cut(message.replace(/^Error creating: /, ''), 400);
