/** The reviews: who am I, may I, may they (recording 04). Answered, never kept. */
import { at, isMap, type JsonMap, textAt } from './json.ts';
import { afterUpdate, type Writer } from './managed-fields.ts';
import { type KubeObject, timestamp } from './objects.ts';
import { type Attributes, type Identity, isAllowed } from './rbac.ts';
import type { Resource } from './resources.ts';
import { badRequest } from './status.ts';
import type { World } from './world.ts';

/** Answers the POST of a review. */
export function answerReview(
  world: World,
  resource: Resource,
  body: unknown,
  who: Identity,
  writer: Writer,
): JsonMap {
  if (!isMap(body)) throw badRequest('the body of the request was in an unknown format');
  if (resource.kind === 'SelfSubjectReview') {
    return {
      kind: resource.kind,
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { creationTimestamp: timestamp(world.now()) },
      status: {
        userInfo: {
          username: who.username,
          groups: who.groups,
          ...(Object.keys(who.extra).length === 0 ? {} : { extra: who.extra }),
        },
      },
    };
  }
  const apiVersion = 'authorization.k8s.io/v1';
  const spec = isMap(body.spec) ? body.spec : {};
  const subject: Identity =
    resource.kind === 'SelfSubjectAccessReview'
      ? who
      : {
          username: textAt(spec, 'user'),
          groups: Array.isArray(spec.groups) ? spec.groups.map(String) : [],
          extra: {},
        };
  const isYes = isAllowed(world.store, subject, attributesOf(spec));
  const answer = { kind: resource.kind, apiVersion, metadata: {}, spec };
  const managedFields = afterUpdate(null, answer as unknown as KubeObject, writer, false);
  return { ...answer, metadata: { managedFields }, status: { allowed: isYes } };
}

function attributesOf(spec: JsonMap): Attributes {
  const resource = at(spec, 'resourceAttributes');
  const path = at(spec, 'nonResourceAttributes', 'path');
  return {
    verb: isMap(resource) ? textAt(resource, 'verb') : textAt(spec, 'nonResourceAttributes', 'verb'),
    group: textAt(resource, 'group'),
    resource: textAt(resource, 'resource'),
    subresource: textAt(resource, 'subresource'),
    name: textAt(resource, 'name'),
    namespace: textAt(resource, 'namespace') || null,
    path: isMap(resource) || typeof path !== 'string' ? null : path,
  };
}
