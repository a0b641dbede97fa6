/** The scale subresource of every kind that has one (recordings 02, 03, 07, 08, 11). */
import { at, isMap, type JsonMap, numberAt, textAt, withAt } from './json.ts';
import { unowned } from './managed-fields.ts';
import type { KubeObject } from './objects.ts';
import { jsonPatch, mergePatch, strategicMerge } from './patch.ts';
import { type ApiRequest, decodeJson, decodeObject, isDryRun, unsupportedMedia } from './request.ts';
import type { Resource } from './resources.ts';
import { selectorText } from './selectors.ts';
import { badRequest, conflict, invalid, notFound, unfitPatch } from './status.ts';
import { int32Complaint, replicasFault, validate } from './validate.ts';
import type { World } from './world.ts';
import { updated } from './writes.ts';

/** autoscaling/v1 Scale of an object, fields in the order of the Go types. */
export function scaleOf(resource: Resource, object: KubeObject): JsonMap {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const paths = resource.custom?.scale;
  const replicas = numberAt(object, ...(paths?.spec ?? ['spec', 'replicas']));
  const observed = numberAt(object, ...(paths?.status ?? ['status', 'replicas']));
  const selector =
    paths === undefined || paths === null
      ? selectorText(at(object, 'spec', 'selector'))
      : textAt(object, ...(paths.selector ?? []));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: observed, ...(selector === '' ? {} : { selector }) },
  };
}

/** Answers GET, PUT and PATCH of a scale. */
export function handleScale(world: World, request: ApiRequest): JsonMap {
  const { resource, target } = request;
  const object = world.store.get(resource, target.namespace, target.name);
  if (object === null) throw notFound(resource, target.name);
  const before = scaleOf(resource, object);
  if (request.verb === 'get') return before;
  const wanted = request.verb === 'update' ? putScale(request) : patchedScale(request, before);
  const replicas = Number(at(wanted, 'spec', 'replicas') ?? 0);
  const fault = replicasFault(replicas);
  if (fault !== null) throw invalid('Scale', 'autoscaling', target.name, [fault]);
  const version = textAt(wanted, 'metadata', 'resourceVersion');
  if (version !== '' && version !== object.metadata.resourceVersion) {
    throw conflict(resource, target.name, null);
  }
  const uid = textAt(wanted, 'metadata', 'uid');
  if (uid !== '' && uid !== object.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${object.metadata.uid}`;
    throw conflict(resource, target.name, why);
  }
  const path = resource.custom?.scale?.spec ?? ['spec', 'replicas'];
  const next = withAt(object, path, replicas);
  if (resource.custom !== null) validate(resource, next);
  const writer = request.writer('scale');
  let kept = updated(resource, object, next, writer);
  if (replicas === 0 && kept !== object) {
    // A Scale leaves replicas out when they are 0, and with the field goes its owner (recording 02).
    const managedFields = unowned(kept.metadata.managedFields ?? [], path);
    kept = { ...kept, metadata: { ...kept.metadata, managedFields } };
  }
  if (kept !== object && !isDryRun(request.query)) kept = world.store.update(resource, kept);
  return scaleOf(resource, kept);
}

function putScale(request: ApiRequest): unknown {
  const body = decodeObject(request.body, request.contentType);
  if (!isMap(body) || body.kind !== 'Scale') {
    throw badRequest('the object provided is unrecognized (must be of type Scale)');
  }
  const complaint = int32Complaint(at(body, 'spec', 'replicas'), 'ScaleSpec.spec.replicas');
  if (complaint !== null) {
    throw badRequest(`Scale in version "v1" cannot be handled as a Scale: ${complaint}`);
  }
  return body;
}

function patchedScale(request: ApiRequest, before: JsonMap): unknown {
  const media = request.contentType.split(';')[0]?.trim();
  // The patch is applied to the JSON of the Go struct, in which apiVersion comes first.
  const { kind, apiVersion, ...rest } = before;
  const document = { apiVersion, kind, ...rest };
  let patched: unknown;
  if (media === 'application/json-patch+json') {
    patched = jsonPatch(document, decodeJson(request.body, 'error decoding patch: '));
  } else if (media === 'application/merge-patch+json') {
    patched = mergePatch(document, decodeJson(request.body, 'error decoding patch: '));
  } else if (media === 'application/strategic-merge-patch+json' && request.resource.custom === null) {
    patched = strategicMerge(document, decodeJson(request.body, 'error decoding patch: '));
  } else {
    throw unsupportedMedia();
  }
  const complaint = int32Complaint(at(patched, 'spec', 'replicas'), 'ScaleSpec.spec.replicas');
  if (complaint !== null) throw unfitPatch(patched, complaint);
  return patched;
}
