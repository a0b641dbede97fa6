/** The defaults that the API server fills in, as the recordings show them in answers to creates. */
import { at, isMap, type JsonMap, listAt, withAt } from './json.ts';
import { builtin, type Resource } from './resources.ts';
import { structured } from './structural.ts';

/** The storage class that claims get when they name none. */
export const STORAGE_CLASS = 'sim';

/** `object` with everything that its kind leaves to the server. The initial status is part of it. */
export function withDefaults(resource: Resource, object: JsonMap): JsonMap {
  if (resource.custom !== null) return structured(resource.custom.schema, object);
  const handler = HANDLERS[resource.kind];
  if (handler === undefined) return object;
  return handler(object);
}

function spec(object: JsonMap): JsonMap {
  return isMap(object.spec) ? object.spec : {};
}

function podSpec(given: unknown): JsonMap {
  const pod = isMap(given) ? given : {};
  return {
    ...pod,
    ...(pod.initContainers === undefined ? {} : { initContainers: containers(pod.initContainers) }),
    containers: containers(pod.containers),
    restartPolicy: pod.restartPolicy ?? 'Always',
    terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? 30,
    dnsPolicy: pod.dnsPolicy ?? 'ClusterFirst',
    securityContext: pod.securityContext ?? {},
    schedulerName: pod.schedulerName ?? 'default-scheduler',
  };
}

function containers(given: unknown): JsonMap[] {
  return (Array.isArray(given) ? given.filter(isMap) : []).map((one) => {
    const image = String(one.image ?? '');
    const isLatest = !/:[^/]*$/.test(image) || image.endsWith(':latest');
    return {
      ...one,
      resources: one.resources ?? {},
      ...(one.ports === undefined
        ? {}
        : { ports: listAt(one, 'ports').map((port) => ({ ...(port as JsonMap), protocol: 'TCP' })) }),
      terminationMessagePath: one.terminationMessagePath ?? '/dev/termination-log',
      terminationMessagePolicy: one.terminationMessagePolicy ?? 'File',
      imagePullPolicy: one.imagePullPolicy ?? (isLatest ? 'Always' : 'IfNotPresent'),
    };
  });
}

function template(given: unknown): JsonMap {
  const outer = isMap(given) ? given : {};
  const metadata: JsonMap = isMap(outer.metadata) ? { ...outer.metadata } : {};
  for (const name of ['labels', 'annotations']) {
    const inner = metadata[name];
    if (isMap(inner) && Object.keys(inner).length === 0) delete metadata[name];
  }
  delete metadata.creationTimestamp;
  return { ...outer, metadata, spec: podSpec(outer.spec) };
}

function claimSpec(given: unknown): JsonMap {
  const claim = isMap(given) ? given : {};
  return {
    ...claim,
    storageClassName: claim.storageClassName ?? STORAGE_CLASS,
    volumeMode: claim.volumeMode ?? 'Filesystem',
  };
}

