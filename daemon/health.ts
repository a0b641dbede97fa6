/** What is up and what is not, for the health endpoint of every role. */
import type { AddressInfo } from 'node:net';
import { SurfacedError } from './errors.ts';

/** One part of a role; `detail` is one sentence for people. */
export interface PartHealth {
  readonly ok: boolean;
  readonly detail: string;
}

export interface HealthReport {
  /** True when every part is. */
  readonly ok: boolean;
  readonly parts: Readonly<Record<string, PartHealth>>;
}

/** Sums parts up to a report. */
export function healthOf(parts: Readonly<Record<string, PartHealth>>): HealthReport {
  return { ok: Object.values(parts).every((part) => part.ok), parts };
}

/** Splits `address:port` as the schema allows it, brackets of an IPv6 address removed. */
export function splitListen(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}

/** What the endpoint tells. */
export interface HealthSources {
  /** For `/healthz`: everything that somebody should see to. */
  readonly report: () => HealthReport;
  /** For `/readyz`: only what the role cannot serve without. */
  readonly readiness: () => HealthReport;
  /** For `/metrics`; null: there is no such path. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> } | null;
}

/**
 * Serves the state of a role over plain HTTP. `/livez`: 200 as long as the event loop turns, which this answer shows.
 * `/readyz`: 200 when it can serve. `/healthz`: 200 when all is well; a probe that restarts or unplugs on it would do harm.
 * Both are 503 else, with their parts in either case. `/metrics`: for Prometheus.
 * @throws SurfacedError E_LISTEN when the address cannot be had
 */
export async function startHealthServer(
  listen: string,
  { report, readiness, metrics }: HealthSources,
): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port } = splitListen(listen);
  // Not before it is needed: a surface without this endpoint does without the package, and its memory.
  const { default: fastify } = await import('fastify');
  const server = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 });
  server.get('/livez', async () => ({ ok: true }));
  for (const [path, look] of [
    ['/healthz', report],
    ['/readyz', readiness],
  ] as const)
    server.get(path, async (_request, reply) => {
      const health = look();
      return reply.code(health.ok ? 200 : 503).send(health);
    });
  if (metrics !== null)
    server.get('/metrics', async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    );
  try {
    await server.listen({ host, port });
  } catch (cause) {
    throw new SurfacedError('E_LISTEN', `health.listen: cannot listen on ${listen}`, { cause });
  }
  return { port: (server.server.address() as AddressInfo).port, close: () => server.close() };
}
