/** Deployments: a ReplicaSet per template, rolled and scaled as kube-controller-manager's deployment controller does. */

import { isDeleting, ownerReference, type Workload } from '../objects.ts';
import { templateHash } from '../random.ts';
import { builtin } from '../resources.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, createObject, deleteObject, updateObject } from '../writes.ts';
import { markCreated, writeStatus } from './deployment-status.ts';
import { splitKey, WorkQueue } from './queue.ts';
import { type Room, roomOf } from './strategy.ts';

const PREFIX = 'deployment.kubernetes.io/';

/** The ReplicaSets of a Deployment, oldest first. */
function setsOf(world: World, deployment: Workload): Workload[] {
  const sets = [...world.store.ownedBy(deployment.metadata.uid)] as Workload[];
  return sets
    .filter((one) => one.kind === 'ReplicaSet' && !isDeleting(one))
    .sort((a, b) => revisionOf(a) - revisionOf(b));
}

function revisionOf(object: Workload): number {
  return Number(object.metadata.annotations?.[`${PREFIX}revision`] ?? 0);
}

/** Runs the controller. */
export function startDeployments(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const deployment = world.store.get<Workload>(builtin.deployments, namespace, name);
    if (deployment === null || isDeleting(deployment)) return;
    const lookAgainMs = sync(world, deployment);
    if (lookAgainMs !== null) queue.add(key, lookAgainMs);
  });
  const hop = (): number => world.random.jitter(world.timing.createMs);
  world.store.on(builtin.deployments, (event) => {
    if (event.type !== 'DELETED') queue.add(keyOf(event.object), hop());
  });
  world.store.on(builtin.replicaSets, (event) => {
    const owner = event.object.metadata.ownerReferences?.find((one) => one.kind === 'Deployment');
    if (owner !== undefined) queue.add(`${event.object.metadata.namespace}/${owner.name}`, hop());
  });
}

/** @returns after which time the progress deadline may have passed, or null */
function sync(world: World, deployment: Workload): number | null {
  const hash = templateHash(deployment.spec.template);
  const sets = setsOf(world, deployment);
  const current = sets.find((one) => one.metadata.name === `${deployment.metadata.name}-${hash}`) ?? null;
  const isPaused = deployment.spec.paused === true;
  if (isPaused || isScaling(deployment, sets)) {
    // The status is of the ReplicaSets as they were: the recorded controller writes it before it sees its own change.
    writeStatus(world, deployment, sets, current, { isProgressJudged: false });
    scale(world, deployment, sets, current);
    return null;
  }
  if (current === null) {
    if (isRecreate(deployment) && !isDrained(world, deployment, sets)) {
      return writeStatus(world, deployment, sets, null, { isProgressJudged: true });
    }
    const created = createSet(world, deployment, sets, hash);
    const marked = markCreated(world, deployment, created, revisionOf(created));
    return writeStatus(world, marked, sets, created, { isProgressJudged: true });
  }
  const lookAgainMs = writeStatus(world, deployment, sets, current, { isProgressJudged: true });
  roll(world, deployment, sets, current);
  return lookAgainMs;
}

function isRecreate(deployment: Workload): boolean {
  return (deployment.spec.strategy as { type?: string } | undefined)?.type === 'Recreate';
}

/** Scales the old sets of a Recreate rollout down; true once no Pod is left. */
function isDrained(world: World, deployment: Workload, sets: readonly Workload[]): boolean {
  for (const set of sets) resize(world, deployment, set, 0);
  return sets.every((set) => [...world.store.ownedBy(set.metadata.uid)].length === 0);
}

/** A ReplicaSet that was made for another number of replicas tells a scaling from a rollout. */
function isScaling(deployment: Workload, sets: readonly Workload[]): boolean {
  return sets.some((set) => {
    const desired = set.metadata.annotations?.[`${PREFIX}desired-replicas`];
    return set.spec.replicas > 0 && desired !== undefined && Number(desired) !== deployment.spec.replicas;
  });
}

function scale(
  world: World,
  deployment: Workload,
  sets: readonly Workload[],
  current: Workload | null,
): void {
  const active = sets.filter((one) => one.spec.replicas > 0);
  const { replicas } = deployment.spec;
  const only = active.length > 1 ? null : (active[0] ?? current);
  if (only !== null) {
    resize(world, deployment, only, replicas);
    return;
  }
  // Proportional scaling: every active set keeps its share, the newest takes the rest.
  const total = active.reduce((sum, one) => sum + one.spec.replicas, 0);
  const allowed = replicas === 0 ? 0 : replicas + roomOf(deployment).surge;
  let left = allowed - total;
  for (const set of active) {
    const isLast = set === active.at(-1);
    const share = isLast ? left : Math.trunc((set.spec.replicas * (allowed - total)) / Math.max(1, total));
    left -= share;
    resize(world, deployment, set, Math.max(0, set.spec.replicas + share));
  }
}

