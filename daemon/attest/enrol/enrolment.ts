/** The two steps of enrolment without HTTP: what must hold before a certificate is issued, for each kind of proof. */
import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import type { Registry } from '../../bridge/registry/types.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Audit } from '../audit/types.ts';
import type { Authority, IssuedCertificate } from '../authority/ca.ts';
import type { ClientIdentity } from '../authority/client-certificate.ts';
import { ekPublicSha256 } from '../certificates/public-key.ts';
import { challengeJson, type KeyClaims } from '../evidence/evidence.ts';
import { decode, publicArea } from '../tpm2/index.ts';
import type { Attesting } from '../trust/types.ts';
import type { Level, Trust } from '../types.ts';
import { readCsr } from './csr.ts';
import type { beginAnswer } from './messages.ts';
import { beginRequest, finishRequest, sessionLifeMs } from './messages.ts';
import { parseRequest, QuarantineError } from './refusals.ts';
import type { Proving, Sessions } from './sessions.ts';
import { keyHash, nonceBytes } from './token-proof.ts';
import type { Tokens } from './tokens.ts';

/** Who asks, over which connection. */
export interface Caller {
  /** What sessions are tied to. */
  readonly connection: object;
  readonly address: string;
  /** Of the certificate that the connection shows, if it is one of this CA and holds now. */
  identity(): ClientIdentity | null;
  /** The channel binding of the connection, see binding.ts. */
  channel(): Uint8Array;
}

/** What somebody has proved, as the certificate says it. */
interface Proven {
  readonly surface: string;
  readonly trust: Trust;
  readonly level: Level | null;
  readonly ekSha256: string | null;
  readonly evidence: string;
}

export interface Enrolment {
  /** Answers with a nonce. @param body of the request, not looked at yet. @throws SurfacedError */
  begin(body: unknown, caller: Caller): Promise<z.input<typeof beginAnswer>>;
  /** Checks the proof and issues a certificate. @param body of the request, not looked at yet. @throws SurfacedError */
  finish(body: unknown, caller: Caller): Promise<Proven & IssuedCertificate>;
}

export interface EnrolmentParts {
  readonly config: GatewayConfig;
  readonly authority: Authority;
  readonly tokens: Tokens;
  readonly registry: Registry;
  readonly attesting: Pick<Attesting, 'begin' | 'finish'>;
  readonly audit: Pick<Audit, 'append'>;
  readonly log: Log;
}

