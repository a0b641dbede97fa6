/**
 * Bundles over HTTPS, on the address where surfaces enrol. RAUC fetches only the blocks that it has not: many small ranges of
 * one file. Bundles are signed and no secret, so nobody has to show a certificate; that the certificate of a surface is in
 * the memory of its daemon alone is worth more.
 */
import type { Server } from 'node:https';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock } from '../../clock.ts';
import { bundlePath } from '../wire/messages.ts';
import type { UpdatesFolder } from './folder.ts';

/** Where bundles are, as a route. */
export const bundleRoute = path.posix.join(path.posix.dirname(bundlePath('')), ':file');

const suffix = '.raucb';
/** Answers at the same time: all of them, and to one network. A surface has a few, and several may share an address. */
const mostAnswers = { ofAll: 128, ofNetwork: 48 } as const;
/** Requests of one network: a burst, and a second. One surface makes some thousand requests for an update. */
const rate = { burst: 2000, perSecond: 400, maxNames: 10_000 } as const;
/** Longest answer: a whole bundle over slow radio, milliseconds. */
const answerMs = 60 * 60_000;
/** Whoever takes nothing for so long gives up their place, milliseconds. */
const idleMs = 60_000;

export interface ServeParts {
  readonly folder: Pick<UpdatesFolder, 'offer'>;
  /** Where the bundles of the folder are. */
  readonly root: string;
  readonly clock: Clock;
  /** Makes a bucket of permits for each name. */
  readonly createRateLimit: (options: typeof rate & { readonly clock: Clock }) => {
    take(name: string): boolean;
  };
  /** Who counts as one sender. */
  readonly networkOf: (address: string) => string;
}

/** Makes what adds the route to a server; only bundles that the folder offers can be had. */
export function serveBundles(parts: ServeParts): (app: FastifyInstance<Server>) => Promise<void> {
  const { folder, root, clock, createRateLimit, networkOf } = parts;
  const limit = createRateLimit({ ...rate, clock });
  const answers = new Map<string, number>();
  const change = (network: string, by: 1 | -1): void => {
    const count = (answers.get(network) ?? 0) + by;
    if (count > 0) answers.set(network, count);
    else answers.delete(network);
  };
  const hasPlace = (network: string): boolean => {
    const all = [...answers.values()].reduce((sum, count) => sum + count, 0);
    return all < mostAnswers.ofAll && (answers.get(network) ?? 0) < mostAnswers.ofNetwork;
  };
  return async (app) => {
    await app.register(fastifyStatic, { root, serve: false, cacheControl: false });
    app.get<{ Params: { file: string } }>(
      bundleRoute,
      { handlerTimeout: answerMs },
      async (request, reply) => {
        const network = networkOf(request.ip);
        if (!limit.take(network)) return tooMany(reply, 429, 'too many requests; try again in some seconds');
        if (!hasPlace(network)) return tooMany(reply, 503, 'too many bundles are being fetched; try again');
        // Nothing of the request becomes a path: it only chooses among what the folder offers.
        const { file } = request.params;
        const offer = file.endsWith(suffix) ? folder.offer(file.slice(0, -suffix.length)) : null;
        if (offer === null) return reply.code(404).send({ error: { message: 'there is no such bundle' } });
        change(network, 1);
        reply.raw.once('close', () => change(network, -1));
        reply.raw.setTimeout(idleMs, () => reply.raw.destroy());
        return reply.type('application/octet-stream').sendFile(path.basename(offer.file));
      },
    );
  };
}

const tooMany = (reply: FastifyReply, status: 429 | 503, message: string): FastifyReply =>
  reply.code(status).header('retry-after', '5').send({ error: { message } });
