/**
 * The gateway's end of enrolment: HTTPS with TLS 1.3, where a surface proves itself and is given a short-lived
 * certificate. `begin` hands out a nonce that counts once, on the same connection, for two minutes; `finish`
 * takes the proof and the certificate request.
 */
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Registry } from '../../bridge/registry/types.ts';
import type { Clock } from '../../clock.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import { type ErrorCode, errorTable, SurfacedError } from '../../errors.ts';
import { splitListen } from '../../health.ts';
import type { Log } from '../../log.ts';
import type { Authority, ServerCertificate } from '../authority/ca.ts';
import type { ClientIdentity } from '../authority/client-certificate.ts';
import { makeServerCertificate } from '../authority/server-certificate.ts';
import * as x509 from '../authority/x509.ts';
import type { Trust } from '../types.ts';
import {
  type BeginAnswer,
  beginRequest,
  type FinishAnswer,
  finishRequest,
  maxRequestBytes,
  sessionLifeMs,
} from './messages.ts';
import { createRateLimit } from './rate-limit.ts';
import { keyHash, nonceBytes } from './token-proof.ts';
import type { Tokens } from './tokens.ts';

const requestTimeoutMs = 10_000;
const keepAliveMs = 30_000;
const maxConnections = 1024;
const housekeepingMs = 60 * 60 * 1000;

/** HTTP status of each refusal; any other error is a failure of the gateway and told without details. */
const statusOf: Partial<Record<ErrorCode, number>> = {
  E_ENROL_REQUEST: 400,
  E_ENROL_CSR: 400,
  E_ENROL_CERTIFICATE: 401,
  E_TOKEN_REFUSED: 401,
  E_TOKEN_SPENT: 401,
  E_ENROL_POLICY: 403,
  E_SURFACE_UNKNOWN: 403,
  E_SURFACE_REVOKED: 403,
  E_ENROL_SESSION: 409,
  E_ENROL_RATE: 429,
  E_ENROL_KIND: 501,
};

/** What a connection has begun; there is one at most, and it goes with the connection. */
interface Begun {
  readonly session: string;
  readonly nonce: Buffer;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
  readonly proof: { readonly kind: 'token'; readonly tokenId: string } | { readonly kind: 'renew' };
}

interface EnrolServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface EnrolServerOptions {
  readonly config: GatewayConfig;
  /** Where the broker really listens: told to surfaces. */
  readonly brokerPort: number;
  readonly authority: Authority;
  readonly tokens: Tokens;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
}

/** Starts the enrolment endpoint. @throws SurfacedError E_LISTEN when the address cannot be had */
export async function startEnrolServer(options: EnrolServerOptions): Promise<EnrolServer> {
  const { config, authority, tokens, clock, log } = options;
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
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    handlerTimeout: requestTimeoutMs,
    https: {
      ...secrets(own.first),
      // Surfaces that renew show their certificate; those that begin have none.
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
    },
  });
  const server = app.server as Server;
  server.maxConnections = maxConnections;

  const limit = createRateLimit({ burst: 60, perSecond: 2, maxNames: 10_000, clock });
  const begun = new WeakMap<object, Begun>();
  const identityOn = (request: FastifyRequest): ClientIdentity | null => {
    const socket = request.raw.socket as TLSSocket;
    if (!socket.authorized) return null;
    const certificate = socket.getPeerX509Certificate();
    const identity = certificate ? authority.identify(certificate.raw) : null;
    return identity && identity.notAfter > clock.now() ? identity : null;
  };

  app.addHook('onRequest', async (request) => {
    if (request.url === '/healthz') return;
    // Surfaces behind one address do not take each other's permits once they have a certificate.
    const identity = identityOn(request);
    if (!limit.take(identity ? `surface ${identity.surface}` : `address ${request.ip}`))
      throw new SurfacedError('E_ENROL_RATE', 'too many requests; try again in a minute');
  });

  app.get('/healthz', async () => ({ ok: true }));

  app.post('/v1/attest/begin', async (request): Promise<BeginAnswer> => {
    const message = parseRequest(beginRequest, request.body);
    if (message.kind === 'tpm')
      throw new SurfacedError('E_ENROL_KIND', 'attestation by TPM is not supported by this gateway version');
    checkPolicy(config);
    if (message.kind === 'renew') requireIdentity(identityOn(request));
    const session = randomBytes(32).toString('hex');
    const nonce = randomBytes(nonceBytes);
    begun.set(request.raw.socket, {
      session,
      nonce,
      expiresAt: clock.monotonic() + sessionLifeMs,
      proof: message.kind === 'token' ? { kind: 'token', tokenId: message.tokenId } : { kind: 'renew' },
    });
    return { v: 1, session, nonce: nonce.toString('hex'), expiresInMs: sessionLifeMs };
  });

  app.post('/v1/attest/finish', async (request): Promise<FinishAnswer> => {
    const message = parseRequest(finishRequest, request.body);
    const open = begun.get(request.raw.socket);
    // Whatever comes of it, a nonce counts once.
    begun.delete(request.raw.socket);
    if (!open || open.session !== message.session || open.expiresAt <= clock.monotonic()) {
      throw new SurfacedError(
        'E_ENROL_SESSION',
        'begin anew: no such session on this connection, or it is too old',
      );
    }
    checkPolicy(config);
    const publicKey = await readCsr(message.csr);
    let surface: string;
    let trust: Trust = 'token';
    let evidence: string;
    if (open.proof.kind === 'renew') {
      ({ surface, trust, evidence } = requireIdentity(identityOn(request)));
      checkSurface(options.registry, surface);
    } else {
      const { tokenId } = open.proof;
      const token = await tokens.prove({
        id: tokenId,
        nonce: open.nonce,
        keyHash: keyHash(new Uint8Array(publicKey.rawData)),
        proof: Buffer.from(message.proof ?? '', 'hex'),
      });
      ({ surface } = token);
      checkSurface(options.registry, surface);
      await token.spend();
      evidence = `token-${tokenId}-${randomBytes(8).toString('hex')}`;
    }
    const lifeMs = config.enrol.certificateTtlSeconds * 1000;
    const issued = await authority.issue({
      surface,
      publicKey,
      lifeMs,
      trust,
      level: null,
      ekSha256: null,
      evidence,
    });
    log.info(
      { surface, trust, evidence, serial: issued.serial, kind: open.proof.kind, address: request.ip },
      'certificate issued',
    );
    return {
      v: 1,
      site: config.site,
      surface,
      trust,
      level: null,
      certificate: issued.certificatePem,
      ca: authority.certificatePem,
      broker: { host: reachedBy(request, config.enrol.hosts), port: options.brokerPort },
      notAfter: issued.notAfter,
      now: clock.now(),
    };
  });

  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const { status, code, message } = refusal(error);
    if (status >= 500 && code === 'E_ENROL_FAILED') log.error({ err: error }, 'enrolment request failed');
    else if (code !== 'E_ENROL_RATE')
      log.warn({ code, reason: message, address: request.ip }, 'enrolment refused');
    if (code === 'E_ENROL_RATE') void reply.header('retry-after', '60');
    return reply.code(status).send({ error: { code, message, remedy: errorTable[code].remedy } });
  };
  app.setErrorHandler(refuse);
  app.setNotFoundHandler(async (request, reply) => {
    const { method, url } = request;
    const message = `no such endpoint: ${method} ${url.slice(0, 100)}`;
    const { remedy } = errorTable.E_ENROL_REQUEST;
    log.warn({ reason: message, address: request.ip }, 'enrolment refused');
    return reply.code(404).send({ error: { code: 'E_ENROL_REQUEST', message, remedy } });
  });

  const { host, port } = splitListen(config.enrol.listen);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await app.close();
    throw new SurfacedError('E_LISTEN', `enrol.listen: cannot listen on ${config.enrol.listen}`, { cause });
  }
  const stopRenewal = own.keep((renewed) => server.setSecureContext(secrets(renewed)));
  const housekeeping = setInterval(() => {
    tokens.sweep().catch((error: unknown) => log.error({ err: error }, 'housekeeping of enrolment failed'));
  }, housekeepingMs);
  housekeeping.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      clearInterval(housekeeping);
      stopRenewal();
      await app.close();
    },
  };
}