/** @param sessions what connections have begun */
export function createEnrolment(parts: EnrolmentParts, sessions: Sessions): Enrolment {
  const { config, authority, tokens, registry, attesting, audit, log } = parts;

  async function proveByToken(request: {
    readonly tokenId: string;
    readonly nonce: Uint8Array;
    readonly keySha256: Uint8Array;
    readonly proof: string;
  }): Promise<Proven> {
    const { tokenId: id, nonce, keySha256, proof } = request;
    const token = await tokens.prove({ id, nonce, keyHash: keySha256, proof: Buffer.from(proof, 'hex') });
    checkSurface(registry, token.surface);
    await token.spend();
    return byToken(token.surface, `token-${id}-${randomBytes(8).toString('hex')}`);
  }

  async function prove(
    { proving, nonce }: { readonly proving: Proving; readonly nonce: Uint8Array },
    message: z.output<typeof finishRequest>,
    keySha256: Uint8Array,
    caller: Caller,
  ): Promise<Proven> {
    if (proving.kind === 'tpm') {
      if (!message.evidence) throw new SurfacedError('E_ENROL_REQUEST', 'evidence: missing');
      const answer = { evidence: message.evidence, keySha256, channel: caller.channel() };
      return { ...(await attesting.finish(proving.begun, answer)), trust: 'tpm' };
    }
    checkPolicy(config);
    if (proving.kind === 'token')
      return proveByToken({ tokenId: proving.tokenId, nonce, keySha256, proof: message.proof ?? '' });
    const { surface, evidence } = renewable(caller.identity());
    checkSurface(registry, surface);
    return byToken(surface, evidence);
  }

  return {
    begin: async (body, caller) => {
      const message = parseRequest(beginRequest, body);
      const { connection } = caller;
      // The earlier one is replaced, even by one that is refused.
      sessions.end(connection);
      if (message.kind === 'tpm') {
        const { claims, firmware } = message;
        const isRenewal = isOf(caller.identity(), claims);
        const begun = await attesting.begin({ claims, firmware, address: caller.address, isRenewal });
        if (begun.kind === 'quarantined') throw new QuarantineError(begun.ekSha256, begun.salt);
        const { challenge } = begun;
        const { id } = sessions.open(connection, challenge.nonce, { kind: 'tpm', begun });
        return { ...begunAs(id, challenge.nonce), challenge: challengeJson(challenge) };
      }
      if (message.kind === 'renew') renewable(caller.identity());
      checkPolicy(config);
      const nonce = randomBytes(nonceBytes);
      const { id } = sessions.open(
        connection,
        nonce,
        message.kind === 'token' ? { kind: 'token', tokenId: message.tokenId } : { kind: 'renew' },
      );
      return begunAs(id, nonce);
    },

    finish: async (body, caller) => {
      const message = parseRequest(finishRequest, body);
      const session = sessions.take(caller.connection, message.session);
      const publicKey = await readCsr(message.csr);
      const proven = await prove(session, message, keyHash(new Uint8Array(publicKey.rawData)), caller);
      const lifeMs = config.enrol.certificateTtlSeconds * 1000;
      const issued = await authority.issue({ ...proven, publicKey, lifeMs });
      const { surface, trust, level, evidence } = proven;
      const { serial, notAfter } = issued;
      // Before anybody holds it.
      await audit.append({ kind: 'certificate', surface, trust, evidence, serial, notAfter });
      const { kind } = session.proving;
      log.info(
        { surface, trust, attestedLevel: level, evidence, serial, kind, address: caller.address },
        'certificate issued',
      );
      return { ...proven, ...issued };
    },
  };
}

const begunAs = (session: string, nonce: Uint8Array) => ({
  v: 1 as const,
  session,
  nonce: Buffer.from(nonce).toString('hex'),
  expiresInMs: sessionLifeMs,
});

const byToken = (surface: string, evidence: string): Proven => ({
  surface,
  trust: 'token',
  level: null,
  ekSha256: null,
  evidence,
});

/** Whether a certificate was given to the TPM that these keys are claimed to be of; an unreadable key is nobody's. */
function isOf(identity: ClientIdentity | null, claims: KeyClaims): boolean {
  if (!identity || identity.ekSha256 === null) return false;
  try {
    return ekPublicSha256(decode('ekPublic', publicArea, claims.ekPublic)) === identity.ekSha256;
  } catch {
    return false;
  }
}

function checkPolicy(config: GatewayConfig): void {
  if (config.policy.identity === 'token') return;
  throw new SurfacedError(
    'E_ENROL_POLICY',
    'this gateway accepts attested surfaces only (policy.identity: tpm)',
  );
}

function checkSurface(registry: Registry, name: string): void {
  const surface = registry.get(name);
  if (!surface) throw new SurfacedError('E_SURFACE_UNKNOWN', `there is no surface "${name}" in the registry`);
  if (surface.spec.isRevoked) throw new SurfacedError('E_SURFACE_REVOKED', `surface "${name}" is revoked`);
}

/** An identity that may be renewed by its certificate alone: what a TPM proved once has to be proved again. */
function renewable(identity: ClientIdentity | null): ClientIdentity {
  if (!identity)
    throw new SurfacedError('E_ENROL_CERTIFICATE', 'renewal needs a valid certificate of this gateway');
  if (identity.trust !== 'tpm') return identity;
  throw new SurfacedError(
    'E_ENROL_KIND',
    'a surface with a TPM renews with fresh evidence: begin with kind "tpm"',
  );
}
