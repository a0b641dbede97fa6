/**
 * Keeps the objects and their bounded history: one counter of resourceVersions for everything, as etcd's
 * revision is, and a ring of events per kind, so that watches can start in the past until it is compacted.
 */
import { controllerOf, type KubeObject, timestamp } from './objects.ts';
import type { Random } from './random.ts';
import type { Resource } from './resources.ts';

/** One change of one object. */
export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly object: KubeObject;
  readonly previous: KubeObject | null;
}

/** Hears of every change, in the same turn and in order; it must not throw. */
export type StoreListener = (event: StoreEvent, resource: Resource) => void;

/** What a new object brings; the rest of its metadata is filled in. */
export type NewObject = Omit<KubeObject, 'metadata'> & {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: Partial<KubeObject['metadata']> & { readonly name: string };
};

/** `namespace/name`, or the name alone for cluster-scoped kinds. */
export function keyOf(object: { metadata: { readonly namespace?: string; readonly name: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** All objects of one kind. */
export class Collection {
  readonly resource: Resource;
  readonly objects = new Map<string, KubeObject>();
  readonly countByNamespace = new Map<string, number>();
  /** Oldest first. */
  readonly history: StoreEvent[] = [];
  readonly listeners = new Set<StoreListener>();

  constructor(resource: Resource) {
    this.resource = resource;
  }
}

/** The objects of all kinds. */
export class Store {
  private readonly collections = new Map<string, Collection>();
  private readonly dependents = new Map<string, Set<KubeObject>>();
  private readonly everything = new Set<StoreListener>();
  private readonly random: Random;
  private readonly now: () => number;
  private readonly historyPerKind: number;
  private current = 200;
  private compactedTo = 0;

  constructor(options: { random: Random; now: () => number; historyPerKind: number }) {
    this.random = options.random;
    this.now = options.now;
    this.historyPerKind = options.historyPerKind;
  }

  /** The newest resourceVersion. */
  version(): number {
    return this.current;
  }

  /** Watches and exact reads at or before this version are answered with 410. */
  compacted(): number {
    return this.compactedTo;
  }

  of(resource: Resource): Collection {
    const key = `${resource.plural}.${resource.group}`;
    let found = this.collections.get(key);
    if (found === undefined) {
      found = new Collection(resource);
      this.collections.set(key, found);
    }
    return found;
  }

  get<T extends KubeObject = KubeObject>(
    resource: Resource,
    namespace: string | null,
    name: string,
  ): T | null {
    const found = this.of(resource).objects.get(namespace === null ? name : `${namespace}/${name}`);
    return (found as T | undefined) ?? null;
  }

  /** Objects whose controlling owner has this uid. */
  ownedBy(uid: string): Iterable<KubeObject> {
    return this.dependents.get(uid) ?? [];
  }

  create(resource: Resource, draft: NewObject): KubeObject {
    const collection = this.of(resource);
    const version = ++this.current;
    const { name, generateName, namespace, ...rest } = draft.metadata;
    const object: KubeObject = {
      ...draft,
      metadata: {
        name,
        ...(generateName === undefined ? {} : { generateName }),
        ...(namespace === undefined ? {} : { namespace }),
        ...rest,
        uid: rest.uid ?? this.random.uuid(),
        resourceVersion: String(version),
        ...(resource.hasGeneration ? { generation: 1 } : {}),
        creationTimestamp: rest.creationTimestamp ?? timestamp(this.now()),
      },
    };
    collection.objects.set(keyOf(object), object);
    if (namespace !== undefined) {
      collection.countByNamespace.set(namespace, (collection.countByNamespace.get(namespace) ?? 0) + 1);
    }
    this.index(object, null);
    this.emit(collection, { type: 'ADDED', version, object, previous: null });
    return object;
  }

  /** Replaces an object by a newer one of the same name. */
  update(resource: Resource, next: KubeObject): KubeObject {
    const collection = this.of(resource);
    const previous = collection.objects.get(keyOf(next));
    if (previous === undefined) return next;
    const version = ++this.current;
    const object = { ...next, metadata: { ...next.metadata, resourceVersion: String(version) } };
    collection.objects.set(keyOf(object), object);
    this.index(object, previous);
    this.emit(collection, { type: 'MODIFIED', version, object, previous });
    return object;
  }

  /** Removes an object at once; its last state is announced with a new version. */
  remove(resource: Resource, object: KubeObject): void {
    const collection = this.of(resource);
    const previous = collection.objects.get(keyOf(object));
    if (previous === undefined) return;
    const version = ++this.current;
    collection.objects.delete(keyOf(previous));
    const { namespace } = previous.metadata;
    if (namespace !== undefined) {
      collection.countByNamespace.set(namespace, (collection.countByNamespace.get(namespace) ?? 1) - 1);
    }
    this.index(null, previous);
    const last = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(version) } };
    this.emit(collection, { type: 'DELETED', version, object: last, previous });
  }

  on(resource: Resource, listener: StoreListener): () => void {
    const { listeners } = this.of(resource);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  onAny(listener: StoreListener): void {
    this.everything.add(listener);
  }

  /** Forgets all history, as etcd's compaction does. */
  compact(): void {
    for (const { history } of this.collections.values()) history.length = 0;
    this.compactedTo = this.current;
  }

  /** The oldest version from which a watch of this kind can still start. */
  oldest(resource: Resource): number {
    const { history } = this.of(resource);
    const isFull = history.length >= this.historyPerKind;
    return Math.max(this.compactedTo, isFull ? history[0]!.version : 0);
  }

  /** The objects as they were at a version that is still in the history. */
  snapshot(resource: Resource, version: number): ReadonlyMap<string, KubeObject> {
    const { objects, history } = this.of(resource);
    if (version >= (history.at(-1)?.version ?? 0)) return objects;
    const past = new Map(objects);
    for (let index = history.length - 1; index >= 0; index--) {
      const event = history[index]!;
      if (event.version <= version) break;
      if (event.previous === null) past.delete(keyOf(event.object));
      else past.set(keyOf(event.previous), event.previous);
    }
    return past;
  }

  private index(next: KubeObject | null, previous: KubeObject | null): void {
    if (previous !== null) {
      const uid = controllerOf(previous)?.uid;
      if (uid !== undefined) this.dependents.get(uid)?.delete(previous);
    }
    if (next === null) {
      if (previous !== null && this.dependents.get(previous.metadata.uid)?.size === 0) {
        this.dependents.delete(previous.metadata.uid);
      }
      return;
    }
    const uid = controllerOf(next)?.uid;
    if (uid === undefined) return;
    const owned = this.dependents.get(uid);
    if (owned === undefined) this.dependents.set(uid, new Set([next]));
    else owned.add(next);
  }

  private emit(collection: Collection, event: StoreEvent): void {
    const { history } = collection;
    history.push(event);
    // Dropping a quarter at a time keeps the cost of each event constant.
    if (history.length > this.historyPerKind * 1.25) {
      history.splice(0, history.length - this.historyPerKind);
    }
    for (const listener of collection.listeners) listener(event, collection.resource);
    for (const listener of this.everything) listener(event, collection.resource);
  }
}