function parseRequest<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') || 'request';
  // Longer texts would only repeat what the sender wrote.
  throw new SurfacedError(
    'E_ENROL_REQUEST',
    `${field}: ${issue?.message ?? 'not as expected'}`.slice(0, 200),
  );
}

function checkPolicy(config: GatewayConfig): void {
  if (config.policy.identity !== 'token') {
    throw new SurfacedError(
      'E_ENROL_POLICY',
      'this gateway accepts attested surfaces only (policy.identity: tpm)',
    );
  }
}

function checkSurface(registry: Registry, name: string): void {
  const surface = registry.get(name);
  if (!surface) throw new SurfacedError('E_SURFACE_UNKNOWN', `there is no surface "${name}" in the registry`);
  if (surface.spec.isRevoked) throw new SurfacedError('E_SURFACE_REVOKED', `surface "${name}" is revoked`);
}

function requireIdentity(identity: ClientIdentity | null): ClientIdentity {
  if (identity) return identity;
  throw new SurfacedError('E_ENROL_CERTIFICATE', 'renewal needs a valid certificate of this gateway');
}

/** The key of a request whose signature shows that the sender holds its private part. */
async function readCsr(pem: string): Promise<x509.PublicKey> {
  try {
    const csr = new x509.Pkcs10CertificateRequest(pem);
    const algorithm = csr.publicKey.algorithm as { readonly name: string; readonly namedCurve?: string };
    if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256')
      throw new Error('the key must be on P-256');
    if (!(await csr.verify())) throw new Error('its signature does not fit its key');
    return csr.publicKey;
  } catch (cause) {
    throw new SurfacedError('E_ENROL_CSR', `csr: ${(cause as Error).message}`.slice(0, 200), { cause });
  }
}

/** The name by which the surface reached the gateway if it is one of ours, else the first one. */
function reachedBy(request: FastifyRequest, hosts: readonly string[]): string {
  const header = request.headers.host ?? '';
  const name = header.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return hosts.find((host) => host.toLowerCase() === name.toLowerCase()) ?? hosts[0] ?? 'localhost';
}

function refusal(error: unknown): { status: number; code: ErrorCode; message: string } {
  if (error instanceof SurfacedError && statusOf[error.code] !== undefined)
    return { status: statusOf[error.code]!, code: error.code, message: error.message };
  // What the HTTP layer refuses: no JSON, too large, a wrong content type.
  const status = (error as Partial<FastifyError>).statusCode ?? 500;
  if (status >= 400 && status < 500)
    return { status, code: 'E_ENROL_REQUEST', message: (error as Error).message.slice(0, 200) };
  return { status: 500, code: 'E_ENROL_FAILED', message: 'the gateway failed; its log has the reason' };
}
