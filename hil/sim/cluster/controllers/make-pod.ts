/** Builds the Pods of a workload; all Pods of one template share their spec, labels and field ownership. */
import { type JsonMap, listAt, withAt } from '../json.ts';
import { leavesOf, setOf } from '../managed-fields.ts';
import { type FieldSet, type KubeObject, ownerReference, type PodTemplate, timestamp } from '../objects.ts';
import { builtin } from '../resources.ts';
import type { NewObject } from '../store.ts';
import type { World } from '../world.ts';
import { quotaRefusal } from './quota.ts';

interface Mould {
  readonly spec: JsonMap;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly fields: FieldSet;
}

/** What a StatefulSet's Pod has beside its template. */
export interface PodIdentity {
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: JsonMap;
  readonly volumes: readonly JsonMap[];
}

/** Ready-made parts by template; a template is never changed in place, so that it can be the key. */
const moulds = new WeakMap<PodTemplate, Mould>();

const TOLERATIONS = ['not-ready', 'unreachable'].map((taint) => ({
  key: `node.kubernetes.io/${taint}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
}));

/** Creates a Pod, or throws the quota's refusal. */
export function makePod(
  world: World,
  owner: KubeObject & { spec: { template: PodTemplate } },
  name: string,
  identity: PodIdentity | null,
): void {
  const namespace = owner.metadata.namespace ?? 'default';
  const refusal = quotaRefusal(world, namespace, name);
  if (refusal !== null) throw refusal;
  const mould = identity === null ? mouldOf(world, owner) : castMould(world, owner, identity);
  const draft: NewObject = {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name,
      generateName: `${owner.metadata.name}-`,
      namespace,
      labels: mould.labels,
      ...(mould.annotations === undefined ? {} : { annotations: mould.annotations }),
      ownerReferences: [ownerReference(owner)],
      managedFields: [
        {
          manager: 'kube-controller-manager',
          operation: 'Update',
          apiVersion: 'v1',
          time: timestamp(world.now()),
          fieldsType: 'FieldsV1',
          fieldsV1: mould.fields,
        },
      ],
    },
    spec: mould.spec,
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  };
  world.store.create(builtin.pods, draft);
}

function mouldOf(world: World, owner: KubeObject & { spec: { template: PodTemplate } }): Mould {
  const { template } = owner.spec;
  const known = moulds.get(template);
  if (known !== undefined) return known;
  const mould = castMould(world, owner, null);
  moulds.set(template, mould);
  return mould;
}

function castMould(
  world: World,
  owner: KubeObject & { spec: { template: PodTemplate } },
  identity: PodIdentity | null,
): Mould {
  const { template } = owner.spec;
  const labels = { ...template.metadata?.labels, ...identity?.labels };
  const { annotations } = template.metadata ?? {};
  const owned = {
    metadata: {
      generateName: '',
      labels,
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [ownerReference(owner)],
    },
    spec: {
      ...template.spec,
      enableServiceLinks: true,
      ...identity?.spec,
      ...(identity === null ? {} : { volumes: identity.volumes }),
    },
  };
  const token = `kube-api-access-${world.random.suffix(5)}`;
  const mount = { name: token, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' };
  const containers = listAt(template.spec, 'containers').map((container) =>
    withAt(container as JsonMap, ['volumeMounts'], [...listAt(container, 'volumeMounts'), mount]),
  );
  return {
    labels,
    annotations,
    fields: setOf(leavesOf(owned, { isApply: false, isCustom: false }).keys()),
    spec: {
      ...template.spec,
      volumes: [...(identity?.volumes ?? listAt(template.spec, 'volumes')), tokenVolume(token)],
      containers,
      serviceAccountName: 'default',
      serviceAccount: 'default',
      ...identity?.spec,
      tolerations: TOLERATIONS,
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
  };
}

function tokenVolume(name: string): JsonMap {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 420,
    },
  };
}
