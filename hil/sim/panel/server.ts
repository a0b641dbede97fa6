/** Serves the demo panel's page, its WebSocket and `/healthz` on this machine only. */
import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import fastifyWebsocket from '@fastify/websocket';
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type preValidationAsyncHookHandler,
} from 'fastify';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { Log } from '../../../daemon/log.ts';
import { type DemoFacts, type HealthReport, maxPageMessageBytes } from './messages.ts';
import type { SimPanel } from './panel.ts';
import { isOwnHost, isOwnOrigin, securityHeaders } from './security.ts';
import { PageSocket } from './socket.ts';

/** What the panel's server needs. */
export interface PanelServerOptions {
  readonly host: '127.0.0.1';
  /** 0 picks a free one. */
  readonly port: number;
  readonly panel: SimPanel;
  /** Asked for about once a second while a page is open; may change. */
  readonly facts: () => DemoFacts;
  readonly health: () => HealthReport;
  readonly log: Log;
  /** Folder of the built page; left out: where the build puts it. */
  readonly pageDir?: string;
}

/** A server that runs. */
export interface PanelServer {
  /** Address for a browser. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** More pages than anyone opens by hand; a script that opens them without end is stopped here. */
const maxPages = 16;

/** Compiled, the page is next to this file; from source it is where the build put it. */
function builtPageDir(): string {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const besides = path.join(here, 'page');
  if (existsSync(path.join(besides, 'main.js'))) return besides;
  return path.resolve(here, '../../../dist/hil/sim/panel/page');
}

/** A report even when asking for it fails: an error is never "well". */
function safeHealth(health: () => HealthReport): HealthReport {
  try {
    return health();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { ok: false, parts: { health: { ok: false, detail } } };
  }
}

function serveWebSocket(server: FastifyInstance, options: PanelServerOptions): Set<PageSocket> {
  const { panel, log } = options;
  const pages = new Set<PageSocket>();
  const preValidation: preValidationAsyncHookHandler = async (request, reply) => {
    if (!isOwnOrigin(request.headers.origin, request.headers.host)) {
      log.warn({ origin: request.headers.origin }, 'panel: refused a WebSocket from a foreign page');
      return reply.code(403).send({ error: 'only pages of this server may connect' });
    }
    if (pages.size >= maxPages) return reply.code(503).send({ error: `${maxPages} pages are open` });
  };
  server.get('/ws', { websocket: true, preValidation }, (socket) => {
    const page = new PageSocket({ socket, panel, log, onGone: () => pages.delete(page) });
    pages.add(page);
    page.tell(options.facts(), safeHealth(options.health));
  });
  return pages;
}

/**
 * Serves the panel until closed.
 * @throws SurfacedError E_PANEL_PORT when the port cannot be had
 */
export async function startPanelServer(options: PanelServerOptions): Promise<PanelServer> {
  const { host, log } = options;
  const server = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 });
  server.setErrorHandler((error: FastifyError | SurfacedError, _request, reply) => {
    if (!(error instanceof SurfacedError)) {
      if (error.statusCode !== undefined && error.statusCode < 500) return reply.send(error);
      log.error({ err: error }, 'panel: request failed');
      return reply.code(500).send({ error: 'internal error' });
    }
    return reply.code(503).type('text/plain').send(`${error.code}: ${error.message}\n${error.remedy}\n`);
  });
  await server.register(fastifyWebsocket, {
    options: { maxPayload: maxPageMessageBytes },
    // The socket reports its own errors; the plug-in would destroy it before the close code is out.
    errorHandler: () => {},
  });
  // After the plug-in: its own hook comes first then, and it ends the sockets of upgrades that are refused.
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders);
    if (isOwnHost(request.headers.host)) return;
    log.warn({ host: request.headers.host }, 'panel: refused a request under a foreign host name');
    return reply.code(421).send({ error: 'open this server as localhost or 127.0.0.1' });
  });
  const pages = serveWebSocket(server, options);

  server.get('/healthz', async (_request, reply) => {
    const report = safeHealth(options.health);
    return reply.code(report.ok ? 200 : 503).send(report);
  });

  const pageDir = options.pageDir ?? builtPageDir();
  if (existsSync(path.join(pageDir, 'main.js'))) {
    await server.register(fastifyStatic, { root: pageDir, cacheControl: false });
  } else {
    server.get('/', async () => {
      throw new SurfacedError('E_PANEL_PAGE', `there is no built page in ${pageDir}`);
    });
  }

  try {
    await server.listen({ host, port: options.port });
  } catch (cause) {
    await server.close();
    const isTaken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const why = isTaken ? 'another program has it' : String((cause as Error).message);
    throw new SurfacedError('E_PANEL_PORT', `cannot serve the panel on ${host}:${options.port}: ${why}`, {
      cause,
    });
  }
  const { port } = server.server.address() as AddressInfo;
  const beat = setInterval(() => {
    if (pages.size === 0) return;
    const health = safeHealth(options.health);
    for (const page of pages) page.beat(options.facts(), health);
  }, 1000);

  return {
    url: `http://${host}:${port}/`,
    port,
    async close() {
      clearInterval(beat);
      for (const page of pages) page.end();
      await server.close();
    },
  };
}
