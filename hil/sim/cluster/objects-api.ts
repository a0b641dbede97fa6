/** Create, read, update, patch and delete objects of any kind. */
import { applied, firstEntries } from './apply.ts';
import { budgetRefusal } from './controllers/budgets.ts';
import { quotaRefusal } from './controllers/quota.ts';
import { ownsStatus, withDefaults } from './defaults.ts';
import { isMap, type JsonMap, textAt } from './json.ts';
import type { KubeObject, Meta } from './objects.ts';
import { jsonPatch, mergePatch, strategicMerge } from './patch.ts';
import { type ApiRequest, decodeJson, decodeObject, isDryRun, unsupportedMedia } from './request.ts';
import { builtin, groupVersion } from './resources.ts';
import { alreadyExists, badRequest, conflict, methodNotAllowed, notFound, StatusError } from './status.ts';
import type { NewObject } from './store.ts';
import { validate } from './validate.ts';
import type { World } from './world.ts';
import { createObject, deleteObject, updated, updateObject } from './writes.ts';

/** An answer with its HTTP status. */
export interface Answer {
  readonly code: number;
  readonly body: JsonMap;
}

function existing(world: World, request: ApiRequest): KubeObject {
  const { resource, target } = request;
  const found = world.store.get(resource, target.namespace, target.name);
  if (found === null) throw notFound(resource, target.name);
  return found;
}

/** GET of one object. */
export function read(world: World, request: ApiRequest): KubeObject {
  return existing(world, request);
}

/** POST. */
export function create(world: World, request: ApiRequest): Answer {
  if (request.target.name !== '') return postSubresource(world, request);
  const body = decodeObject(request.body, request.contentType);
  return { code: 201, body: createFrom(world, request, body, null) };
}

