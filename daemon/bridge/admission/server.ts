/**
 * The admission endpoint: HTTPS for the API servers of one cluster. Its certificate is the gateway's, so the registration
 * carries the gateway's CA. Bodies are bounded one by one and all together, because without `clientCa` anybody who reaches
 * the port can send them.
 */
import { X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import fastify, { type FastifyError } from 'fastify';
import type { ServerCertificate } from '../../attest/authority/ca.ts';
import type { KeptCertificate } from '../../attest/authority/server-certificate.ts';
import type { Trust } from '../../attest/trust/types.ts';
import { readBounded } from '../../config/read-bounded.ts';
import { SurfacedError } from '../../errors.ts';
import { type PartHealth, splitListen } from '../../health.ts';
import type { Log } from '../../log.ts';
import type { CertificateRules } from './certificates.ts';
import { checkAdmission } from './faults.ts';
import { type ImageFile, openImageList } from './image-list.ts';
import { createJudge } from './judge.ts';
import { type Admission, createStandings } from './nodes.ts';
import { admissionPath, timeoutSeconds } from './registration.ts';

/**
 * An API server takes objects of 3 MiB (kubernetes, apiserver/pkg/server/config.go, `MaxRequestBodyBytes`), and a review of
 * an update holds the old object as well, with an envelope.
 */
const mostBodyBytes = 7 * 1024 * 1024;
/** Of all bodies that are under way. */
const mostBytesUnderWay = 64 * 1024 * 1024;
const maxConnections = 256;
const requestTimeoutMs = timeoutSeconds * 1000;
const mostCaBytes = 1024 * 1024;

export interface AdmissionParts {
  readonly admission: Admission;
  readonly trust: Pick<Trust, 'isTrusted' | 'of'>;
  readonly readSubject: CertificateRules['readSubject'];
  /** For `admission.hosts`. */
  readonly certificate: KeptCertificate;
  readonly log: Log;
}

/** An endpoint that listens. */
export interface AdmissionServer {
  readonly port: number;
  health(): PartHealth;
  close(): Promise<void>;
}

/**
 * Starts the endpoint.
 * @throws SurfacedError E_ADMISSION for faults of the config, E_CFG_READ for `clientCa`, E_LISTEN when the address cannot be had
 */
export async function startAdmission(parts: AdmissionParts): Promise<AdmissionServer> {
  const { admission, trust, readSubject, certificate, log } = parts;
  checkAdmission(admission);
  const clientCa = admission.clientCa === undefined ? null : await readCa(admission.clientCa);
  const images = await openImages(admission, log);
  const judge = createJudge({
    standingOf: createStandings(admission, trust),
    readSubject,
    imageNamespaces: new Set(admission.imageNamespaces),
    images,
    exemptNamespaces: new Set(admission.exemptNamespaces),
    log,
  });
  const secrets = ({ privateKeyPem, certificatePem }: ServerCertificate) => ({
    key: privateKeyPem,
    cert: certificatePem,
    minVersion: 'TLSv1.3' as const,
    ...(clientCa !== null && { ca: clientCa }),
  });
  const app = fastify({
    logger: false,
    bodyLimit: mostBodyBytes,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    https: {
      ...secrets(certificate.first),
      requestCert: clientCa !== null,
      rejectUnauthorized: clientCa !== null,
      handshakeTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
    },
  });
  const server = app.server as Server;
  server.maxConnections = maxConnections;
  /** Closing does not reach connections that have said nothing yet. */
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  let bytesUnderWay = 0;
  app.addHook('onRequest', async (request, reply) => {
    // A body in chunks does not say how long it will be; the body limit ends it.
    const bytes = Number(request.headers['content-length'] ?? mostBodyBytes);
    if (!(bytes <= mostBodyBytes))
      return reply.code(413).send({ message: `larger than ${mostBodyBytes} bytes` });
    if (bytesUnderWay + bytes > mostBytesUnderWay)
      return reply.code(503).send({ message: 'too many requests at a time' });
    bytesUnderWay += bytes;
    // After the answer, and when the connection goes before it.
    reply.raw.once('close', () => {
      bytesUnderWay -= bytes;
    });
  });
  // Whatever it is called, it must be JSON; what could poison a prototype is refused.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  app.post(admissionPath, async (request, reply) => {
    const judged = judge(request.body);
    if (judged.answer !== null) return judged.answer;
    log.warn({ reason: judged.problem, address: request.ip }, 'admission request without an answer');
    return reply.code(400).send({ message: judged.problem });
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    const isOurs = status >= 500;
    if (isOurs) log.error({ err: error, address: request.ip }, 'admission request failed');
    else log.warn({ reason: error.message, address: request.ip }, 'admission request without an answer');
    return reply
      .code(status)
      .send({ message: isOurs ? 'the gateway failed; its log has the reason' : error.message });
  });

  const { host, port } = splitListen(admission.listen);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await images.close();
    await app.close();
    throw new SurfacedError('E_LISTEN', `admission.listen: cannot listen on ${admission.listen}`, { cause });
  }
  const stopRenewal = certificate.keep((renewed) => server.setSecureContext(secrets(renewed)));
  const listening = server.address() as AddressInfo;
  return {
    port: listening.port,
    health: () => {
      const problem = images.problem();
      const detail = `port ${listening.port}, ${admission.nodes.length} nodes, ${images.count} images`;
      return { ok: problem === null, detail: problem ?? detail };
    },
    close: async () => {
      stopRenewal();
      await images.close();
      const closed = app.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const noImages: ImageFile = { has: () => false, problem: () => null, count: 0, close: async () => undefined };

const openImages = async ({ images }: Admission, log: Log): Promise<ImageFile> =>
  images === undefined ? noImages : openImageList({ file: images, log });

async function readCa(file: string): Promise<string> {
  const pem = (await readBounded(file, mostCaBytes)).toString('latin1');
  try {
    if (!new X509Certificate(pem).ca) throw new Error('it is not that of a CA');
  } catch (cause) {
    throw new SurfacedError('E_ADMISSION', `admission.clientCa: ${file} holds no certificate of a CA`, {
      cause,
    });
  }
  return pem;
}
