/** ReplicaSets and ReplicationControllers: as many Pods as spec.replicas says, and a status that counts them. */
import {
  controllerOf,
  isDeleting,
  isReady,
  type ObjectCondition,
  type Pod,
  timestamp,
  type Workload,
} from '../objects.ts';
import { builtin, type Resource } from '../resources.ts';
import { StatusError } from '../status.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, deleteObject, updateStatus } from '../writes.ts';
import { makePod } from './make-pod.ts';
import { splitKey, WorkQueue } from './queue.ts';

/** kube-controller-manager: burstReplicas. */
const BURST = 500;
const LONGEST_RETRY_MS = 5000;

/** Runs the controller for one of the two kinds. */
export function startReplicaSets(world: World, resource: Resource): void {
  const failures = new Map<string, number>();
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const set = world.store.get<Workload>(resource, namespace, name);
    if (set === null || isDeleting(set)) {
      failures.delete(key);
      return;
    }
    const outcome = sync(world, resource, set);
    if (outcome === 'more') queue.add(key, 1);
    const failed = outcome === 'failed' ? (failures.get(key) ?? 0) + 1 : 0;
    failures.set(key, failed);
    if (failed > 0) queue.add(key, Math.min(LONGEST_RETRY_MS, 10 * 2 ** failed));
  });
  const hop = (): number => world.random.jitter(world.timing.createMs);
  world.store.on(resource, (event) => {
    if (event.type !== 'DELETED') queue.add(keyOf(event.object), hop());
  });
  world.store.on(builtin.pods, (event) => {
    const owner = controllerOf(event.object);
    if (owner?.kind === resource.kind) {
      queue.add(`${event.object.metadata.namespace}/${owner.name}`, hop());
    }
  });
}

function sync(world: World, resource: Resource, set: Workload): 'done' | 'more' | 'failed' {
  const pods = [...world.store.ownedBy(set.metadata.uid)] as Pod[];
  const active = pods.filter(isActive);
  const missing = set.spec.replicas - active.length;
  let failure: StatusError | null = null;
  if (missing > 0) failure = createPods(world, resource, set, Math.min(missing, BURST));
  else if (missing < 0) deletePods(world, resource, set, active, -missing);
  writeStatus(world, resource, set, failure);
  if (failure !== null) return 'failed';
  return Math.abs(missing) > BURST ? 'more' : 'done';
}

function isActive(pod: Pod): boolean {
  return !isDeleting(pod) && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed';
}

function reporterOf(resource: Resource): string {
  return resource.kind === 'ReplicaSet' ? 'replicaset-controller' : 'replication-controller';
}

/** Batches of 1, 2, 4 ... Pods; the first batch with a failure is the last (slowStartBatch). */
function createPods(world: World, resource: Resource, set: Workload, wanted: number): StatusError | null {
  let failure: StatusError | null = null;
  for (let batch = 1, made = 0; made < wanted && failure === null; made += batch, batch *= 2) {
    for (let index = 0; index < Math.min(batch, wanted - made); index++) {
      const name = `${set.metadata.name}-${world.random.suffix(5)}`;
      try {
        makePod(world, set, name, null);
        const message = `Created pod: ${name}`;
        world.events.record(set, 'Normal', 'SuccessfulCreate', message, reporterOf(resource));
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        failure = error;
        const message = `Error creating: ${error.message}`;
        world.events.record(set, 'Warning', 'FailedCreate', message, reporterOf(resource));
      }
    }
  }
  return failure;
}

function deletePods(
  world: World,
  resource: Resource,
  set: Workload,
  active: readonly Pod[],
  count: number,
): void {
  const victims = [...active].sort(byUsefulness).slice(0, Math.min(count, BURST));
  for (const pod of victims) {
    deleteObject(world, builtin.pods, pod, null);
    const message = `Deleted pod: ${pod.metadata.name}`;
    world.events.record(set, 'Normal', 'SuccessfulDelete', message, reporterOf(resource));
  }
}

/** Unassigned, then pending, then not ready, then the newest go first (controller.ActivePodsWithRanks). */
function byUsefulness(a: Pod, b: Pod): number {
  const rank = (pod: Pod): number =>
    (pod.spec.nodeName === undefined ? 0 : 4) +
    (pod.status.phase === 'Pending' ? 0 : 2) +
    (isReady(pod) ? 1 : 0);
  const difference = rank(a) - rank(b);
  if (difference !== 0) return difference;
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1;
}

function writeStatus(world: World, resource: Resource, before: Workload, failure: StatusError | null): void {
  const set = world.store.get<Workload>(resource, before.metadata.namespace ?? '', before.metadata.name);
  if (set === null) return;
  let replicas = 0;
  let ready = 0;
  let terminating = 0;
  for (const one of world.store.ownedBy(set.metadata.uid)) {
    const pod = one as Pod;
    if (isDeleting(pod)) terminating++;
    else if (isActive(pod)) {
      replicas++;
      if (isReady(pod)) ready++;
    }
  }
  const conditions = failureConditions(world, set, failure);
  const status = {
    replicas,
    ...(replicas > 0 ? { fullyLabeledReplicas: replicas } : {}),
    ...(ready > 0 ? { readyReplicas: ready, availableReplicas: ready } : {}),
    ...(resource.kind === 'ReplicaSet' ? { terminatingReplicas: terminating } : {}),
    observedGeneration: set.metadata.generation,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
  updateStatus(world, resource, set, status, controllerManager(world, 'status'));
}

function failureConditions(
  world: World,
  set: Workload,
  failure: StatusError | null,
): readonly ObjectCondition[] {
  const others = (set.status.conditions ?? []).filter((one) => one.type !== 'ReplicaFailure');
  if (failure === null) return others;
  const before = set.status.conditions?.find((one) => one.type === 'ReplicaFailure');
  // The first message stays, as the controller only sets the condition when it is absent.
  if (before !== undefined) return set.status.conditions ?? [];
  const condition: ObjectCondition = {
    type: 'ReplicaFailure',
    status: 'True',
    lastTransitionTime: timestamp(world.now()),
    reason: 'FailedCreate',
    message: failure.message,
  };
  return [...others, condition];
}
