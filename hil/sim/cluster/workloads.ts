/** What stands in the simulated cluster when it starts. */
import { BEHAVIOUR, type Behaviour } from './controllers/behaviour.ts';
import { STORAGE_CLASS, withDefaults } from './defaults.ts';
import { isMap } from './json.ts';
import { type KubeObject, timestamp } from './objects.ts';
import { builtin, type Resource } from './resources.ts';
import type { NewObject } from './store.ts';
import type { World } from './world.ts';
import { createObject } from './writes.ts';

/** One workload to begin with. */
export interface SimWorkload {
  readonly kind: 'Deployment' | 'StatefulSet' | 'ReplicaSet' | 'ReplicationController';
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
  readonly behaviour?: Behaviour;
  /** Bounds of a HorizontalPodAutoscaler of the same name. */
  readonly autoscaler?: { readonly min: number; readonly max: number };
  /** StatefulSets only: each Pod gets a claim, and this is what becomes of it on scale-down. */
  readonly claims?: 'Retain' | 'Delete';
  /** Pods that the namespace may hold. */
  readonly quota?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Eight things to put a fader on, each with a character of its own. */
export const demoWorkloads: readonly SimWorkload[] = [
  { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 3 },
  { kind: 'Deployment', namespace: 'shop', name: 'web', replicas: 3, autoscaler: { min: 2, max: 6 } },
  { kind: 'Deployment', namespace: 'shop', name: 'checkout', replicas: 2 },
  { kind: 'Deployment', namespace: 'shop', name: 'search', replicas: 4 },
  { kind: 'StatefulSet', namespace: 'shop', name: 'db', replicas: 2, claims: 'Delete' },
  { kind: 'Deployment', namespace: 'shop', name: 'reports', replicas: 1, behaviour: 'slow' },
  { kind: 'Deployment', namespace: 'shop', name: 'flaky', replicas: 2 },
  { kind: 'Deployment', namespace: 'tight', name: 'batch', replicas: 2, quota: 5 },
];

const NODES = ['sim-1', 'sim-2', 'sim-3'];
const PODS_PER_NODE = 5000;
const WRITER = { manager: 'sim', operation: 'Update', subresource: '' } as const;

/** Creates one object with the API server's defaults. */
export function put(world: World, resource: Resource, draft: Record<string, unknown>): KubeObject {
  const full = withDefaults(resource, draft) as unknown as NewObject;
  return createObject(world, resource, full, { ...WRITER, time: timestamp(world.now()) });
}

/** Namespaces, nodes and the storage class: what every cluster has. */
export function furnish(world: World): void {
  for (const name of ['default', 'kube-system']) ensureNamespace(world, name);
  for (const name of NODES) put(world, builtin.nodes, node(name, timestamp(world.now())));
  put(world, builtin.storageClasses, {
    kind: 'StorageClass',
    apiVersion: 'storage.k8s.io/v1',
    metadata: {
      name: STORAGE_CLASS,
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'sim.surfaced.dev/none',
    reclaimPolicy: 'Delete',
    allowVolumeExpansion: true,
    volumeBindingMode: 'Immediate',
  });
}

/** Creates a namespace with its service account unless it is there. */
export function ensureNamespace(world: World, name: string): void {
  if (world.store.get(builtin.namespaces, null, name) !== null) return;
  put(world, builtin.namespaces, { kind: 'Namespace', apiVersion: 'v1', metadata: { name } });
  put(world, builtin.serviceAccounts, {
    kind: 'ServiceAccount',
    apiVersion: 'v1',
    metadata: { name: 'default', namespace: name },
  });
}

/** Creates a workload with what belongs to it. */
export function addWorkload(world: World, workload: SimWorkload): void {
  const { namespace, name, kind, replicas } = workload;
  ensureNamespace(world, namespace);
  if (workload.quota !== undefined) setQuota(world, namespace, workload.quota);
  const labels = { app: name, ...workload.labels };
  const resource = {
    Deployment: builtin.deployments,
    StatefulSet: builtin.statefulSets,
    ReplicaSet: builtin.replicaSets,
    ReplicationController: builtin.replicationControllers,
  }[kind];
  const hasClaims = kind === 'StatefulSet' && workload.claims !== undefined;
  const mounts = hasClaims ? { volumeMounts: [{ name: 'data', mountPath: '/data' }] } : {};
  put(world, resource, {
    kind,
    apiVersion: kind === 'ReplicationController' ? 'v1' : 'apps/v1',
    metadata: {
      name,
      namespace,
      labels,
      ...(workload.behaviour === undefined ? {} : { annotations: { [BEHAVIOUR]: workload.behaviour } }),
    },
    spec: {
      replicas,
      selector: kind === 'ReplicationController' ? { app: name } : { matchLabels: { app: name } },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [{ name: 'main', image: `registry.example/${name}:1.0`, ...mounts }],
        },
      },
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      ...(hasClaims
        ? {
            persistentVolumeClaimRetentionPolicy: { whenScaled: workload.claims },
            volumeClaimTemplates: [
              {
                metadata: { name: 'data' },
                spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
              },
            ],
          }
        : {}),
    },
  });
  if (workload.autoscaler !== undefined) {
    const target = { kind, apiVersion: kind === 'ReplicationController' ? 'v1' : 'apps/v1', name };
    addAutoscaler(world, namespace, name, target, workload.autoscaler);
  }
}

/** Creates a HorizontalPodAutoscaler. */
export function addAutoscaler(
  world: World,
  namespace: string,
  name: string,
  target: { readonly apiVersion: string; readonly kind: string; readonly name: string },
  bounds: { readonly min: number; readonly max: number },
): void {
  put(world, builtin.autoscalers, {
    kind: 'HorizontalPodAutoscaler',
    apiVersion: 'autoscaling/v2',
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: target,
      minReplicas: bounds.min,
      maxReplicas: bounds.max,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
        },
      ],
    },
  });
}

/** Limits the Pods of a namespace; null lifts the limit. */
export function setQuota(world: World, namespace: string, pods: number | null): void {
  ensureNamespace(world, namespace);
  const before = world.store.get(builtin.quotas, namespace, 'pods');
  if (before !== null && pods === null) {
    world.store.remove(builtin.quotas, before);
  } else if (before !== null) {
    const spec = isMap(before.spec) ? before.spec : {};
    world.store.update(builtin.quotas, { ...before, spec: { ...spec, hard: { pods: String(pods) } } });
  } else if (pods !== null) {
    put(world, builtin.quotas, {
      kind: 'ResourceQuota',
      apiVersion: 'v1',
      metadata: { name: 'pods', namespace },
      spec: { hard: { pods: String(pods) } },
    });
  }
}

function node(name: string, now: string): Record<string, unknown> {
  const room = { cpu: '64', memory: '256Gi', pods: String(PODS_PER_NODE) };
  const condition = (type: string, status: string) => ({
    type,
    status,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
    reason: 'SimulatedKubelet',
  });
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: {
      name,
      labels: {
        'kubernetes.io/arch': 'arm64',
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/zone': 'sim',
      },
    },
    spec: {},
    status: {
      capacity: room,
      allocatable: room,
      conditions: [
        condition('MemoryPressure', 'False'),
        condition('DiskPressure', 'False'),
        condition('PIDPressure', 'False'),
        condition('Ready', 'True'),
      ],
      addresses: [
        { type: 'Hostname', address: name },
        { type: 'InternalIP', address: '127.0.0.1' },
      ],
      nodeInfo: { kubeletVersion: 'v1.36.2-sim', operatingSystem: 'linux', architecture: 'arm64' },
    },
  };
}
