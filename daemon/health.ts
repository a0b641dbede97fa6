/** What is up and what is not, for `/healthz` of every role. */
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

/**
 * Serves `/healthz` over plain HTTP: 200 when all is well, 503 else, the parts in either case.
 * @throws SurfacedError E_LISTEN when the address cannot be had
 */
export async function startHealthServer(
  listen: string,
  report: () => HealthReport,
): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port } = splitListen(listen);
  // Not before it is needed: a surface without this endpoint does without the package, and its memory.
  const { default: fastify } = await import('fastify');
  const server = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 });
  server.get('/healthz', async (_request, reply) => {
    const health = report();
    return reply.code(health.ok ? 200 : 503).send(health);
  });
  try {
    await server.listen({ host, port });
  } catch (cause) {
    throw new SurfacedError('E_LISTEN', `health.listen: cannot listen on ${listen}`, { cause });
  }
  return { port: (server.server.address() as AddressInfo).port, close: () => server.close() };
}
