/** The kinds that the simulated API serves, as discovery describes them (recording 01). */
import { createHash } from 'node:crypto';

/** A path below an object, such as `scale`. */
export interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

/** Where a custom resource keeps its replicas (CustomResourceDefinition spec.versions[].subresources.scale). */
export interface ScalePaths {
  readonly spec: readonly string[];
  readonly status: readonly string[];
  readonly selector: readonly string[] | null;
}

/** What a CustomResourceDefinition adds to a resource. */
export interface CustomTraits {
  readonly schema: unknown;
  readonly scale: ScalePaths | null;
  readonly columns: readonly unknown[];
  readonly listKind: string;
}

/** One kind in one version. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: readonly Subresource[];
  readonly hasGeneration: boolean;
  /** Reviews are answered and never kept. */
  readonly isStored: boolean;
  readonly custom: CustomTraits | null;
}

/** The verbs of a kind that can be kept. */
export const ALL_VERBS = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const;
const SUB_VERBS = ['get', 'patch', 'update'] as const;

interface Short {
  readonly singular?: string;
  readonly short?: readonly string[];
  readonly isInAll?: boolean;
  readonly subs?: readonly ('scale' | 'status' | 'eviction')[];
  readonly isCluster?: boolean;
  readonly hasGeneration?: boolean;
  readonly isReview?: boolean;
}

function define(group: string, version: string, plural: string, kind: string, more: Short): Resource {
  return {
    group,
    version,
    plural,
    singular: more.singular ?? kind.toLowerCase(),
    kind,
    isNamespaced: more.isCluster !== true,
    shortNames: more.short ?? [],
    categories: more.isInAll === true ? ['all'] : [],
    verbs: more.isReview === true ? ['create'] : ALL_VERBS,
    subresources: (more.subs ?? []).map((name) => subresource(name, kind)),
    hasGeneration: more.hasGeneration === true,
    isStored: more.isReview !== true,
    custom: null,
  };
}

/** One of the subresources that kinds share. */
export function subresource(name: 'scale' | 'status' | 'eviction', kind: string): Subresource {
  switch (name) {
    case 'scale':
      return { name, kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: SUB_VERBS };
    case 'status':
      return { name, kind, group: '', version: '', verbs: SUB_VERBS };
    case 'eviction':
      return { name, kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] };
  }
}

const RBAC = 'rbac.authorization.k8s.io';

