/**
 * The gateway's end of enrolment: HTTPS with TLS 1.3, where a surface proves itself and is given a short-lived
 * certificate. `begin` hands out a nonce that counts once, on the same connection, for two minutes; `finish`
 * takes the proof and the certificate request.
 */
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import { splitListen } from '../../health.ts';
import type { ServerCertificate } from '../authority/ca.ts';
import type { ClientIdentity } from '../authority/client-certificate.ts';
import { makeServerCertificate } from '../authority/server-certificate.ts';
import { channelBinding } from '../evidence/binding.ts';
import { networkOf } from '../network.ts';
import { shareConnections } from './connections.ts';
import { type Caller, createEnrolment, type EnrolmentParts } from './enrolment.ts';
import {
  type beginAnswer,
  type FinishAnswer,
  maxEvidenceBytes,
  maxRequestBytes,
  sessionLifeMs,
} from './messages.ts';
import { createRateLimit } from './rate-limit.ts';
import { noSuchEndpoint, type Refusal, refusalOf } from './refusals.ts';
import { createSessions } from './sessions.ts';
import { createUploads } from './uploads.ts';

const answerTimeoutMs = 10_000;
/** Evidence with all logs comes over slow radio links, and is judged before it is answered. */
const receiveTimeoutMs = 60_000;
const evidenceTimeoutMs = 90_000;
/** What was begun goes with its connection, and a TPM may be slow: the connection must not end before the nonce does. */
const keepAliveMs = sessionLifeMs + answerTimeoutMs;
const maxConnections = 1024;
/** How often is looked for requests that take too long: they may last longer by this. */
const lookEveryMs = 5000;
const housekeepingMs = 60 * 60 * 1000;

interface EnrolServer {
  readonly port: number;
  /** End of its certificate, Unix milliseconds. */
  serverNotAfter(): number;
  close(): Promise<void>;
}

export interface EnrolServerOptions extends EnrolmentParts {
  /** Where the broker is, as surfaces are told; host null: where they reached this endpoint. */
  readonly broker: { readonly host: string | null; readonly port: number };
  /** What else is offered on this address: a route that keeps limits of its own, and what adds it. Null: nothing. */
  readonly more: {
    readonly route: string;
    readonly add: (app: FastifyInstance<Server>) => Promise<void>;
  } | null;
  readonly clock: Clock;
}

