/** Every write goes through here: no-op detection, generation, managedFields, finalizers, graceful deletion. */
import { isEqual } from './json.ts';
import { afterUpdate, type Writer } from './managed-fields.ts';
import { isDeleting, type KubeObject, timestamp } from './objects.ts';
import type { Resource } from './resources.ts';
import type { NewObject } from './store.ts';
import type { World } from './world.ts';

/** The control plane as a writer. */
export function controllerManager(world: World, subresource: '' | 'status'): Writer {
  return {
    manager: 'kube-controller-manager',
    operation: 'Update',
    subresource,
    time: timestamp(world.now()),
  };
}

/** Keeps a new object. */
export function createObject(
  world: World,
  resource: Resource,
  draft: NewObject,
  writer: Writer | null,
): KubeObject {
  if (writer === null || draft.metadata.managedFields !== undefined) {
    return world.store.create(resource, draft);
  }
  const managedFields = afterUpdate(null, draft as KubeObject, writer, resource.custom !== null);
  return world.store.create(resource, { ...draft, metadata: { ...draft.metadata, managedFields } });
}

/** What an update would keep: `before` itself when nothing changes. */
export function updated(
  resource: Resource,
  before: KubeObject,
  after: KubeObject,
  writer: Writer | null,
): KubeObject {
  const {
    managedFields: _before,
    resourceVersion: _version,
    generation: _generation,
    ...oldMeta
  } = before.metadata;
  const { managedFields, resourceVersion: _next, generation: _new, ...newMeta } = after.metadata;
  const isSameBody = isEqual({ ...before, metadata: oldMeta }, { ...after, metadata: newMeta });
  if (isSameBody && (writer !== null || isEqual(managedFields, before.metadata.managedFields))) return before;
  const generation = before.metadata.generation;
  const isNewGeneration = generation !== undefined && hasNewGeneration(before, after);
  return {
    ...after,
    metadata: {
      ...after.metadata,
      ...(generation === undefined ? {} : { generation: isNewGeneration ? generation + 1 : generation }),
      ...(writer === null
        ? {}
        : { managedFields: afterUpdate(before, after, writer, resource.custom !== null) }),
    },
  };
}

function hasNewGeneration(before: KubeObject, after: KubeObject): boolean {
  if (isDeleting(after) && !isDeleting(before)) return true;
  const { metadata: _m, status: _s, ...old } = before;
  const { metadata: _n, status: _t, ...next } = after;
  return !isEqual(old, next);
}

/** Replaces an object; `writer` null leaves managedFields as `after` has them. */
export function updateObject(
  world: World,
  resource: Resource,
  before: KubeObject,
  after: KubeObject,
  writer: Writer | null,
): KubeObject {
  const next = updated(resource, before, after, writer);
  if (next === before) return before;
  if (isDeleting(next) && (next.metadata.finalizers ?? []).length === 0 && resource.plural !== 'pods') {
    world.store.remove(resource, next);
    return next;
  }
  return world.store.update(resource, next);
}

/** Replaces the status. */
export function updateStatus(
  world: World,
  resource: Resource,
  object: KubeObject,
  status: unknown,
  writer: Writer,
): KubeObject {
  return updateObject(world, resource, object, { ...object, status }, writer);
}

/**
 * Deletes as the API server does: at once, or by a mark that finalizers or the kubelet complete.
 * @returns the object as it was last seen
 */
export function deleteObject(
  world: World,
  resource: Resource,
  object: KubeObject,
  graceSeconds: number | null,
): KubeObject {
  const hasFinalizers = (object.metadata.finalizers ?? []).length > 0;
  const spec = object.spec as { nodeName?: string; terminationGracePeriodSeconds?: number } | undefined;
  const grace = resource.plural === 'pods' ? (graceSeconds ?? spec?.terminationGracePeriodSeconds ?? 30) : 0;
  const isAtOnce = !hasFinalizers && (grace === 0 || spec?.nodeName === undefined);
  if (isAtOnce) {
    world.store.remove(resource, object);
    return object;
  }
  if (isDeleting(object)) return object;
  const marked: KubeObject = {
    ...object,
    metadata: {
      ...object.metadata,
      ...(object.metadata.generation === undefined ? {} : { generation: object.metadata.generation + 1 }),
      deletionTimestamp: timestamp(world.now() + grace * 1000),
      deletionGracePeriodSeconds: grace,
    },
  };
  return world.store.update(resource, marked);
}
