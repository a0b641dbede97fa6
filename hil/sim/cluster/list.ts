/** LIST: selectors, pages, continue tokens and reads at a version (recordings 10 and 13). */
import type { JsonMap } from './json.ts';
import type { KubeObject } from './objects.ts';
import { type ApiRequest, jsonComplaint } from './request.ts';
import { groupVersion } from './resources.ts';
import { fieldMatcher, labelMatcher, type Matcher } from './selectors.ts';
import { badRequest, StatusError } from './status.ts';
import { keyOf } from './store.ts';
import type { World } from './world.ts';

/** One page. */
export interface Page {
  readonly items: readonly KubeObject[];
  readonly metadata: JsonMap;
}

/** The objects that the selectors of a request name. */
export function matcherOf(request: ApiRequest): Matcher {
  const { query, target } = request;
  const labels = query.get('labelSelector') ?? '';
  const fields = query.get('fieldSelector') ?? '';
  const tests: Matcher[] = [];
  if (target.namespace !== null) tests.push((object) => object.metadata.namespace === target.namespace);
  if (target.name !== '') tests.push((object) => object.metadata.name === target.name);
  if (labels !== '') tests.push(labelMatcher(labels));
  if (fields !== '') tests.push(fieldMatcher(fields, request.resource));
  return (object) => tests.every((test) => test(object));
}

/** @throws StatusError 400 for a resourceVersion that is no number */
export function versionOf(query: URLSearchParams): number | null {
  const text = query.get('resourceVersion');
  if (text === null || text === '') return null;
  if (!/^\d+$/.test(text)) {
    const message = `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
    throw badRequest(message);
  }
  return Number(text);
}

interface Continue {
  readonly version: number;
  readonly start: string;
}

function decodeContinue(token: string): Continue {
  const text = Buffer.from(token, 'base64url').toString('latin1');
  try {
    const { v, rv, start } = JSON.parse(text) as { v?: unknown; rv?: unknown; start?: unknown };
    if (v === 'meta.k8s.io/v1' && typeof rv === 'number' && typeof start === 'string') {
      return { version: rv, start };
    }
  } catch {
    throw badRequest(`invalid continue token: continue key is not valid: ${jsonComplaint(text)}`);
  }
  throw badRequest(
    'invalid continue token: continue key is not valid: incorrect encoded start resourceVersion',
  );
}

function encodeContinue(version: number, start: string): string {
  // Go escapes the NUL that makes the next page start after the last key; JSON.stringify does so too.
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start })).toString('base64url');
}

/** The page that a request asks for. @throws StatusError 410 for versions that are compacted */
export function list(world: World, request: ApiRequest): Page {
  const { query, resource, target } = request;
  const matches = matcherOf(request);
  const limit = Number(query.get('limit') ?? 0) || 0;
  const token = query.get('continue') ?? '';
  const asked = versionOf(query);
  let version = world.store.version();
  let after: string | null = null;
  if (token !== '') {
    const from = decodeContinue(token);
    after = from.start;
    if (from.version >= 0) {
      if (from.version < oldestFor(world, request)) throw expiredToken(from.start);
      version = from.version;
    }
  } else if (asked !== null && query.get('resourceVersionMatch') === 'Exact') {
    if (asked < oldestFor(world, request)) {
      const message = 'The resourceVersion for the provided list is too old.';
      throw new StatusError(410, 'Expired', message, { details: null });
    }
    version = asked;
  } else if (asked !== null && asked > version) {
    const message = `Too large resource version: ${asked}, current: ${version}`;
    throw new StatusError(504, 'Timeout', `Timeout: ${message}`, { details: { retryAfterSeconds: 1 } });
  }
  const prefix = target.namespace === null ? '' : `${target.namespace}/`;
  const start = after === null ? '' : `${prefix}${after.replace(/^\//, '')}`;
  const objects = world.store.snapshot(resource, version);
  const found: (readonly [key: string, object: KubeObject])[] = [];
  for (const [key, object] of objects)
    if (key.startsWith(prefix) && key >= start && matches(object)) found.push([key, object]);
  // Only then: thousands of lists of a few objects each come when a gateway starts.
  found.sort(([a], [b]) => (a < b ? -1 : 1));
  const items: KubeObject[] = [];
  let rest = 0;
  for (const [, object] of found) {
    if (limit > 0 && items.length === limit) rest++;
    else items.push(object);
  }
  const last = items.at(-1);
  const hasSelector = query.has('labelSelector') || query.has('fieldSelector');
  return {
    items,
    metadata: {
      resourceVersion: String(version),
      ...(rest > 0 && last !== undefined
        ? {
            continue: encodeContinue(version, `/${keyOf(last).slice(prefix.length)}\u0000`),
            ...(hasSelector ? {} : { remainingItemCount: rest }),
          }
        : {}),
    },
  };
}

function oldestFor(world: World, request: ApiRequest): number {
  return world.store.oldest(request.resource);
}

function expiredToken(start: string): StatusError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new ' +
    'list without the continue parameter, or use the continue token in this response to retrieve the ' +
    'remainder of the results. Continuing with the provided token results in an inconsistent list - objects ' +
    'that were created, modified, or deleted between the time the first chunk was returned and now may show ' +
    'up in the list.';
  return new StatusError(410, 'Expired', message, {
    details: null,
    metadata: { continue: encodeContinue(-1, start) },
  });
}

/** A page as the list object of its kind; items of built-in kinds carry no kind of their own. */
export function listObject(request: ApiRequest, page: Page): JsonMap {
  const { resource } = request;
  const isCustom = resource.custom !== null;
  return {
    kind: resource.custom?.listKind ?? `${resource.kind}List`,
    apiVersion: groupVersion(resource),
    metadata: page.metadata,
    items: isCustom ? page.items : page.items.map(({ kind: _, apiVersion: __, ...item }) => item),
  };
}
