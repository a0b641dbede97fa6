/** The requests and answers of `/v1/attest/begin` and `/v1/attest/finish`, one schema for both ends. JSON over HTTPS. */
import { z } from 'zod';
import { challengeSchema, evidenceSchema, keyClaimsSchema } from '../evidence/evidence.ts';
import type { Level } from '../types.ts';

/** Largest request, bytes: the claims of a TPM come with a chain of certificates. */
export const maxRequestBytes = 131_072;
/** Largest request with evidence: its logs in base64, and the rest. Only who has begun with an approved TPM may send it. */
export const maxEvidenceBytes = 12 * 1024 * 1024;
/** Largest answer that a surface reads, bytes. */
export const maxAnswerBytes = 16_384;
/** A nonce may be used for this long, milliseconds. */
export const sessionLifeMs = 120_000;

const v = z.literal(1);
const hex32 = z.string().regex(/^[0-9a-f]{64}$/, '32 bytes in hex');
const pem = z.string().max(4096);

/** How the surface will prove itself. */
export const beginRequest = z.discriminatedUnion('kind', [
  z.strictObject({ v, kind: z.literal('token'), tokenId: z.string().regex(/^[a-z0-9]{6}$/) }),
  /** Over a connection that shows the current certificate. */
  z.strictObject({ v, kind: z.literal('renew') }),
  /** To enrol and to renew: the same, so that every certificate stands for fresh evidence. */
  z.strictObject({
    v,
    kind: z.literal('tpm'),
    claims: keyClaimsSchema,
    /** Version of the surface's software, for lists. */
    firmware: z.string().max(64),
  }),
]);

/** The nonce to prove it over, and the session to name when finishing. */
export const beginAnswer = z.object({
  v,
  session: hex32,
  nonce: hex32,
  expiresInMs: z.int().min(1),
  /** With kind tpm. Its nonce is the `nonce` above. */
  challenge: challengeSchema.optional(),
});

/** The proof, and the request for a certificate. */
export const finishRequest = z.strictObject({
  v,
  session: hex32,
  /** PKCS #10 request, PEM. */
  csr: pem,
  /** With kind token: see token-proof.ts. */
  proof: hex32.optional(),
  /** With kind tpm. */
  evidence: evidenceSchema.optional(),
});

/** The certificate, and where the broker is. */
export const finishAnswer = z.object({
  v,
  site: z.string().min(1).max(63),
  surface: z.string().min(1).max(63),
  trust: z.enum(['tpm', 'token']),
  /** What the gateway found to hold; null with trust token. */
  level: z
    .int()
    .min(0)
    .max(3)
    .transform((level) => level as Level)
    .nullable(),
  certificate: pem,
  ca: pem,
  broker: z.object({ host: z.string().min(1).max(253), port: z.int().min(1).max(65_535) }),
  /** End of the certificate, Unix milliseconds by the gateway's clock. */
  notAfter: z.int().min(0),
  /** The gateway's clock now, Unix milliseconds. */
  now: z.int().min(0),
});

/** Every refusal: a code of daemon/errors.ts, what happened and what to do. */
export const errorAnswer = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(500), remedy: z.string().max(500) }),
  /** With E_ENROL_QUARANTINE: salt of the pairing code, see evidence/pairing.ts. */
  pairing: z.strictObject({ salt: z.string().regex(/^[0-9a-f]{32}$/) }).optional(),
});

export type BeginAnswer = z.infer<typeof beginAnswer>;
export type FinishAnswer = z.infer<typeof finishAnswer>;
