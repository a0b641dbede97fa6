/** One enrolment from the surface's end: begin and finish over one connection to a gateway that is already known. */

import { webcrypto } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { z } from 'zod';
import { type ErrorCode, errorTable, SurfacedError } from '../../errors.ts';
import * as x509 from '../authority/x509.ts';
import { beginAnswer, errorAnswer, type FinishAnswer, finishAnswer, maxAnswerBytes } from './messages.ts';
import { type GatewayAddress, servernameOf } from './pinned-gateway.ts';
import { keyHash, readToken, tokenProof } from './token-proof.ts';

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A key that exists in memory only, with the request for its certificate. */
export interface KeyWithRequest {
  readonly privateKeyPem: string;
  readonly csrPem: string;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly hash: Uint8Array;
}

/** How the surface proves itself: by a token, or by the certificate that it still has. */
export type Proof =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'renew'; readonly certificatePem: string; readonly privateKeyPem: string };

/** A new P-256 key and a PKCS #10 request (RFC 2986). The gateway takes the name from the proof, not from the request. */
export async function createKey(): Promise<KeyWithRequest> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=surface',
    keys,
    signingAlgorithm,
  });
  const privateKey = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    privateKeyPem: `${x509.PemConverter.encode(privateKey, 'PRIVATE KEY')}\n`,
    csrPem: csr.toString('pem'),
    hash: keyHash(new Uint8Array(csr.publicKey.rawData)),
  };
}

/**
 * Asks the gateway for a certificate.
 * @throws SurfacedError E_GATEWAY_UNREACHABLE, E_GATEWAY_CERTIFICATE, E_GATEWAY_ANSWER, and what the gateway refuses with
 */
export async function exchange(options: {
  readonly address: GatewayAddress;
  readonly caPem: string;
  readonly key: KeyWithRequest;
  readonly proof: Proof;
  readonly timeoutMs: number;
}): Promise<FinishAnswer> {
  const { address, caPem, key, proof, timeoutMs } = options;
  // One connection for both requests: the gateway ties the nonce to it.
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ca: caPem,
    servername: servernameOf(address.host),
    minVersion: 'TLSv1.3',
    ...(proof.kind === 'renew' ? { cert: proof.certificatePem, key: proof.privateKeyPem } : {}),
  });
  const post = async <T extends z.ZodType>(path: string, body: object, schema: T): Promise<z.output<T>> =>
    readAnswer(await send({ agent, address, path, body: JSON.stringify(body), timeoutMs }), schema);
  try {
    if (proof.kind === 'renew') {
      const { session } = await post('/v1/attest/begin', { v: 1, kind: 'renew' }, beginAnswer);
      return await post('/v1/attest/finish', { v: 1, session, csr: key.csrPem }, finishAnswer);
    }
    const token = readToken(proof.token);
    if (!token)
      throw new SurfacedError(
        'E_TOKEN_REFUSED',
        'this is not a token; it must look like abc123.<32 characters>',
      );
    const start = { v: 1, kind: 'token', tokenId: token.id };
    const { session, nonce } = await post('/v1/attest/begin', start, beginAnswer);
    const hmac = tokenProof(token.key, Buffer.from(nonce, 'hex'), key.hash).toString('hex');
    return await post('/v1/attest/finish', { v: 1, session, csr: key.csrPem, proof: hmac }, finishAnswer);
  } finally {
    agent.destroy();
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function send(options: {
  readonly agent: Agent;
  readonly address: GatewayAddress;
  readonly path: string;
  readonly body: string;
  readonly timeoutMs: number;
}): Promise<Answer> {
  const { agent, address, path, body, timeoutMs } = options;
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const { host, port } = address;
      const outgoing = request({ agent, host, port, path, method: 'POST', headers, signal });
      outgoing.once('error', reject);
      outgoing.once('response', (response) => {
        readBody(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
      });
      outgoing.end(body);
    });
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    const isCertificate = /^(?:ERR_TLS_CERT|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|INVALID_)/.test(code);
    throw new SurfacedError(
      isCertificate ? 'E_GATEWAY_CERTIFICATE' : 'E_GATEWAY_UNREACHABLE',
      `${address.host}:${address.port}: ${message}`,
      { cause },
    );
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readAnswer<T extends z.ZodType>(answer: Answer, schema: T): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(answer.text);
  } catch (cause) {
    throw new SurfacedError('E_GATEWAY_ANSWER', `status ${answer.status} and no JSON`, { cause });
  }
  const refused = errorAnswer.safeParse(json);
  if (refused.success) {
    const { code, message } = refused.data.error;
    const isKnown = Object.hasOwn(errorTable, code);
    throw new SurfacedError(isKnown ? (code as ErrorCode) : 'E_GATEWAY_ANSWER', message);
  }
  const result = schema.safeParse(json);
  if (answer.status === 200 && result.success) return result.data;
  const detail = result.success ? '' : `, ${result.error.issues[0]?.path.join('.')} is not as expected`;
  throw new SurfacedError('E_GATEWAY_ANSWER', `status ${answer.status}${detail}`);
}