function roll(world: World, deployment: Workload, sets: readonly Workload[], current: Workload): void {
  const { replicas } = deployment.spec;
  const room = roomOf(deployment);
  const old = sets.filter((one) => one !== current);
  const total = sets.reduce((sum, one) => sum + one.spec.replicas, 0);
  if (revisionOf(current) < Math.max(0, ...old.map(revisionOf))) {
    // A rollback: an old template becomes the newest revision again.
    annotate(world, deployment, current, Math.max(...old.map(revisionOf)) + 1);
    return;
  }
  if (current.spec.replicas > replicas) {
    resize(world, deployment, current, replicas);
    return;
  }
  if (current.spec.replicas < replicas) {
    const free = replicas + room.surge - total;
    const grown = current.spec.replicas + Math.min(Math.max(0, free), replicas - current.spec.replicas);
    if (grown > current.spec.replicas) {
      resize(world, deployment, current, grown);
      return;
    }
  }
  drainOld(world, deployment, old, current, room);
  trimHistory(world, deployment, old);
}

/** Takes old Pods away: the broken ones first, then as many as availability allows. */
function drainOld(
  world: World,
  deployment: Workload,
  old: readonly Workload[],
  current: Workload,
  room: Room,
): void {
  const available = (set: Workload): number => set.status.availableReplicas ?? 0;
  const total = [...old, current].reduce((sum, one) => sum + one.spec.replicas, 0);
  const minimum = deployment.spec.replicas - room.unavailable;
  let budget = total - minimum - (current.spec.replicas - available(current));
  let spare = old.reduce((sum, one) => sum + available(one), available(current)) - minimum;
  for (const set of old) {
    if (set.spec.replicas === 0 || budget <= 0) continue;
    const broken = Math.min(budget, set.spec.replicas - available(set));
    const healthy = Math.min(Math.max(0, spare), budget - broken, set.spec.replicas - broken);
    budget -= broken + healthy;
    spare -= healthy;
    if (broken + healthy > 0) resize(world, deployment, set, set.spec.replicas - broken - healthy);
  }
}

function trimHistory(world: World, deployment: Workload, old: readonly Workload[]): void {
  const limit = Number(deployment.spec.revisionHistoryLimit ?? 10);
  const empty = old.filter((one) => one.spec.replicas === 0 && (one.status.replicas ?? 0) === 0);
  for (const set of empty.slice(0, Math.max(0, empty.length - limit))) {
    deleteObject(world, builtin.replicaSets, set, null);
  }
}

function annotationsFor(deployment: Workload, revision: number): Record<string, string> {
  return {
    [`${PREFIX}desired-replicas`]: String(deployment.spec.replicas),
    [`${PREFIX}max-replicas`]: String(deployment.spec.replicas + roomOf(deployment).surge),
    [`${PREFIX}revision`]: String(revision),
  };
}

function createSet(world: World, deployment: Workload, sets: readonly Workload[], hash: string): Workload {
  const { template, selector, replicas } = deployment.spec;
  const labels = { ...template.metadata?.labels, 'pod-template-hash': hash };
  const total = sets.reduce((sum, one) => sum + one.spec.replicas, 0);
  const room = Math.max(0, replicas + roomOf(deployment).surge - total);
  const size = isRecreate(deployment) ? replicas : Math.min(replicas, room);
  const { creationTimestamp: _, ...meta } = (template.metadata ?? {}) as Record<string, unknown>;
  const created = createObject(
    world,
    builtin.replicaSets,
    {
      kind: 'ReplicaSet',
      apiVersion: 'apps/v1',
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        namespace: deployment.metadata.namespace ?? 'default',
        labels,
        annotations: annotationsFor(deployment, Math.max(0, ...sets.map(revisionOf)) + 1),
        ownerReferences: [ownerReference(deployment)],
      },
      spec: {
        replicas: size,
        selector: {
          ...selector,
          matchLabels: { ...(selector.matchLabels as object | undefined), 'pod-template-hash': hash },
        },
        template: { ...template, metadata: { ...meta, labels } },
      },
      status: { replicas: 0 },
    },
    controllerManager(world, ''),
  ) as Workload;
  if (size > 0) announce(world, deployment, created, 0, size);
  return created;
}

function resize(world: World, deployment: Workload, set: Workload, replicas: number): void {
  const annotations = { ...set.metadata.annotations, ...annotationsFor(deployment, revisionOf(set)) };
  const next = {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, replicas },
  };
  updateObject(world, builtin.replicaSets, set, next, controllerManager(world, ''));
  if (set.spec.replicas !== replicas) announce(world, deployment, set, set.spec.replicas, replicas);
}

function annotate(world: World, deployment: Workload, set: Workload, revision: number): void {
  const annotations = { ...set.metadata.annotations, ...annotationsFor(deployment, revision) };
  const next = { ...set, metadata: { ...set.metadata, annotations } };
  updateObject(world, builtin.replicaSets, set, next, controllerManager(world, ''));
}

function announce(world: World, deployment: Workload, set: Workload, from: number, to: number): void {
  const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${to}`;
  world.events.record(deployment, 'Normal', 'ScalingReplicaSet', message, 'deployment-controller');
}
