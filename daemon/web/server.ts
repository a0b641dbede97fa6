/**
 * The pages' server: HTTPS under one name, no page without log-in, writes only from forms of its own. What is shown comes
 * from `sources`, who may see it is decided by `access`; this file knows neither Kubernetes nor attestation.
 */
import type { Server } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ServerCertificate } from '../attest/authority/ca.ts';
import type { KeptCertificate } from '../attest/authority/server-certificate.ts';
import type { Clock } from '../clock.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { splitListen } from '../health.ts';
import type { Log } from '../log.ts';
import { readAssets } from './assets.ts';
import { createDoor, type Door } from './door.ts';
import { securityHeaders } from './headers.ts';
import type { Part } from './html.ts';
import { type Notice, pageText, type Viewer } from './layout.ts';
import { LiveStreams } from './live.ts';
import { openOidc } from './oidc.ts';
import { allPages } from './pages/all.ts';
import { panelOf } from './panel.ts';
import { Rights } from './rights.ts';
import type { Answer, Route, Visit } from './routes.ts';
import { type Session, Sessions } from './sessions.ts';
import type { PageAccess, PageSources } from './sources.ts';
import { addStreams } from './streams.ts';

const mostBodyBytes = 32 * 1024;
const requestTimeoutMs = 15_000;
const sessionCounts = { most: 500, mostOfOneUser: 10 } as const;

export interface PagesParts {
  readonly pages: NonNullable<GatewayConfig['pages']>;
  readonly certificate: KeptCertificate;
  readonly sources: PageSources;
  readonly access: PageAccess;
  readonly limits: {
    /** Take a permit of an address; false: there is none. */
    readonly request: (address: string) => boolean;
    readonly login: (address: string) => boolean;
    /** Bounds the connections of a server, so that nobody takes all of them. */
    readonly connections: (server: Server) => void;
  };
  readonly clock: Clock;
  readonly log: Log;
}

/** Pages that are served. */
export interface PagesServer {
  readonly port: number;
  /** As browsers must ask for them. */
  readonly url: string;
  close(): Promise<void>;
}