/** The kinds that are there without any CustomResourceDefinition. */
export const builtin = {
  configMaps: define('', 'v1', 'configmaps', 'ConfigMap', { short: ['cm'] }),
  events: define('', 'v1', 'events', 'Event', { short: ['ev'] }),
  newEvents: define('events.k8s.io', 'v1', 'events', 'Event', { short: ['ev'] }),
  namespaces: {
    ...define('', 'v1', 'namespaces', 'Namespace', { short: ['ns'], isCluster: true, subs: ['status'] }),
    // Deleting all namespaces at once is the one thing that the API does not offer.
    verbs: ALL_VERBS.filter((verb) => verb !== 'deletecollection'),
  },
  nodes: define('', 'v1', 'nodes', 'Node', { short: ['no'], isCluster: true, subs: ['status'] }),
  claims: define('', 'v1', 'persistentvolumeclaims', 'PersistentVolumeClaim', {
    short: ['pvc'],
    subs: ['status'],
  }),
  volumes: define('', 'v1', 'persistentvolumes', 'PersistentVolume', {
    short: ['pv'],
    isCluster: true,
    subs: ['status'],
  }),
  pods: define('', 'v1', 'pods', 'Pod', {
    short: ['po'],
    isInAll: true,
    subs: ['eviction', 'status'],
    hasGeneration: true,
  }),
  replicationControllers: define('', 'v1', 'replicationcontrollers', 'ReplicationController', {
    short: ['rc'],
    isInAll: true,
    subs: ['scale', 'status'],
    hasGeneration: true,
  }),
  quotas: define('', 'v1', 'resourcequotas', 'ResourceQuota', { short: ['quota'], subs: ['status'] }),
  secrets: define('', 'v1', 'secrets', 'Secret', {}),
  serviceAccounts: define('', 'v1', 'serviceaccounts', 'ServiceAccount', { short: ['sa'] }),
  services: define('', 'v1', 'services', 'Service', { short: ['svc'], isInAll: true, subs: ['status'] }),
  controllerRevisions: define('apps', 'v1', 'controllerrevisions', 'ControllerRevision', {}),
  daemonSets: define('apps', 'v1', 'daemonsets', 'DaemonSet', {
    short: ['ds'],
    isInAll: true,
    subs: ['status'],
    hasGeneration: true,
  }),
  deployments: define('apps', 'v1', 'deployments', 'Deployment', {
    short: ['deploy'],
    isInAll: true,
    subs: ['scale', 'status'],
    hasGeneration: true,
  }),
  replicaSets: define('apps', 'v1', 'replicasets', 'ReplicaSet', {
    short: ['rs'],
    isInAll: true,
    subs: ['scale', 'status'],
    hasGeneration: true,
  }),
  statefulSets: define('apps', 'v1', 'statefulsets', 'StatefulSet', {
    short: ['sts'],
    isInAll: true,
    subs: ['scale', 'status'],
    hasGeneration: true,
  }),
  selfSubjectReviews: define('authentication.k8s.io', 'v1', 'selfsubjectreviews', 'SelfSubjectReview', {
    isCluster: true,
    isReview: true,
  }),
  tokenReviews: define('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', {
    isCluster: true,
    isReview: true,
  }),
  selfSubjectAccessReviews: define(
    'authorization.k8s.io',
    'v1',
    'selfsubjectaccessreviews',
    'SelfSubjectAccessReview',
    { isCluster: true, isReview: true },
  ),
  subjectAccessReviews: define('authorization.k8s.io', 'v1', 'subjectaccessreviews', 'SubjectAccessReview', {
    isCluster: true,
    isReview: true,
  }),
  autoscalers: define('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', {
    short: ['hpa'],
    isInAll: true,
    subs: ['status'],
  }),
  cronJobs: define('batch', 'v1', 'cronjobs', 'CronJob', {
    short: ['cj'],
    isInAll: true,
    subs: ['status'],
    hasGeneration: true,
  }),
  jobs: define('batch', 'v1', 'jobs', 'Job', { isInAll: true, subs: ['status'], hasGeneration: true }),
  budgets: define('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget', {
    short: ['pdb'],
    subs: ['status'],
    hasGeneration: true,
  }),
  clusterRoleBindings: define(RBAC, 'v1', 'clusterrolebindings', 'ClusterRoleBinding', { isCluster: true }),
  clusterRoles: define(RBAC, 'v1', 'clusterroles', 'ClusterRole', { isCluster: true }),
  roleBindings: define(RBAC, 'v1', 'rolebindings', 'RoleBinding', {}),
  roles: define(RBAC, 'v1', 'roles', 'Role', {}),
  storageClasses: define('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass', {
    short: ['sc'],
    isCluster: true,
  }),
  definitions: define('apiextensions.k8s.io', 'v1', 'customresourcedefinitions', 'CustomResourceDefinition', {
    short: ['crd', 'crds'],
    isCluster: true,
    subs: ['status'],
    hasGeneration: true,
  }),
  leases: define('coordination.k8s.io', 'v1', 'leases', 'Lease', {}),
} as const satisfies Record<string, Resource>;

/** `apps/v1`, or `v1` in the core group. */
export function groupVersion(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** A value in the place of APIResource.storageVersionHash: 8 bytes, base64. */
export function storageVersionHash(resource: Resource): string {
  return createHash('sha256')
    .update(`${groupVersion(resource)}/${resource.kind}`)
    .digest()
    .subarray(0, 8)
    .toString('base64');
}

/** All kinds served now: the built-in ones and those of CustomResourceDefinitions. */
export class Resources {
  private readonly byKey = new Map<string, Resource>();

  constructor() {
    for (const resource of Object.values(builtin)) this.add(resource);
  }

  add(resource: Resource): void {
    this.byKey.set(`${groupVersion(resource)}/${resource.plural}`, resource);
  }

  remove(resource: Resource): void {
    this.byKey.delete(`${groupVersion(resource)}/${resource.plural}`);
  }

  find(group: string, version: string, plural: string): Resource | null {
    return this.byKey.get(`${groupVersion({ group, version })}/${plural}`) ?? null;
  }

  /** By apiVersion and kind, as owner references and scaleTargetRef name objects. */
  findKind(apiVersion: string, kind: string): Resource | null {
    for (const resource of this.byKey.values()) {
      if (resource.kind === kind && groupVersion(resource) === apiVersion) return resource;
    }
    return null;
  }

  all(): Iterable<Resource> {
    return this.byKey.values();
  }
}