/** Starts the enrolment endpoint. @throws SurfacedError E_LISTEN when the address cannot be had */
export async function startEnrolServer(options: EnrolServerOptions): Promise<EnrolServer> {
  const { config, authority, tokens, broker, more, clock, log } = options;
  const own = await makeServerCertificate({ authority, hosts: config.enrol.hosts, clock, log });
  const secrets = ({ privateKeyPem, certificatePem }: ServerCertificate) => ({
    key: privateKeyPem,
    cert: certificatePem,
    ca: authority.certificatePem,
    minVersion: 'TLSv1.3' as const,
  });
  const app = fastify({
    logger: false,
    bodyLimit: maxRequestBytes,
    forceCloseConnections: true,
    requestTimeout: receiveTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    handlerTimeout: answerTimeoutMs,
    https: {
      ...secrets(own.first),
      // Surfaces that renew show their certificate; those that begin have none.
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: answerTimeoutMs,
      headersTimeout: answerTimeoutMs,
      connectionsCheckingInterval: lookEveryMs,
    },
  });
  const server = app.server as Server;

  const limit = createRateLimit({ burst: 60, perSecond: 2, maxNames: 10_000, clock });
  const sessions = createSessions(clock);
  const enrolment = createEnrolment(options, sessions);
  const identityOn = (socket: TLSSocket): ClientIdentity | null => {
    if (!socket.authorized) return null;
    const certificate = socket.getPeerX509Certificate();
    const identity = certificate ? authority.identify(certificate.raw) : null;
    return identity && identity.notAfter > clock.now() ? identity : null;
  };
  shareConnections(server, {
    most: maxConnections,
    surfaceOf: (socket) => identityOn(socket)?.surface ?? null,
  });
  const uploads = createUploads({
    sessions,
    isCertified: (socket, ekSha256) => identityOn(socket as TLSSocket)?.ekSha256 === ekSha256,
    clock,
  });
  const callerOf = (request: FastifyRequest): Caller => {
    const socket = request.raw.socket as TLSSocket;
    return {
      connection: socket,
      address: request.ip,
      identity: () => identityOn(socket),
      // RFC 9266, section 4.2: with TLS 1.3, no context and an empty one are the same.
      channel: () => socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0)),
    };
  };

  app.addHook('onRequest', async (request) => {
    if (request.url === '/healthz' || (more !== null && request.routeOptions.url === more.route)) return;
    // Surfaces behind one address do not take each other's permits once they have a certificate.
    const identity = identityOn(request.raw.socket as TLSSocket);
    if (!limit.take(identity ? `surface ${identity.surface}` : `network ${networkOf(request.ip)}`))
      throw new SurfacedError('E_ENROL_RATE', 'too many requests; try again in a minute');
  });

  app.get('/healthz', async () => ({ ok: true }));
  await more?.add(app);

  app.post(
    '/v1/attest/begin',
    async (request): Promise<z.input<typeof beginAnswer>> => enrolment.begin(request.body, callerOf(request)),
  );

  const large = {
    bodyLimit: maxEvidenceBytes,
    handlerTimeout: evidenceTimeoutMs,
    onRequest: async (request: FastifyRequest, reply: FastifyReply) => uploads.admit(request.raw, reply.raw),
  };
  app.post('/v1/attest/finish', large, async (request): Promise<FinishAnswer> => {
    const issued = await enrolment.finish(request.body, callerOf(request));
    const { surface, trust, level, certificatePem, notAfter } = issued;
    return {
      v: 1,
      site: config.site,
      surface,
      trust,
      level,
      certificate: certificatePem,
      ca: authority.certificatePem,
      broker: { host: broker.host ?? reachedBy(request, config.enrol.hosts), port: broker.port },
      notAfter,
      now: clock.now(),
    };
  });

  const refuse = (refusal: Refusal, request: FastifyRequest, reply: FastifyReply, cause: unknown) => {
    const { code, status, message } = refusal;
    const { ip: address } = request;
    if (code === 'E_ENROL_RATE') void reply.header('retry-after', '60');
    else if (status === 500) log.error({ err: cause, address }, 'enrolment request failed');
    else log.warn({ code, reason: message, address }, 'enrolment refused');
    return reply.code(status).send(refusal.body);
  };
  app.setErrorHandler((error, request, reply) => refuse(refusalOf(error), request, reply, error));
  app.setNotFoundHandler(async (request, reply) =>
    refuse(noSuchEndpoint(request.method, request.url), request, reply, null),
  );

  const { host, port } = splitListen(config.enrol.listen);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await app.close();
    throw new SurfacedError('E_LISTEN', `enrol.listen: cannot listen on ${config.enrol.listen}`, { cause });
  }
  let serverNotAfter = own.first.notAfter;
  const stopRenewal = own.keep((renewed) => {
    server.setSecureContext(secrets(renewed));
    serverNotAfter = renewed.notAfter;
  });
  const housekeeping = setInterval(() => {
    tokens.sweep().catch((error: unknown) => log.error({ err: error }, 'housekeeping of enrolment failed'));
  }, housekeepingMs);
  housekeeping.unref();
  return {
    port: (server.address() as AddressInfo).port,
    serverNotAfter: () => serverNotAfter,
    close: async () => {
      clearInterval(housekeeping);
      stopRenewal();
      await app.close();
    },
  };
}

/** The name by which the surface reached the gateway if it is one of ours, else the first one. */
function reachedBy(request: FastifyRequest, hosts: readonly string[]): string {
  const header = request.headers.host ?? '';
  const name = header.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return hosts.find((host) => host.toLowerCase() === name.toLowerCase()) ?? hosts[0] ?? 'localhost';
}
