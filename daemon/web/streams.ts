/** The path by which open pages are brought up to date. */
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import type { Door } from './door.ts';
import { type LiveStreams, liveLimits } from './live.ts';
import type { PageSources } from './sources.ts';

/** Adds `GET /events?surfaces=a,b`; no HEAD, whose answer would never end. */
export function addStreams(
  app: FastifyInstance<Server>,
  parts: { readonly door: Door; readonly streams: LiveStreams; readonly sources: PageSources },
): void {
  const { door, streams, sources } = parts;
  const options = { exposeHeadRoute: false };
  app.get<{ Querystring: { surfaces?: string } }>('/events', options, async (request, reply) => {
    const session = await door.admit(request, reply, false);
    if (session === null) return reply;
    const { name: user } = session.user;
    if (!streams.hasRoom(user))
      return reply
        .code(503)
        .header('retry-after', '30')
        .type('text/plain')
        .send('Too many pages are open.\n');
    const names = String(request.query.surfaces ?? '')
      .split(',')
      .filter((name) => sources.surface(name) !== null)
      .slice(0, liveLimits.surfacesOfOneStream);
    reply.hijack();
    const { raw } = reply;
    // Gone while Kubernetes was asked: nothing would tell of it again, and the place would stay taken.
    if (raw.destroyed) return reply;
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    raw.write('retry: 3000\n\n');
    streams.add({ response: raw, user, names, isStillAllowed: () => door.isStillIn(request) });
    return reply;
  });
}
