/** What an HTTP request means: resource, object, verb, body, and how the answer is wanted. */
import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import type { Writer } from './managed-fields.ts';
import { timestamp } from './objects.ts';
import type { Attributes, Identity } from './rbac.ts';
import type { Resource, Resources } from './resources.ts';
import { badRequest, StatusError, unknownResource } from './status.ts';

/** Where a path points to. */
export interface Target {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string | null;
  readonly name: string;
  readonly subresource: string;
}

/** A request for a resource. */
export interface ApiRequest {
  readonly target: Target;
  readonly resource: Resource;
  readonly verb: string;
  readonly query: URLSearchParams;
  readonly who: Identity;
  readonly accept: Wanted;
  readonly contentType: string;
  readonly body: Buffer;
  readonly writer: (subresource: string) => Writer;
}

/** The form in which objects are answered. */
export type Wanted = 'json' | 'table' | 'metadata';

/** Parses `/api/v1/namespaces/shop/pods/x/status` and the like; null for paths about no resource. */
export function targetOf(path: string): Target | null {
  const parts = path.split('/').filter((part) => part !== '');
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return null;
  const group = isCore ? '' : (parts[1] ?? '');
  const [version, ...rest] = parts.slice(isCore ? 1 : 2).map(decodeURIComponent);
  if (version === undefined || rest.length === 0) return null;
  let namespace: string | null = null;
  let tail = rest;
  if (rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize') {
    namespace = rest[1]!;
    tail = rest.slice(2);
  }
  const [plural = '', name = '', ...sub] = tail;
  return { group, version, plural, namespace, name, subresource: sub.join('/') };
}

/** The RBAC verb of a request (kubernetes.io, "Authorization: determine the request verb"). */
export function verbOf(method: string, target: Target | null, query: URLSearchParams): string {
  const isWatch = ['1', 'true'].includes(query.get('watch') ?? '');
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return target !== null && target.name === '' ? 'deletecollection' : 'delete';
    default:
      if (target === null) return 'get';
      if (isWatch) return 'watch';
      return target.name === '' ? 'list' : 'get';
  }
}

/**
 * What authorization looks at. A list or watch of one name by its field selector is about that name (apiserver
 * RequestInfoFactory), so that Roles with resourceNames allow it.
 */
export function attributesOf(
  path: string,
  target: Target | null,
  verb: string,
  query: URLSearchParams,
): Attributes {
  if (target === null) {
    return { verb, group: '', resource: '', subresource: '', name: '', namespace: null, path };
  }
  const { group, plural, namespace, subresource } = target;
  const isOfOne = target.name === '' && (verb === 'list' || verb === 'watch');
  const [, selected = ''] =
    /(?:^|,)metadata\.name==?([^,]+)/.exec(isOfOne ? (query.get('fieldSelector') ?? '') : '') ?? [];
  const name = target.name || selected;
  return { verb, group, resource: plural, subresource, name, namespace, path: null };
}

/** The resource that a target names. @throws StatusError 404 */
export function resourceOf(resources: Resources, target: Target): Resource {
  const resource = resources.find(target.group, target.version, target.plural);
  if (resource === null) throw unknownResource();
  const { subresource } = target;
  if (subresource !== '' && !resource.subresources.some((one) => one.name === subresource)) {
    throw unknownResource();
  }
  return resource;
}

/** Chooses among the forms of an Accept header; unknown ones, such as protobuf, are passed over. */
export function wantedOf(accept: string): Wanted {
  for (const part of accept.split(',')) {
    const media = part.trim();
    if (media.startsWith('application/json;') && media.includes('as=Table')) return 'table';
    if (media.startsWith('application/json;') && media.includes('as=PartialObjectMetadata'))
      return 'metadata';
    if (/^(application\/json|\*\/\*|application\/\*)/.test(media)) return 'json';
  }
  return 'json';
}

/** Who writes, for managedFields: `fieldManager`, else the program's name in User-Agent. */
export function writerOf(request: IncomingMessage, query: URLSearchParams, now: () => number) {
  const agent = (request.headers['user-agent'] ?? '').split('/')[0] ?? '';
  const manager = query.get('fieldManager') || agent || 'unknown';
  return (subresource: string): Writer => ({
    manager,
    operation: 'Update',
    subresource,
    time: subresource === 'scale' ? '' : timestamp(now()),
  });
}

const BODY_LIMIT = 3 * 1024 * 1024;

/** Reads a body. @throws StatusError 413 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) {
      const message = `Request entity too large: limit is ${BODY_LIMIT}`;
      throw new StatusError(413, 'RequestEntityTooLarge', message, { details: {} });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Decodes a body of JSON; the complaint is worded as Go's decoder does. */
export function decodeJson(body: Buffer, prefix: string): unknown {
  const text = body.toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw badRequest(`${prefix}${jsonComplaint(text)}`);
  }
}

/** Decodes a body of an object: JSON, or YAML where the content type says so. */
export function decodeObject(body: Buffer, contentType: string): unknown {
  if (contentType.includes('protobuf')) throw unsupportedMedia();
  if (!contentType.includes('yaml')) {
    return decodeJson(body, "couldn't get version/kind; json parse error: ");
  }
  try {
    return parseYaml(body.toString('utf8')) as unknown;
  } catch (error) {
    throw badRequest(`error parsing YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** 415 (recording 03). */
export function unsupportedMedia(): StatusError {
  return new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', { details: {} });
}

/** What Go's encoding/json says about a text that is not JSON, for the two common cases. */
export function jsonComplaint(text: string): string {
  const first = text.trimStart()[0];
  if (first === undefined || '{["tfn-0123456789'.includes(first)) return 'unexpected end of JSON input';
  const code = first.codePointAt(0) ?? 0;
  const shown = code < 0x20 || code > 0x7e ? `\\u${code.toString(16).padStart(4, '0')}` : first;
  return `invalid character '${shown}' looking for beginning of value`;
}

/** Whether nothing may be kept. @throws StatusError 422 */
export function isDryRun(query: URLSearchParams): boolean {
  const value = query.get('dryRun');
  if (value === null || value === '') return false;
  if (value === 'All') return true;
  throw badRequest(`dryRun: Unsupported value: "${value}": supported values: "All"`);
}
