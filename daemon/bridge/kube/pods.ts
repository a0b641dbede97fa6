/** From a Pod of the API to the little that a light needs. Reasons as the kubelet and the scheduler write them. */
import { isDeepStrictEqual } from 'node:util';
import type { PodLight } from '../../surface/types.ts';
import { count, type Fields, fields, list, text, time } from './read.ts';
import type { EvictionFacts, PodState } from './types.ts';

const maxMessage = 256;
const maxContainers = 32;
/** The kubelet forgets earlier crashes when a container has run this long (crash-loop back-off reset). */
const crashMemoryMs = 600_000;
/** Waiting for these is how every container begins. */
const usualWaits = new Set(['', 'ContainerCreating', 'PodInitializing']);

interface Verdict {
  readonly light: PodLight;
  readonly reason: string;
  readonly message: string;
}

function conditionOf(status: Fields, type: string): Fields {
  return fields(list(status.conditions).find((condition) => fields(condition).type === type));
}

/** What is wrong with one container, null when nothing is. */
function troubleOf(container: Fields, now: number): Verdict | null {
  const state = fields(container.state);
  const last = fields(fields(container.lastState).terminated);
  const waiting = fields(state.waiting);
  const waitingFor = text(waiting.reason, 64);
  if (state.waiting !== undefined && !usualWaits.has(waitingFor))
    return { light: 'crashed', reason: waitingFor, message: text(waiting.message, maxMessage) };
  const ended = fields(state.terminated);
  if (state.terminated !== undefined && ended.exitCode !== 0) return crash(ended);
  // Between two crashes the container runs or is about to: still the same trouble.
  const isRestarted =
    count(container.restartCount) > 0 && typeof last.exitCode === 'number' && last.exitCode !== 0;
  const since = time(fields(state.running).startedAt) || time(last.finishedAt);
  return isRestarted && container.ready !== true && now - since < crashMemoryMs ? crash(last) : null;
}

function crash(ended: Fields): Verdict {
  const message = text(ended.message, maxMessage) || `exit code ${String(ended.exitCode)}`;
  return { light: 'crashed', reason: text(ended.reason, 64) || 'Error', message };
}

function verdictOf(pod: Fields, now: number): Verdict {
  const metadata = fields(pod.metadata);
  const status = fields(pod.status);
  if (metadata.deletionTimestamp) return { light: 'terminating', reason: 'Terminating', message: '' };
  const own = { reason: text(status.reason, 64), message: text(status.message, maxMessage) };
  if (status.phase === 'Failed')
    return { light: 'crashed', reason: own.reason || 'Failed', message: own.message };
  if (status.phase === 'Succeeded')
    return { light: 'terminating', reason: 'Completed', message: own.message };
  const ready = conditionOf(status, 'Ready');
  if (ready.status === 'True') return { light: 'ready', reason: '', message: '' };

  const init = list(status.initContainerStatuses).slice(0, maxContainers).map(fields);
  const containers = list(status.containerStatuses).slice(0, maxContainers).map(fields);
  for (const container of [...init, ...containers]) {
    const trouble = troubleOf(container, now);
    if (trouble !== null) return trouble;
  }
  if (status.phase === 'Running')
    return {
      light: 'running',
      reason: text(ready.reason, 64) || 'ContainersNotReady',
      message: text(ready.message, maxMessage),
    };
  const scheduled = conditionOf(status, 'PodScheduled');
  if (scheduled.status === 'False')
    return {
      light: 'pending',
      reason: text(scheduled.reason, 64) || 'Unschedulable',
      message: text(scheduled.message, maxMessage),
    };
  const waiting = fields(fields(containers[0]?.state).waiting);
  return {
    light: 'pending',
    reason: text(waiting.reason, 64) || own.reason || 'Pending',
    message: own.message,
  };
}

/** Ordinals and random suffixes alike are the last part of the name. */
function keyOf(name: string): string {
  return name.slice(name.lastIndexOf('-') + 1).slice(-16);
}

/**
 * Slim record of a Pod.
 * @param previous the record of the same Pod before; kept when nothing that is shown has changed
 * @param now Unix milliseconds, to tell recent crashes from old ones
 */
export function parsePod(pod: Fields, previous: PodState | undefined, now: number): PodState {
  const verdict = verdictOf(pod, now);
  if (
    previous !== undefined &&
    previous.light === verdict.light &&
    previous.reason === verdict.reason &&
    previous.message === verdict.message
  )
    return previous;
  const metadata = fields(pod.metadata);
  const name = text(metadata.name);
  return {
    uid: previous?.uid ?? text(metadata.uid, 64),
    name: previous?.name ?? name,
    key: previous?.key ?? keyOf(name),
    ...verdict,
    createdAt: previous?.createdAt ?? time(metadata.creationTimestamp),
  };
}

/** Pods that the kubelet runs from files of the Node are shown by the API under this annotation. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** What a drain has to know of a Pod, as `kubectl drain` judges it (kubectl, pkg/drain filters). */
export function evictionOf(pod: Fields): EvictionFacts {
  const metadata = fields(pod.metadata);
  const owner = list(metadata.ownerReferences)
    .map(fields)
    .find(({ controller }) => controller === true);
  const { phase } = fields(pod.status);
  return {
    namespace: text(metadata.namespace),
    stays: owner?.kind === 'DaemonSet' || fields(metadata.annotations)[mirrorAnnotation] !== undefined,
    isFinished: phase === 'Succeeded' || phase === 'Failed',
    hasLocalData: list(fields(pod.spec).volumes).some((volume) => fields(volume).emptyDir !== undefined),
    hasController: owner !== undefined,
  };
}

/** Slim record of a Pod on a Node; parameters as {@link parsePod}. */
export function parseNodePod(pod: Fields, previous: PodState | undefined, now: number): PodState {
  const slim = parsePod(pod, previous, now);
  const eviction = evictionOf(pod);
  // Owners come and go without anything else of it.
  return slim === previous && isDeepStrictEqual(previous.eviction, eviction)
    ? previous
    : { ...slim, eviction };
}
