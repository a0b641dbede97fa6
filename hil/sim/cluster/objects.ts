/** The Kubernetes objects that the simulated controllers work on, as far as they look at them. */
import type { JsonMap } from './json.ts';

/** Field paths as metadata.managedFields holds them (structured-merge-diff, FieldsV1). */
export interface FieldSet {
  [name: string]: FieldSet;
}

/** One entry of metadata.managedFields. */
export interface ManagedFields {
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldSet;
  readonly subresource?: string;
}

/** metadata.ownerReferences[]. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** metadata of any object. */
export interface Meta {
  readonly name: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly ManagedFields[];
}

/** Any object; never changed in place, so that watchers and history may keep it. */
export interface KubeObject extends JsonMap {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: Meta;
}

/** A condition of any kind of object. */
export interface ObjectCondition extends JsonMap {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/** spec.template of whatever makes Pods. */
export interface PodTemplate extends JsonMap {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: JsonMap;
}

/** What ReplicaSets, ReplicationControllers, Deployments and StatefulSets have in common. */
export interface Workload extends KubeObject {
  readonly spec: JsonMap & {
    readonly replicas: number;
    readonly selector: JsonMap;
    readonly template: PodTemplate;
  };
  readonly status: JsonMap & {
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly terminatingReplicas?: number;
    readonly updatedReplicas?: number;
    readonly observedGeneration?: number;
    readonly conditions?: readonly ObjectCondition[];
  };
}

/** A Pod. */
export interface Pod extends KubeObject {
  readonly spec: JsonMap & { readonly nodeName?: string };
  readonly status: JsonMap & { readonly phase: string; readonly conditions?: readonly ObjectCondition[] };
}

/** The controller that an object belongs to, if it has one. */
export function controllerOf(object: KubeObject): OwnerReference | null {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true) ?? null;
}

/** A reference to an object that owns what it made. */
export function ownerReference(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Whether a Pod's Ready condition holds. */
export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}

/** Whether an object is on its way out. */
export function isDeleting(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}

/** A list of conditions in which one is set: unchanged when equal, else removed and put last, as the controllers do. */
export function withCondition(
  conditions: readonly ObjectCondition[],
  next: ObjectCondition,
): readonly ObjectCondition[] {
  const before = conditions.find((one) => one.type === next.type);
  if (before !== undefined && before.status === next.status && before.reason === next.reason) {
    return conditions;
  }
  const kept =
    before !== undefined && before.status === next.status && before.lastTransitionTime !== undefined
      ? { ...next, lastTransitionTime: before.lastTransitionTime }
      : next;
  return [...conditions.filter((one) => one.type !== next.type), kept];
}

/** Whole seconds, as metav1.Time is written. */
export function timestamp(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 19)}Z`;
}
