/** The HTTPS door: who is it, may they, what do they want, and the answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { discover, VERSION } from './discovery.ts';
import type { Faults, RequestLog } from './faults.ts';
import { shapeList, shapeObject } from './forms.ts';
import { authenticate, impersonate, type Tokens } from './identity.ts';
import { type JsonMap, numberAt } from './json.ts';
import { list } from './list.ts';
import type { KubeObject } from './objects.ts';
import { type Answer, create, patch, read, remove, removeAll, replace } from './objects-api.ts';
import { openApi } from './openapi.ts';
import { forbidden, type Identity, isAllowed } from './rbac.ts';
import {
  type ApiRequest,
  attributesOf,
  decodeObject,
  readBody,
  resourceOf,
  type Target,
  targetOf,
  verbOf,
  wantedOf,
  writerOf,
} from './request.ts';
import { answerReview } from './reviews.ts';
import { handleScale } from './scale.ts';
import { methodNotAllowed, StatusError, unknownResource } from './status.ts';
import { startWatch, type Watches } from './watch.ts';
import type { World } from './world.ts';

/** What answering a request needs. */
export interface Api {
  readonly world: World;
  readonly watches: Watches;
  readonly faults: Faults;
  readonly log: RequestLog;
  readonly tokens: Tokens;
  /** Answers `/sim/...`; null when there is no such function. */
  readonly controlCall: (path: string, body: Buffer) => JsonMap | null;
}

const NON_JSON = new Set(['/readyz', '/livez', '/healthz']);

interface Trace {
  status: number;
  verb: string;
  resource: string;
  user: string;
  replicas: number | null;
}

/** Answers one request; never throws. */
export async function handle(api: Api, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedAt = api.world.now();
  const trace: Trace = { status: 0, verb: '', resource: '', user: '', replicas: null };
  response.setHeader('audit-id', api.world.random.uuid());
  try {
    await answer(api, request, response, trace);
    trace.status = response.statusCode;
  } catch (error) {
    // Whoever hung up gets no answer.
    if (!request.socket.destroyed) trace.status = refuse(api, response, error);
  }
  api.log.add({
    at: startedAt,
    tookMs: api.world.now() - startedAt,
    method: request.method ?? '',
    path: request.url ?? '',
    userAgent: request.headers['user-agent'] ?? '',
    ...trace,
  });
}

function refuse(api: Api, response: ServerResponse, error: unknown): number {
  const refusal =
    error instanceof StatusError
      ? error
      : new StatusError(500, 'InternalError', `Internal error occurred: ${String(error)}`, { details: {} });
  if (!(error instanceof StatusError))
    api.world.log.error({ err: error }, 'request failed in the simulation');
  if (response.headersSent) {
    response.destroy();
    return refusal.code;
  }
  if (refusal.retryAfterSeconds !== null) response.setHeader('retry-after', refusal.retryAfterSeconds);
  send(response, refusal.code, refusal.body, 'application/json');
  return refusal.code;
}

function send(response: ServerResponse, status: number, body: unknown, contentType: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-cache, private' });
  response.end(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
}

async function answer(
  api: Api,
  request: IncomingMessage,
  response: ServerResponse,
  trace: Trace,
): Promise<void> {
  const { world } = api;
  const url = new URL(request.url ?? '/', 'https://sim');
  const path = url.pathname;
  const query = url.searchParams;
  const target = targetOf(path);
  const verb = verbOf(request.method ?? 'GET', target, query);
  trace.verb = verb;
  if (target !== null) {
    trace.resource = target.subresource === '' ? target.plural : `${target.plural}/${target.subresource}`;
  }
  const sender = authenticate(request, api.tokens);
  trace.user = sender.username;
  const body = await readBody(request);
  if (path.startsWith('/sim/')) {
    sendControl(api, response, path, body, sender);
    return;
  }
  const hangMs = api.faults.hangsForMs();
  if (hangMs > 0) await new Promise<void>((resolve) => world.timers.after(hangMs, resolve));
  api.faults.check();
  const who = impersonate(world.store, request, sender);
  trace.user = who.username;
  const attributes = attributesOf(path, target, verb, query);
  if (!isAllowed(world.store, who, attributes)) throw forbidden(who, attributes);
  if (target === null) {
    sendPath(api, request, response, path);
    return;
  }
  const resource = resourceOf(world.resources, target);
  const apiRequest: ApiRequest = {
    target,
    resource,
    verb,
    query,
    who,
    accept: wantedOf(request.headers.accept ?? ''),
    contentType: request.headers['content-type'] ?? 'application/json',
    body,
    writer: writerOf(request, query, world.now),
  };
  if (verb === 'watch') {
    startWatch(world, api.watches, apiRequest, response);
    return;
  }
  if (target.subresource === '' && !resource.verbs.includes(verb)) throw methodNotAllowed();
  const { code, body: result } = call(api, apiRequest, target);
  if (target.subresource === 'scale') trace.replicas = numberAt(result, 'spec', 'replicas');
  send(response, code, result, 'application/json');
}

function call({ world, tokens }: Api, request: ApiRequest, target: Target): Answer {
  const { resource, verb } = request;
  if (!resource.isStored) {
    const writer = request.writer('');
    const body = decodeObject(request.body, request.contentType);
    return { code: 201, body: answerReview(world, resource, body, request.who, tokens, writer) };
  }
  if (target.subresource === 'scale') {
    if (verb !== 'get' && verb !== 'update' && verb !== 'patch') throw methodNotAllowed();
    return { code: 200, body: handleScale(world, request) };
  }
  switch (verb) {
    case 'get':
      return { code: 200, body: shapeObject(request, read(world, request), world.now(), true) };
    case 'list':
      return { code: 200, body: shapeList(request, list(world, request), world.now()) };
    case 'create':
      return shaped(world, request, create(world, request));
    case 'update':
      return shaped(world, request, replace(world, request));
    case 'patch':
      return shaped(world, request, patch(world, request));
    case 'delete':
      return remove(world, request);
    case 'deletecollection':
      return removeAll(world, request, list(world, request).items);
    default:
      throw methodNotAllowed();
  }
}

function shaped(world: World, request: ApiRequest, result: Answer): Answer {
  if (request.accept === 'json' || result.body.kind === 'Status') return result;
  return { ...result, body: shapeObject(request, result.body as KubeObject, world.now(), true) };
}

function sendPath(api: Api, request: IncomingMessage, response: ServerResponse, path: string): void {
  if (NON_JSON.has(path)) {
    send(response, 200, 'ok', 'text/plain; charset=utf-8');
    return;
  }
  if (path === '/version') {
    send(response, 200, VERSION, 'application/json');
    return;
  }
  const address = request.headers.host ?? '';
  const found = discover(api.world.resources, path, request.headers.accept ?? '', address);
  if (found !== null) {
    response.setHeader('vary', 'Accept');
    send(response, 200, found.body, found.contentType);
    return;
  }
  const schema = openApi(api.world.resources, path);
  if (schema !== null) {
    send(response, 200, schema, 'application/json');
    return;
  }
  send(response, 404, '404 page not found\n', 'text/plain; charset=utf-8');
}

function sendControl(api: Api, response: ServerResponse, path: string, body: Buffer, sender: Identity): void {
  if (!sender.groups.includes('system:masters')) {
    throw forbidden(sender, attributesOf(path, null, 'create', new URLSearchParams()));
  }
  const result = api.controlCall(path.slice('/sim/'.length), body);
  if (result === null) throw unknownResource();
  send(response, 200, result, 'application/json');
}