const HANDLERS: Readonly<Record<string, (object: JsonMap) => JsonMap>> = {
  Deployment: (object) => {
    const given = spec(object);
    const strategy = isMap(given.strategy) ? given.strategy : {};
    const type = strategy.type ?? 'RollingUpdate';
    const rolling = isMap(strategy.rollingUpdate) ? strategy.rollingUpdate : {};
    const rollingUpdate = {
      ...rolling,
      maxUnavailable: rolling.maxUnavailable ?? '25%',
      maxSurge: rolling.maxSurge ?? '25%',
    };
    return {
      ...object,
      spec: {
        ...given,
        replicas: given.replicas ?? 1,
        template: template(given.template),
        strategy: { ...strategy, type, ...(type === 'RollingUpdate' ? { rollingUpdate } : {}) },
        revisionHistoryLimit: given.revisionHistoryLimit ?? 10,
        progressDeadlineSeconds: given.progressDeadlineSeconds ?? 600,
      },
      status: object.status ?? {},
    };
  },
  ReplicaSet: (object) => ({
    ...object,
    spec: {
      ...spec(object),
      replicas: spec(object).replicas ?? 1,
      template: template(spec(object).template),
    },
    status: object.status ?? { replicas: 0 },
  }),
  ReplicationController: (object) => {
    const given = spec(object);
    return {
      ...object,
      spec: {
        ...given,
        replicas: given.replicas ?? 1,
        selector: given.selector ?? at(given, 'template', 'metadata', 'labels') ?? {},
        template: template(given.template),
      },
      status: object.status ?? { replicas: 0 },
    };
  },
  StatefulSet: (object) => {
    const given = spec(object);
    const retention = isMap(given.persistentVolumeClaimRetentionPolicy)
      ? given.persistentVolumeClaimRetentionPolicy
      : {};
    return {
      ...object,
      spec: {
        ...given,
        replicas: given.replicas ?? 1,
        template: template(given.template),
        ...(given.volumeClaimTemplates === undefined
          ? {}
          : {
              volumeClaimTemplates: listAt(given, 'volumeClaimTemplates').map((claim) => ({
                kind: 'PersistentVolumeClaim',
                apiVersion: 'v1',
                ...(claim as JsonMap),
                spec: claimSpec(at(claim, 'spec')),
                status: { phase: 'Pending' },
              })),
            }),
        podManagementPolicy: given.podManagementPolicy ?? 'OrderedReady',
        updateStrategy: given.updateStrategy ?? { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
        revisionHistoryLimit: given.revisionHistoryLimit ?? 10,
        persistentVolumeClaimRetentionPolicy: {
          whenDeleted: retention.whenDeleted ?? 'Retain',
          whenScaled: retention.whenScaled ?? 'Retain',
        },
      },
      status: object.status ?? { replicas: 0, availableReplicas: 0 },
    };
  },
  Pod: (object) => ({
    ...object,
    spec: { ...podSpec(object.spec), enableServiceLinks: spec(object).enableServiceLinks ?? true },
    status: object.status ?? { phase: 'Pending', qosClass: 'BestEffort' },
  }),
  HorizontalPodAutoscaler: (object) => ({
    ...object,
    spec: { ...spec(object), minReplicas: spec(object).minReplicas ?? 1 },
    status: object.status ?? { desiredReplicas: 0, currentMetrics: null },
  }),
  PersistentVolumeClaim: (object) => ({
    ...withAt(object, ['metadata', 'finalizers'], ['kubernetes.io/pvc-protection']),
    spec: claimSpec(object.spec),
    status: object.status ?? { phase: 'Pending' },
  }),
  Namespace: (object) => ({
    ...withAt(object, ['metadata', 'labels', 'kubernetes.io/metadata.name'], at(object, 'metadata', 'name')),
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }),
  DaemonSet: (object) => ({
    ...object,
    spec: {
      ...spec(object),
      template: template(spec(object).template),
      updateStrategy: spec(object).updateStrategy ?? {
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
      },
      revisionHistoryLimit: spec(object).revisionHistoryLimit ?? 10,
    },
    status: object.status ?? {
      currentNumberScheduled: 0,
      numberMisscheduled: 0,
      desiredNumberScheduled: 0,
      numberReady: 0,
    },
  }),
  CronJob: (object) => ({
    ...object,
    spec: {
      ...spec(object),
      concurrencyPolicy: spec(object).concurrencyPolicy ?? 'Allow',
      suspend: spec(object).suspend ?? false,
      successfulJobsHistoryLimit: spec(object).successfulJobsHistoryLimit ?? 3,
      failedJobsHistoryLimit: spec(object).failedJobsHistoryLimit ?? 1,
    },
    status: object.status ?? {},
  }),
  Job: (object) => {
    const given = spec(object);
    return {
      ...object,
      spec: {
        ...given,
        parallelism: given.parallelism ?? 1,
        completions: given.completions ?? 1,
        backoffLimit: given.backoffLimit ?? 6,
        suspend: given.suspend ?? false,
        template: template(given.template),
      },
      status: object.status ?? {},
    };
  },
  ResourceQuota: (object) => ({ ...object, status: object.status ?? {} }),
  PodDisruptionBudget: (object) => ({
    ...object,
    status: object.status ?? { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
  }),
  CustomResourceDefinition: (object) => {
    const names = at(object, 'spec', 'names') as JsonMap | undefined;
    const kind = String(names?.kind ?? '');
    return {
      ...object,
      spec: {
        ...spec(object),
        names: {
          ...names,
          singular: names?.singular ?? kind.toLowerCase(),
          listKind: names?.listKind ?? `${kind}List`,
        },
        conversion: spec(object).conversion ?? { strategy: 'None' },
      },
      status: object.status ?? {
        conditions: null,
        acceptedNames: { plural: '', kind: '' },
        storedVersions: listAt(object, 'spec', 'versions')
          .filter((version) => at(version, 'storage') === true)
          .map((version) => at(version, 'name')),
      },
    };
  },
};

/** Whether the main resource of this kind ignores the status that a writer sends. */
export function ownsStatus(resource: Resource): boolean {
  return resource.subresources.some((one) => one.name === 'status') || resource === builtin.namespaces;
}
