/** The reviews: who am I, whose token is this, may I, may they (recording 04; TokenReview by the API's documentation). Answered, never kept. */
import type { Tokens } from './identity.ts';
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
  tokens: Tokens,
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
  if (resource.kind === 'TokenReview') return answerToken(body, tokens, writer);
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

/** Audience of tokens that name none: that of the API server (kube-apiserver, --api-audiences). */
const ownAudience = 'https://kubernetes.default.svc';

/**
 * Whose token it is (kubernetes/api, authentication/v1, TokenReviewStatus). A token here may name an audience by what follows
 * an `@`; one of a wrong audience is no good, like one that nobody has.
 */
function answerToken(body: JsonMap, tokens: Tokens, writer: Writer): JsonMap {
  const spec = isMap(body.spec) ? body.spec : {};
  const token = textAt(spec, 'token');
  const [, audience = ownAudience] = /@(.+)$/.exec(token) ?? [];
  const asked = Array.isArray(spec.audiences) ? spec.audiences.map(String) : [ownAudience];
  const user = asked.includes(audience) ? tokens.get(token) : undefined;
  const answer = { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: {}, spec };
  const managedFields = afterUpdate(null, answer as unknown as KubeObject, writer, false);
  const status =
    user === undefined
      ? { user: {}, error: '[invalid bearer token, token lookup failed]' }
      : {
          authenticated: true,
          user: { username: user.username, uid: `uid-of-${user.username}`, groups: user.groups },
          audiences: [audience],
        };
  return { ...answer, metadata: { managedFields }, status };
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
