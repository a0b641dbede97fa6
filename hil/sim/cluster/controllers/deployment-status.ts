/** status of a Deployment: the counts, and the conditions Available, Progressing and ReplicaFailure. */
import { type ObjectCondition, timestamp, type Workload, withCondition as withChanged } from '../objects.ts';
import { builtin } from '../resources.ts';
import type { World } from '../world.ts';
import { controllerManager, updateObject, updateStatus } from '../writes.ts';
import { roomOf } from './strategy.ts';

function condition(
  world: World,
  type: string,
  status: ObjectCondition['status'],
  reason: string,
  message: string,
): ObjectCondition {
  const now = timestamp(world.now());
  return { type, status, lastUpdateTime: now, lastTransitionTime: now, reason, message };
}

/** First status of a rollout: the revision is noted and the new ReplicaSet announced (recording 02). */
export function markCreated(
  world: World,
  deployment: Workload,
  created: Workload,
  revision: number,
): Workload {
  const message = `Created new replica set "${created.metadata.name}"`;
  const progressing = condition(world, 'Progressing', 'True', 'NewReplicaSetCreated', message);
  const next = {
    ...deployment,
    metadata: {
      ...deployment.metadata,
      annotations: {
        ...deployment.metadata.annotations,
        'deployment.kubernetes.io/revision': String(revision),
      },
    },
    status: {
      ...deployment.status,
      conditions: withChanged(deployment.status.conditions ?? [], progressing),
    },
  };
  const writer = controllerManager(world, 'status');
  return updateObject(world, builtin.deployments, deployment, next, writer) as Workload;
}

/**
 * Writes the status that follows from the ReplicaSets.
 * @returns after which time the progress deadline may have passed, or null
 */
export function writeStatus(
  world: World,
  deployment: Workload,
  sets: readonly Workload[],
  current: Workload | null,
  options: { readonly isProgressJudged: boolean },
): number | null {
  const all = current === null || sets.includes(current) ? sets : [...sets, current];
  const sum = (pick: (set: Workload) => number): number => all.reduce((total, set) => total + pick(set), 0);
  const available = sum((set) => set.status.availableReplicas ?? 0);
  const counts = {
    replicas: sum((set) => set.status.replicas ?? 0),
    updatedReplicas: current?.status.replicas ?? 0,
    readyReplicas: sum((set) => set.status.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum((set) => set.spec.replicas) - available),
  };
  const before = deployment.status;
  let conditions = before.conditions ?? [];
  if (!options.isProgressJudged) conditions = withPause(world, deployment, conditions);
  conditions = withAvailability(world, deployment, conditions, available);
  let lookAgainMs: number | null = null;
  if (options.isProgressJudged) {
    conditions = withFailure(world, conditions, all);
    const judged = withProgress(world, deployment, conditions, current, counts);
    conditions = judged.conditions;
    lookAgainMs = judged.lookAgainMs;
  }
  const status = {
    observedGeneration: deployment.metadata.generation,
    ...Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0)),
    terminatingReplicas: sum((set) => set.status.terminatingReplicas ?? 0),
    conditions,
  };
  updateStatus(world, builtin.deployments, deployment, status, controllerManager(world, 'status'));
  return lookAgainMs;
}

function withAvailability(
  world: World,
  deployment: Workload,
  conditions: readonly ObjectCondition[],
  available: number,
): readonly ObjectCondition[] {
  const isAvailable = available >= deployment.spec.replicas - roomOf(deployment).unavailable;
  const next = isAvailable
    ? condition(
        world,
        'Available',
        'True',
        'MinimumReplicasAvailable',
        'Deployment has minimum availability.',
      )
    : condition(
        world,
        'Available',
        'False',
        'MinimumReplicasUnavailable',
        'Deployment does not have minimum availability.',
      );
  return withChanged(conditions, next);
}

function withFailure(
  world: World,
  conditions: readonly ObjectCondition[],
  sets: readonly Workload[],
): readonly ObjectCondition[] {
  const failure = sets
    .flatMap((set) => set.status.conditions ?? [])
    .find((one) => one.type === 'ReplicaFailure' && one.status === 'True');
  if (failure === undefined) {
    const kept = conditions.filter((one) => one.type !== 'ReplicaFailure');
    return kept.length === conditions.length ? conditions : kept;
  }
  const { reason = '', message = '' } = failure;
  return withChanged(conditions, condition(world, 'ReplicaFailure', 'True', reason, message));
}

function withPause(
  world: World,
  deployment: Workload,
  conditions: readonly ObjectCondition[],
): readonly ObjectCondition[] {
  const progressing = conditions.find((one) => one.type === 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded') return conditions;
  const isPaused = deployment.spec.paused === true;
  if (isPaused && progressing?.reason !== 'DeploymentPaused') {
    const paused = condition(world, 'Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused');
    return withChanged(conditions, paused);
  }
  if (!isPaused && progressing?.reason === 'DeploymentPaused') {
    const text = 'Deployment is resumed';
    return withChanged(conditions, condition(world, 'Progressing', 'Unknown', 'DeploymentResumed', text));
  }
  return conditions;
}

function withProgress(
  world: World,
  deployment: Workload,
  conditions: readonly ObjectCondition[],
  current: Workload | null,
  counts: Readonly<Record<string, number>>,
): { conditions: readonly ObjectCondition[]; lookAgainMs: number | null } {
  const progressing = conditions.find((one) => one.type === 'Progressing');
  const name = current?.metadata.name ?? deployment.metadata.name;
  const { replicas } = deployment.spec;
  const { status: before } = deployment;
  const isSettled =
    counts.replicas === counts.updatedReplicas && progressing?.reason === 'NewReplicaSetAvailable';
  if (isSettled) return { conditions, lookAgainMs: null };
  const isComplete =
    current !== null &&
    counts.updatedReplicas === replicas &&
    counts.replicas === replicas &&
    counts.availableReplicas === replicas;
  if (isComplete) {
    const text = `ReplicaSet "${name}" has successfully progressed.`;
    const done = condition(world, 'Progressing', 'True', 'NewReplicaSetAvailable', text);
    return { conditions: withChanged(conditions, done), lookAgainMs: null };
  }
  const isMoving =
    (counts.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    (counts.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (counts.availableReplicas ?? 0) > (before.availableReplicas ?? 0) ||
    (counts.replicas ?? 0) - (counts.updatedReplicas ?? 0) <
      (before.replicas ?? 0) - (before.updatedReplicas ?? 0);
  const deadlineMs = Number(deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
  if (isMoving) {
    const text = `ReplicaSet "${name}" is progressing.`;
    const moving = condition(world, 'Progressing', 'True', 'ReplicaSetUpdated', text);
    const kept =
      progressing?.status === 'True' && progressing.lastTransitionTime !== undefined
        ? { ...moving, lastTransitionTime: progressing.lastTransitionTime }
        : moving;
    const others = conditions.filter((one) => one.type !== 'Progressing');
    return { conditions: [...others, kept], lookAgainMs: deadlineMs + 1000 };
  }
  if (progressing === undefined || progressing.reason === 'ProgressDeadlineExceeded') {
    return { conditions, lookAgainMs: null };
  }
  const sinceMs = world.now() - Date.parse(String(progressing.lastUpdateTime));
  if (sinceMs < deadlineMs) return { conditions, lookAgainMs: deadlineMs - sinceMs + 1000 };
  const text = `ReplicaSet "${name}" has timed out progressing.`;
  const late = condition(world, 'Progressing', 'False', 'ProgressDeadlineExceeded', text);
  return { conditions: withChanged(conditions, late), lookAgainMs: null };
}
