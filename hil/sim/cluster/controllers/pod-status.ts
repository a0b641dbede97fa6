/** What a kubelet reports of a Pod: phase, conditions, container states (shapes of recordings 02 and 06). */
import { listAt, textAt } from '../json.ts';
import { type FieldSet, type ObjectCondition, type Pod, timestamp } from '../objects.ts';
import { builtin } from '../resources.ts';
import type { World } from '../world.ts';

/** The state of the first container; others follow it only while all is well. */
export interface ContainerReport {
  readonly phase: 'Pending' | 'Running';
  readonly isReady: boolean;
  readonly restarts: number;
  /** Exit code and Unix milliseconds of the last end, if the container ended before. */
  readonly lastExit: { readonly code: number; readonly startedAt: number; readonly endedAt: number } | null;
  readonly state:
    | { readonly name: 'waiting'; readonly reason: string; readonly message: string }
    | { readonly name: 'running'; readonly startedAt: number }
    | { readonly name: 'terminated' };
}

function conditionFields(hasReason: boolean): FieldSet {
  const names = ['lastProbeTime', 'lastTransitionTime', 'observedGeneration', 'status', 'type'];
  const fields = [...names, ...(hasReason ? ['reason'] : [])].map((name) => [`f:${name}`, {}]);
  return { '.': {}, ...(Object.fromEntries(fields) as FieldSet) };
}

function statusFields(isReady: boolean, isRunning: boolean): FieldSet {
  return {
    'f:status': {
      'f:conditions': {
        'k:{"type":"ContainersReady"}': conditionFields(!isReady),
        'k:{"type":"Initialized"}': conditionFields(false),
        'k:{"type":"PodReadyToStartContainers"}': conditionFields(false),
        'k:{"type":"Ready"}': conditionFields(!isReady),
      },
      'f:containerStatuses': {},
      'f:hostIP': {},
      'f:hostIPs': {},
      'f:observedGeneration': {},
      ...(isRunning ? { 'f:phase': {} } : {}),
      'f:startTime': {},
    },
  };
}

/** Shared by all Pods: ten thousand of them must stay small. */
const fields = {
  ready: statusFields(true, true),
  unready: statusFields(false, true),
  // The phase is still the one that the Pod was created with, so the kubelet does not own it.
  pending: statusFields(false, false),
};

function fieldsOf({ phase, isReady }: ContainerReport): FieldSet {
  if (phase === 'Pending') return fields.pending;
  return isReady ? fields.ready : fields.unready;
}

/** Writes a Pod's status as its kubelet would. */
export function report(world: World, pod: Pod, container: ContainerReport): void {
  const now = timestamp(world.now());
  const before = pod.status.conditions ?? [];
  const condition = (type: string, isTrue: boolean, reason: string | null): ObjectCondition => {
    const status = isTrue ? 'True' : 'False';
    const old = before.find((one) => one.type === type && one.status === status);
    return {
      type,
      observedGeneration: 1,
      status,
      lastProbeTime: null,
      lastTransitionTime: old?.lastTransitionTime ?? now,
      ...(isTrue || reason === null ? {} : { reason }),
    };
  };
  const hasStarted = container.state.name !== 'waiting' || container.state.reason !== 'ContainerCreating';
  const unready = 'ContainersNotReady';
  const managedFields = (pod.metadata.managedFields ?? []).filter((entry) => entry.manager !== 'kubelet');
  world.store.update(builtin.pods, {
    ...pod,
    metadata: {
      ...pod.metadata,
      managedFields: [
        ...managedFields,
        {
          manager: 'kubelet',
          operation: 'Update',
          apiVersion: 'v1',
          time: now,
          fieldsType: 'FieldsV1',
          fieldsV1: fieldsOf(container),
          subresource: 'status',
        },
      ],
    },
    status: {
      observedGeneration: pod.metadata.generation,
      phase: container.phase,
      conditions: [
        condition('PodReadyToStartContainers', hasStarted, null),
        condition('Initialized', true, null),
        condition('ContainersReady', container.isReady, unready),
        condition('Ready', container.isReady, unready),
        ...before.filter((one) => one.type === 'PodScheduled'),
      ],
      hostIP: '127.0.0.1',
      hostIPs: [{ ip: '127.0.0.1' }],
      startTime: pod.status.startTime ?? now,
      containerStatuses: listAt(pod, 'spec', 'containers').map((spec) =>
        containerStatus(pod, spec, container),
      ),
      qosClass: pod.status.qosClass,
    },
  });
}

function containerStatus(pod: Pod, spec: unknown, container: ContainerReport): Record<string, unknown> {
  const name = textAt(spec, 'name');
  const image = textAt(spec, 'image');
  const containerID = `sim://${pod.metadata.uid}-${name}`;
  const { state, lastExit } = container;
  const end =
    lastExit === null
      ? null
      : {
          exitCode: lastExit.code,
          reason: 'Error',
          startedAt: timestamp(lastExit.startedAt),
          finishedAt: timestamp(lastExit.endedAt),
          containerID,
        };
  const isRunning = state.name === 'running';
  const hasRun = isRunning || end !== null;
  const states = {
    waiting: () =>
      state.name === 'waiting' && {
        reason: state.reason,
        ...(state.message === '' ? {} : { message: state.message }),
      },
    running: () => state.name === 'running' && { startedAt: timestamp(state.startedAt) },
    terminated: () => end,
  };
  return {
    name,
    state: { [state.name]: states[state.name]() },
    lastState: end === null || state.name === 'terminated' ? {} : { terminated: end },
    ready: container.isReady,
    restartCount: container.restarts,
    image,
    imageID: hasRun ? `sim://${image}` : '',
    ...(hasRun ? { containerID } : {}),
    started: isRunning,
    ...(hasRun ? { resources: {} } : {}),
  };
}