function createFrom(
  world: World,
  request: ApiRequest,
  body: unknown,
  managedFields: Meta['managedFields'] | null,
): JsonMap {
  const { resource, target } = request;
  const given = checkKind(request, body);
  const meta = isMap(given.metadata) ? given.metadata : {};
  const { namespace } = target;
  if (meta.namespace !== undefined && namespace !== null && meta.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (resource.isNamespaced && (namespace === null || isMissingNamespace(world, namespace))) {
    throw notFound(builtin.namespaces, namespace ?? '');
  }
  const generateName = textAt(meta, 'generateName');
  const name =
    textAt(meta, 'name') || (generateName === '' ? '' : `${generateName}${world.random.suffix(5)}`);
  const { status: _, ...withoutStatus } = given;
  const draft = withDefaults(resource, {
    ...(ownsStatus(resource) ? withoutStatus : given),
    metadata: { ...userMeta(meta), name, ...(namespace === null ? {} : { namespace }) },
  });
  validate(resource, draft);
  if (world.store.get(resource, namespace, name) !== null) throw alreadyExists(resource, name);
  if (resource === builtin.pods) {
    const refusal = quotaRefusal(world, namespace ?? '', name);
    if (refusal !== null) throw refusal;
  }
  const ready = (managedFields === null
    ? draft
    : { ...draft, metadata: { ...(draft.metadata as JsonMap), managedFields } }) as unknown as NewObject;
  if (isDryRun(request.query)) {
    return { ...ready, metadata: { ...ready.metadata, uid: world.random.uuid() } };
  }
  return createObject(world, resource, ready, managedFields === null ? request.writer('') : null);
}

function isMissingNamespace(world: World, namespace: string): boolean {
  return world.store.get(builtin.namespaces, null, namespace) === null;
}

function checkKind(request: ApiRequest, body: unknown): JsonMap {
  const { resource } = request;
  if (!isMap(body)) throw badRequest('the object provided is unrecognized');
  const kind = body.kind ?? resource.kind;
  const version = body.apiVersion ?? groupVersion(resource);
  if (kind !== resource.kind || version !== groupVersion(resource)) {
    const found = `${String(version)}, Kind=${String(kind)}`;
    const wanted = `${groupVersion(resource)}, Kind=${resource.kind}`;
    throw badRequest(`the API version in the data (${found}) does not match the expected one (${wanted})`);
  }
  return { ...body, kind, apiVersion: version };
}

/** The part of metadata that a writer decides. */
function userMeta(meta: JsonMap): JsonMap {
  const { generateName, labels, annotations, ownerReferences, finalizers } = meta;
  return Object.fromEntries(
    Object.entries({ generateName, labels, annotations, ownerReferences, finalizers }).filter(
      ([, value]) => value !== undefined && value !== null && value !== '',
    ),
  );
}

/** PUT of an object or its status. */
export function replace(world: World, request: ApiRequest): Answer {
  const before = existing(world, request);
  const body = checkKind(request, decodeObject(request.body, request.contentType));
  const name = textAt(body, 'metadata', 'name');
  if (name !== request.target.name) {
    throw badRequest(
      `the name of the object (${name}) does not match the name on the URL (${request.target.name})`,
    );
  }
  return { code: 200, body: store(world, request, before, body) };
}

/** PATCH of an object or its status, in any of the four formats. */
export function patch(world: World, request: ApiRequest): Answer {
  const { resource, target, query } = request;
  const media = request.contentType.split(';')[0]?.trim();
  if (media === 'application/apply-patch+yaml') return apply(world, request);
  const isJsonPatch = media === 'application/json-patch+json';
  const isMerge = media === 'application/merge-patch+json';
  const isStrategic = media === 'application/strategic-merge-patch+json' && resource.custom === null;
  if (!isJsonPatch && !isMerge && !isStrategic) throw unsupportedMedia();
  const before = world.store.get(resource, target.namespace, target.name);
  if (before === null) throw notFound(resource, target.name);
  const change = decodeJson(request.body, 'error decoding patch: ');
  const apply_ = isJsonPatch ? jsonPatch : isMerge ? mergePatch : strategicMerge;
  const after = apply_(before, change);
  if (!isMap(after)) throw badRequest('the patch does not give an object');
  if (query.get('force') !== null) {
    throw new StatusError(422, 'Invalid', 'force: Forbidden: may not be specified for non-apply patch', {
      details: {},
    });
  }
  return { code: 200, body: store(world, request, before, after) };
}

function apply(world: World, request: ApiRequest): Answer {
  const { resource, target, query } = request;
  const config = checkKind(request, decodeObject(request.body, 'application/yaml'));
  const manager = query.get('fieldManager');
  if (manager === null || manager === '') {
    const message =
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch';
    throw new StatusError(422, 'Invalid', message, { details: {} });
  }
  const writer = { ...request.writer(target.subresource), operation: 'Apply' as const };
  const before = world.store.get(resource, target.namespace, target.name);
  if (before === null) {
    return { code: 201, body: createFrom(world, request, config, firstEntries(resource, config, writer)) };
  }
  const after = applied(resource, before, config, writer, query.get('force') === 'true');
  const next = withDefaults(resource, { ...after, status: before.status }) as KubeObject;
  validate(resource, next);
  if (isDryRun(query)) return { code: 200, body: updated(resource, before, next, null) };
  return { code: 200, body: updateObject(world, resource, before, next, null) };
}

/** Keeps what a writer may change and checks that it is based on the present version. */
function store(world: World, request: ApiRequest, before: KubeObject, after: JsonMap): KubeObject {
  const { resource, target } = request;
  const version = textAt(after, 'metadata', 'resourceVersion');
  if (version !== '' && version !== before.metadata.resourceVersion) {
    throw conflict(resource, target.name, null);
  }
  const meta = isMap(after.metadata) ? after.metadata : {};
  const { labels: _l, annotations: _a, ownerReferences: _o, finalizers: _f, ...fixed } = before.metadata;
  const metadata = { ...fixed, ...userMeta(meta) } as Meta;
  let next: KubeObject;
  if (target.subresource === 'status') {
    const { status } = withDefaults(resource, { ...before, status: after.status });
    next = { ...before, metadata, status };
  } else {
    const status = ownsStatus(resource) ? before.status : after.status;
    const { status: _s, ...rest } = after;
    next = { ...rest, ...(status === undefined ? {} : { status }), metadata } as KubeObject;
    next = withDefaults(resource, next) as KubeObject;
    validate(resource, next);
  }
  const writer = request.writer(target.subresource);
  if (isDryRun(request.query)) return updated(resource, before, next, writer);
  return updateObject(world, resource, before, next, writer);
}

interface DeleteOptions {
  readonly graceSeconds: number | null;
  readonly isOrphaning: boolean;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isDryRun: boolean;
}

function deleteOptions(request: ApiRequest): DeleteOptions {
  const body = request.body.length === 0 ? {} : decodeObject(request.body, request.contentType);
  const seconds = request.query.get('gracePeriodSeconds');
  const given = isMap(body) ? body : {};
  const policy = request.query.get('propagationPolicy') ?? given.propagationPolicy;
  return {
    graceSeconds: typeof given.gracePeriodSeconds === 'number' ? given.gracePeriodSeconds : toNumber(seconds),
    isOrphaning: policy === 'Orphan',
    uid: textAt(given, 'preconditions', 'uid'),
    resourceVersion: textAt(given, 'preconditions', 'resourceVersion'),
    isDryRun: isDryRun(request.query) || (Array.isArray(given.dryRun) && given.dryRun.includes('All')),
  };
}

function toNumber(text: string | null): number | null {
  return text === null || Number.isNaN(Number(text)) ? null : Number(text);
}

/** DELETE of one object; dependents follow in the background unless they are to be orphaned. */
export function remove(world: World, request: ApiRequest): Answer {
  const { resource, target } = request;
  if (target.subresource !== '') throw methodNotAllowed();
  const before = existing(world, request);
  const options = deleteOptions(request);
  if (options.uid !== '' && options.uid !== before.metadata.uid) {
    const uids = `UID in precondition: ${options.uid}, UID in object meta: ${before.metadata.uid}`;
    throw conflict(resource, target.name, `Precondition failed: ${uids}`);
  }
  if (options.resourceVersion !== '' && options.resourceVersion !== before.metadata.resourceVersion) {
    const versions = `ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${before.metadata.resourceVersion}`;
    throw conflict(resource, target.name, `Precondition failed: ${versions}`);
  }
  const last = options.isDryRun ? before : removeOne(world, request, before, options);
  const isGone = world.store.get(resource, target.namespace, target.name) === null;
  if (resource === builtin.pods || (!isGone && !options.isDryRun)) return { code: 200, body: last };
  const { group, plural } = resource;
  const details = {
    name: target.name,
    ...(group === '' ? {} : { group }),
    kind: plural,
    uid: before.metadata.uid,
  };
  return {
    code: 200,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details },
  };
}

