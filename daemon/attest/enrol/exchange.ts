/** One enrolment from the surface's end: begin and finish over one connection to the gateway that the pin names. */
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import * as x509 from '../authority/x509.ts';
import { evidenceJson, keyClaimsJson } from '../evidence/evidence.ts';
import type { Prover } from '../evidence/prover.ts';
import type { Credentials } from '../types.ts';
import { type GatewayConnection, openGateway } from './gateway-connection.ts';
import { type BeginAnswer, beginAnswer, type FinishAnswer, finishAnswer } from './messages.ts';
import type { GatewayAddress } from './pinned-gateway.ts';
import { keyHash, readToken, tokenProof } from './token-proof.ts';

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** For connecting, and for each answer. */
const timeoutMs = 10_000;
/** Evidence with all logs comes over slow radio links, and is judged before it is answered. */
const evidenceTimeoutMs = 120_000;

/** A key that exists in memory only, with the request for its certificate. */
export interface KeyWithRequest {
  readonly privateKeyPem: string;
  readonly csrPem: string;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly hash: Uint8Array;
}

/** A certificate that the surface has, shown on the connection, with its key. */
export type OwnCertificate = Pick<Credentials, 'certificatePem' | 'privateKeyPem'>;

/** How the surface proves itself: by a token, by the certificate that it still has, or by its TPM. */
export type Proof =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'renew'; readonly current: OwnCertificate }
  | {
      readonly kind: 'tpm';
      readonly prover: Prover;
      /** Version of the surface's software. */
      readonly firmware: string;
      /** Null: it has none that holds. */
      readonly current: OwnCertificate | null;
    };

/** Credentials as they came from the gateway. */
export interface Issued {
  readonly credentials: Credentials;
  /** What is left of the certificate's life by the gateway's clock, milliseconds. */
  readonly lifeMs: number;
  /** Monotonic milliseconds: the end of that life, whatever the wall clock says; rather early than late. */
  readonly endsAt: number;
  /** The gateway's clock, Unix milliseconds. */
  readonly gatewayTime: number;
}

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
 * @throws SurfacedError E_GATEWAY_UNREACHABLE, E_GATEWAY_PIN, E_GATEWAY_CERTIFICATE, E_GATEWAY_ANSWER, E_ENROL_SESSION, what
 *   the gateway refuses with, and with kind tpm what the prover throws; the reason of the signal
 */
export async function exchange(options: {
  readonly address: GatewayAddress;
  /** `sha256:<hex>` of the gateway's CA. */
  readonly pin: string;
  readonly key: KeyWithRequest;
  readonly proof: Proof;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<Issued> {
  const { address, pin, key, proof, clock, signal } = options;
  const answers = proofs(proof, key);
  // Before the gateway is asked: the first time a TPM may need minutes, and what the gateway begins ends after two.
  const beginning = await answers.begin(signal);
  const certificate = proof.kind === 'token' ? null : proof.current;
  const gateway = await openGateway({ address, pin, certificate, timeoutMs, signal });
  try {
    const begun = await gateway.post('/v1/attest/begin', { v: 1, ...beginning }, beginAnswer, timeoutMs);
    const proven = await answers.finish(begun, gateway, signal);
    const askedAt = clock.monotonic();
    const finish = { v: 1, session: begun.session, csr: key.csrPem, ...proven };
    const longestMs = proof.kind === 'tpm' ? evidenceTimeoutMs : timeoutMs;
    const answer = await gateway.post('/v1/attest/finish', finish, finishAnswer, longestMs);
    const lifeMs = answer.notAfter - answer.now;
    return {
      credentials: credentialsOf(answer, gateway.caPem, key),
      lifeMs,
      endsAt: askedAt + lifeMs,
      gatewayTime: answer.now,
    };
  } finally {
    gateway.close();
  }
}

/** What a proof adds to the two requests. */
interface Answers {
  begin(signal: AbortSignal): Promise<object>;
  finish(begun: BeginAnswer, gateway: GatewayConnection, signal: AbortSignal): Promise<object>;
}

function proofs(proof: Proof, key: KeyWithRequest): Answers {
  switch (proof.kind) {
    case 'renew':
      return { begin: async () => ({ kind: 'renew' }), finish: async () => ({}) };
    case 'token': {
      const token = readToken(proof.token);
      if (!token)
        throw new SurfacedError(
          'E_TOKEN_REFUSED',
          'this is not a token; it must look like abc123.<32 characters>',
        );
      return {
        begin: async () => ({ kind: 'token', tokenId: token.id }),
        finish: async ({ nonce }) => ({
          proof: tokenProof(token.key, Buffer.from(nonce, 'hex'), key.hash).toString('hex'),
        }),
      };
    }
    case 'tpm': {
      const { prover, firmware } = proof;
      return {
        begin: async (signal) => ({
          kind: 'tpm',
          claims: keyClaimsJson(await prover.claims(signal)),
          firmware: firmware.slice(0, 64),
        }),
        finish: async ({ nonce, challenge }, gateway, signal) => {
          if (!challenge || Buffer.compare(challenge.nonce, Buffer.from(nonce, 'hex')) !== 0)
            throw new SurfacedError('E_GATEWAY_ANSWER', 'begin: without a challenge over its nonce');
          const bound = { keySha256: key.hash, channel: gateway.channel() };
          return { evidence: evidenceJson(await prover.prove(challenge, bound, signal)) };
        },
      };
    }
  }
}

/** Checks that the answer belongs to the key that was sent. @throws SurfacedError E_GATEWAY_ANSWER */
function credentialsOf(answer: FinishAnswer, caPem: string, key: KeyWithRequest): Credentials {
  const wrong = (detail: string, cause: unknown) => new SurfacedError('E_GATEWAY_ANSWER', detail, { cause });
  let isOurs: boolean;
  try {
    const certificate = new X509Certificate(answer.certificate);
    isOurs =
      certificate.verify(new X509Certificate(caPem).publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(key.privateKeyPem));
  } catch (cause) {
    throw wrong('the certificate in the answer cannot be read', cause);
  }
  if (!isOurs)
    throw wrong('the certificate in the answer is not for our key, or not from the pinned CA', null);
  if (answer.notAfter <= answer.now) throw wrong('the certificate in the answer has run out', null);
  return {
    site: answer.site,
    surface: answer.surface,
    broker: answer.broker,
    caPem,
    certificatePem: answer.certificate,
    privateKeyPem: key.privateKeyPem,
    notAfter: answer.notAfter,
    trust: answer.trust,
    level: answer.level,
  };
}