/** @throws SurfacedError E_LISTEN when the address cannot be had, E_PAGES_OIDC for a file of the provider that cannot be read */
export async function startPages(parts: PagesParts): Promise<PagesServer> {
  const { pages, certificate, sources, limits, clock, log } = parts;
  const assets = await readAssets();
  const oidc = pages.login.oidc ? await openOidc(pages.login.oidc, { clock, log }) : null;
  const sessions = new Sessions(
    {
      ...sessionCounts,
      idleMs: pages.idleMinutes * 60_000,
      longestMs: pages.longestHours * 3_600_000,
    },
    clock,
  );
  const rights = new Rights(parts.access, clock);
  const streams = new LiveStreams(
    (name) => {
      const surface = sources.surface(name);
      return surface && panelOf(surface).text;
    },
    (error) => log.error({ err: error }, 'a page could not be brought up to date'),
  );
  const secrets = ({ privateKeyPem, certificatePem }: ServerCertificate) => ({
    key: privateKeyPem,
    cert: certificatePem,
    minVersion: 'TLSv1.2' as const,
  });
  const app = fastify({
    logger: false,
    bodyLimit: mostBodyBytes,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    routerOptions: { maxParamLength: 200 },
    // Addresses that are none come past all hooks.
    frameworkErrors: (_error, _request, reply) => {
      const plain = reply as unknown as FastifyReply;
      void plain.headers(securityHeaders).code(404).type('text/plain').send('There is no such page.\n');
    },
    https: {
      ...secrets(certificate.first),
      handshakeTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
    },
  });
  const server = app.server as Server;
  limits.connections(server);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  /** Known when it listens. */
  let url = '';

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      done(null, new URLSearchParams(String(body)));
    },
  );
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders);
    if (`https://${request.headers.host}` !== url)
      return reply.code(421).type('text/plain').send(`The pages of this gateway are at ${url}/\n`);
    if (!limits.request(request.ip))
      return reply.code(429).header('retry-after', '10').type('text/plain').send('Too many requests.\n');
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isFromHere(request, url))
      return reply.code(403).type('text/plain').send('This form is not from a page of this gateway.\n');
  });

  const place = `${sources.site} / ${sources.gateway}`;
  const show = (
    reply: FastifyReply,
    page: {
      readonly title: string;
      readonly main: Part;
      readonly at: string;
      readonly viewer: Viewer | null;
      readonly notice: Notice | null;
      readonly status: number;
    },
  ): FastifyReply =>
    reply
      .code(page.status)
      .type('text/html; charset=utf-8')
      .send(pageText({ ...page, place }, assets.hash));

  app.get<{ Params: { name: string } }>('/assets/:name', async (request, reply) => {
    const asset = assets.of(request.params.name);
    if (asset === null) return reply.code(404).type('text/plain').send('There is no such file.\n');
    return reply
      .type(asset.type)
      .header('cache-control', 'private, max-age=31536000, immutable')
      .send(asset.bytes);
  });
  const door: Door = createDoor({
    ...{ pages, sources, sessions, rights, oidc, limits, clock, log, show },
    url: () => url,
    reviewToken: (token) => parts.access.reviewToken(token),
  });
  door.add(app);

  /** Said once, on the page that comes next. */
  const notices = new WeakMap<Session, Notice>();
  const viewerOf = async ({ user, formToken }: Session, isDoing: boolean): Promise<Viewer> => ({
    name: user.name,
    formToken,
    mayApprove: await (isDoing ? rights.askNow(user, 'approve') : rights.isAllowed(user, 'approve')),
    waiting: sources.waiting().length,
  });
  const serve = (route: Route) => async (request: FastifyRequest, reply: FastifyReply) => {
    const session = await door.admit(request, reply, true);
    if (session === null) return reply;
    const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
    if (route.method === 'POST' && !door.isOurForm(session, form))
      return reply.code(403).type('text/plain').send('This form is too old: open the page again.\n');
    // What was allowed a moment ago is good enough to look, not to decide.
    const isDoing = route.method === 'POST';
    const viewer = await viewerOf(session, isDoing);
    const visit: Visit = {
      ...{ user: session.user, session, viewer, form },
      query: new URL(request.url, url).searchParams,
      params: request.params as Readonly<Record<string, string>>,
      may: (right, surface) =>
        isDoing
          ? rights.askNow(session.user, right, surface)
          : rights.isAllowed(session.user, right, surface),
    };
    const answer: Answer = await route.answer(visit);
    if ('to' in answer) {
      notices.set(session, answer.notice);
      return reply.redirect(answer.to, 303);
    }
    if ('fragment' in answer) return reply.type('text/html; charset=utf-8').send(answer.fragment);
    const notice = notices.get(session) ?? null;
    notices.delete(session);
    const { title, main, status = 200 } = answer;
    return show(reply, { title, main, status, at: route.at, viewer, notice });
  };
  for (const route of allPages({ sources }))
    app.route({ method: route.method, url: route.path, handler: serve(route) });
  app.get('/', async (_request, reply) => reply.redirect('/surfaces', 303));
  addStreams(app, { door, streams, sources });

  app.setNotFoundHandler(async (request, reply) => {
    const session = await door.admit(request, reply, true);
    if (session === null) return reply;
    const viewer = await viewerOf(session, false);
    return show(reply, {
      ...{ title: 'Not found', main: 'There is no such page.', at: '', viewer, notice: null, status: 404 },
    });
  });
  app.setErrorHandler((error: FastifyError | SurfacedError, request, reply) => {
    const isKnown = error instanceof SurfacedError;
    const status = isKnown ? (error.code === 'E_PAGES_ASK' ? 503 : 400) : (error.statusCode ?? 500);
    if (status >= 500 && !isKnown) log.error({ err: error, address: request.ip }, 'a page failed');
    else log.warn({ reason: error.message, address: request.ip }, 'a page was refused');
    const words = isKnown || status < 500 ? error.message : 'The gateway failed; its log has the reason.';
    return show(reply, { title: 'Not now', main: words, at: '', viewer: null, notice: null, status });
  });

  const { host, port } = splitListen(pages.listen);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await app.close();
    throw new SurfacedError('E_LISTEN', `pages.listen: cannot listen on ${pages.listen}`, { cause });
  }
  const listening = (server.address() as AddressInfo).port;
  url = pages.url
    ? new URL(pages.url).origin
    : new URL(`https://${bracketed(pages.hosts[0] ?? 'localhost')}:${listening}`).origin;
  const stopRenewal = certificate.keep((renewed) => server.setSecureContext(secrets(renewed)));
  return {
    port: listening,
    url,
    close: async () => {
      stopRenewal();
      streams.close();
      const closed = app.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A host as it stands in an address (RFC 3986, section 3.2.2). */
const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

/**
 * Browsers say where a form comes from: `Origin` with every POST (Fetch, section 3.2), `Sec-Fetch-Site` wherever it is known.
 * A request that says neither is from no browser, and has no business here.
 */
function isFromHere({ headers }: FastifyRequest, url: string): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin === url && (site === undefined || site === 'same-origin');
}