function removeOne(
  world: World,
  request: ApiRequest,
  object: KubeObject,
  options: DeleteOptions,
): KubeObject {
  if (options.isOrphaning) {
    for (const child of [...world.store.ownedBy(object.metadata.uid)]) {
      const kind = world.resources.findKind(child.apiVersion, child.kind);
      const { ownerReferences: _, ...metadata } = child.metadata;
      if (kind !== null) world.store.update(kind, { ...child, metadata });
    }
  }
  if (request.resource === builtin.namespaces) {
    for (const kind of world.resources.all()) {
      for (const one of [...world.store.of(kind).objects.values()]) {
        if (one.metadata.namespace === object.metadata.name) deleteObject(world, kind, one, 0);
      }
    }
  }
  return deleteObject(world, request.resource, object, options.graceSeconds);
}

/** DELETE of a collection: the objects that the list would give. */
export function removeAll(world: World, request: ApiRequest, objects: readonly KubeObject[]): Answer {
  const options = deleteOptions(request);
  for (const object of options.isDryRun ? [] : objects) removeOne(world, request, object, options);
  return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } };
}

function postSubresource(world: World, request: ApiRequest): Answer {
  if (request.target.subresource !== 'eviction') throw methodNotAllowed();
  const pod = existing(world, request);
  const wanted = request.body.length === 0 ? {} : decodeObject(request.body, request.contentType);
  const uid = textAt(wanted, 'deleteOptions', 'preconditions', 'uid');
  if (uid !== '' && uid !== pod.metadata.uid) {
    const uids = `UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`;
    throw conflict(builtin.pods, pod.metadata.name, `Precondition failed: ${uids}`);
  }
  const refusal = budgetRefusal(world, pod);
  if (refusal !== null) throw refusal;
  if (!isDryRun(request.query)) deleteObject(world, builtin.pods, pod, null);
  return {
    code: 201,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
  };
}
