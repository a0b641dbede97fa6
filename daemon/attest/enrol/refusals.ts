/** Refusals of the enrolment endpoint: an HTTP status for each code, and the words that go over the wire. */
import type { FastifyError } from 'fastify';
import type { z } from 'zod';
import { type ErrorCode, errorTable, SurfacedError } from '../../errors.ts';
import type { errorAnswer } from './messages.ts';

/** HTTP status of each refusal; any other error is a failure of the gateway and told without details. */
const statusOf: Partial<Record<ErrorCode, number>> = {
  E_ENROL_REQUEST: 400,
  E_ENROL_CSR: 400,
  E_ENROL_CERTIFICATE: 401,
  E_TOKEN_REFUSED: 401,
  E_TOKEN_SPENT: 401,
  E_ENROL_EVIDENCE: 403,
  E_ENROL_KIND: 403,
  E_ENROL_POLICY: 403,
  E_ENROL_QUARANTINE: 403,
  E_SURFACE_UNKNOWN: 403,
  E_SURFACE_REVOKED: 403,
  E_ENROL_EPOCH: 409,
  E_ENROL_SESSION: 409,
  E_ENROL_RATE: 429,
  E_AUDIT_WRITE: 503,
  E_ENROL_BUSY: 503,
};
/** Longer texts would only repeat what the sender wrote; see errorAnswer. */
const mostCharacters = 400;

/** A TPM that nobody has approved yet; the salt lets both ends show the same code. */
export class QuarantineError extends SurfacedError {
  readonly salt: Uint8Array;

  constructor(ekSha256: string, salt: Uint8Array) {
    super('E_ENROL_QUARANTINE', `no surface is approved for this TPM (endorsement key ${ekSha256})`);
    this.salt = salt;
  }
}

/** What is answered and logged for whatever was thrown. */
export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly body: z.input<typeof errorAnswer>;
}

/** Puts an error into the words of the wire. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof SurfacedError && statusOf[error.code] !== undefined) {
    const pairing =
      error instanceof QuarantineError
        ? { pairing: { salt: Buffer.from(error.salt).toString('hex') } }
        : null;
    return refusal(statusOf[error.code]!, error.code, error.message, pairing);
  }
  // What the HTTP layer refuses: no JSON, too large, a wrong content type.
  const status = (error as Partial<FastifyError>).statusCode ?? 500;
  if (status >= 400 && status < 500)
    return refusal(status, 'E_ENROL_REQUEST', (error as Error).message, null);
  return refusal(500, 'E_ENROL_FAILED', 'the gateway failed; its log has the reason', null);
}

/** The refusal of a path that there is not. */
export const noSuchEndpoint = (method: string, url: string): Refusal =>
  refusal(404, 'E_ENROL_REQUEST', `no such endpoint: ${method} ${url.slice(0, 100)}`, null);

function refusal(
  status: number,
  code: ErrorCode,
  text: string,
  more: Pick<Refusal['body'], 'pairing'> | null,
): Refusal {
  const message = text.slice(0, mostCharacters);
  return {
    status,
    code,
    message,
    body: { error: { code, message, remedy: errorTable[code].remedy }, ...more },
  };
}

/** Checks a request against its schema. @throws SurfacedError E_ENROL_REQUEST naming the field */
export function parseRequest<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') || 'request';
  throw new SurfacedError(
    'E_ENROL_REQUEST',
    `${field}: ${issue?.message ?? 'not as expected'}`.slice(0, 200),
  );
}
