/** The scheduler: gives every Pod a node, or says why it cannot. */
import { at, textAt } from '../json.ts';
import { type KubeObject, type ManagedFields, type Pod, timestamp, withCondition } from '../objects.ts';
import { builtin } from '../resources.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { claimsOf } from './claims.ts';
import { splitKey, WorkQueue } from './queue.ts';

const RETRY_MS = 1000;

const fields = {
  'f:status': {
    'f:conditions': {
      '.': {},
      'k:{"type":"PodScheduled"}': {
        '.': {},
        'f:lastProbeTime': {},
        'f:lastTransitionTime': {},
        'f:message': {},
        'f:observedGeneration': {},
        'f:reason': {},
        'f:status': {},
        'f:type': {},
      },
    },
  },
};

/** Runs the scheduler. */
export function startScheduler(world: World): void {
  const podsByNode = new Map<string, number>();
  const count = (node: string | undefined, change: number): void => {
    if (node !== undefined) podsByNode.set(node, (podsByNode.get(node) ?? 0) + change);
  };
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const pod = world.store.get<Pod>(builtin.pods, namespace, name);
    if (pod === null || pod.spec.nodeName !== undefined) return;
    const isPlaced = place(world, pod, podsByNode);
    if (!isPlaced) queue.add(key, RETRY_MS);
  });
  world.store.on(builtin.pods, (event) => {
    const pod = event.object as Pod;
    if (event.type === 'DELETED') count(pod.spec.nodeName, -1);
    else if (event.type === 'ADDED' && pod.spec.nodeName === undefined) {
      queue.add(keyOf(pod), world.random.jitter(world.timing.scheduleMs));
    } else if (pod.spec.nodeName !== (event.previous?.spec as { nodeName?: string } | undefined)?.nodeName) {
      count(pod.spec.nodeName, 1);
    }
  });
  world.store.on(builtin.claims, (event) => {
    if (textAt(event.object, 'status', 'phase') !== 'Bound' || event.type !== 'MODIFIED') return;
    if (textAt(event.previous, 'status', 'phase') === 'Bound') return;
    for (const pod of world.store.of(builtin.pods).objects.values()) {
      const isWaiting =
        (pod as Pod).spec.nodeName === undefined &&
        pod.metadata.namespace === event.object.metadata.namespace &&
        claimsOf(pod as Pod).includes(event.object.metadata.name);
      if (isWaiting) queue.add(keyOf(pod), world.random.jitter(world.timing.createMs));
    }
  });
}

function place(world: World, pod: Pod, podsByNode: ReadonlyMap<string, number>): boolean {
  const all = [...world.store.of(builtin.nodes).objects.values()];
  const unbound = claimsOf(pod).filter((name) => {
    const claim = world.store.get(builtin.claims, pod.metadata.namespace ?? '', name);
    return textAt(claim, 'status', 'phase') !== 'Bound';
  });
  if (unbound.length > 0) {
    const why = 'pod has unbound immediate PersistentVolumeClaims. not found';
    refuse(world, pod, `0/${all.length} nodes are available: ${why}`);
    return false;
  }
  const load = (node: KubeObject): number => podsByNode.get(node.metadata.name) ?? 0;
  const open = all.filter((node) => at(node, 'spec', 'unschedulable') !== true);
  const free = open.filter((node) => load(node) < Number(at(node, 'status', 'allocatable', 'pods') ?? 0));
  if (free.length === 0) {
    const reasons = [
      ...(open.length < all.length ? [`${all.length - open.length} node(s) were unschedulable`] : []),
      ...(open.length > 0 ? [`${open.length} Too many pods`] : []),
    ];
    refuse(world, pod, `0/${all.length} nodes are available: ${reasons.join(', ')}.`);
    return false;
  }
  const least = Math.min(...free.map(load));
  const best = free.filter((node) => load(node) === least);
  bind(world, pod, best[Math.floor(world.random.next() * best.length)]!);
  return true;
}

function bind(world: World, pod: Pod, node: KubeObject): void {
  const zone = node.metadata.labels?.['topology.kubernetes.io/zone'];
  const condition = {
    type: 'PodScheduled',
    status: 'True' as const,
    lastProbeTime: null,
    lastTransitionTime: timestamp(world.now()),
  };
  const others = (pod.status.conditions ?? []).filter((one) => one.type !== 'PodScheduled');
  const bound: Pod = {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        ...(zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone }),
      },
    },
    spec: { ...pod.spec, nodeName: node.metadata.name },
    status: { ...pod.status, conditions: [...others, condition] },
  };
  world.store.update(builtin.pods, bound);
  const message = `Successfully assigned ${keyOf(pod)} to ${node.metadata.name}`;
  world.events.record(pod, 'Normal', 'Scheduled', message, 'default-scheduler');
}

function refuse(world: World, pod: Pod, message: string): void {
  const conditions = pod.status.conditions ?? [];
  const next = withCondition(conditions, {
    type: 'PodScheduled',
    observedGeneration: 1,
    status: 'False',
    lastProbeTime: null,
    lastTransitionTime: timestamp(world.now()),
    reason: 'Unschedulable',
    message,
  });
  if (next !== conditions) {
    const entry: ManagedFields = {
      manager: 'kube-scheduler',
      operation: 'Update',
      apiVersion: 'v1',
      time: timestamp(world.now()),
      fieldsType: 'FieldsV1',
      fieldsV1: fields,
      subresource: 'status',
    };
    const managedFields = [...(pod.metadata.managedFields ?? []), entry];
    world.store.update(builtin.pods, {
      ...pod,
      metadata: { ...pod.metadata, managedFields },
      status: { ...pod.status, conditions: next },
    });
  }
  world.events.record(pod, 'Warning', 'FailedScheduling', message, 'default-scheduler');
}
