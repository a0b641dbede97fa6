/**
 * AdmissionReview of admission.k8s.io/v1, as API servers send it and want it answered (kubernetes/api,
 * admission/v1/types.go). Unknown fields are left alone: the API grows.
 */
import { z } from 'zod';

const requestSchema = z.object({
  uid: z.string().min(1).max(253),
  resource: z.object({ group: z.string(), version: z.string(), resource: z.string() }),
  subResource: z.string().default(''),
  name: z.string().default(''),
  namespace: z.string().default(''),
  operation: z.string(),
  userInfo: z.object({ username: z.string().default('') }),
  object: z.unknown(),
  oldObject: z.unknown(),
  dryRun: z.boolean().default(false),
});
/** What an API server asks, as far as it matters here. */
export type AdmissionRequest = Readonly<z.output<typeof requestSchema>>;

const reviewSchema = z.object({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.object({ uid: requestSchema.shape.uid }),
});

/** What a body turned out to be; without a `uid` there is nothing that could be answered. */
export type Reading =
  | { readonly uid: string; readonly request: AdmissionRequest }
  | { readonly uid: string; readonly problem: string }
  | { readonly uid: null; readonly problem: string };

/** Something of a request that is not what its type says; the message names the field. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** Reads a body. Never throws. */
export function readReview(body: unknown): Reading {
  const review = reviewSchema.safeParse(body);
  if (!review.success) return { uid: null, problem: problemOf(review.error, 'review') };
  const { uid } = review.data.request;
  const request = requestSchema.safeParse((body as { request: unknown }).request);
  return request.success
    ? { uid, request: request.data }
    : { uid, problem: problemOf(request.error, 'request') };
}

/** An object of a request by its schema. @throws UnreadableError naming the field */
export function readObject<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new UnreadableError(problemOf(result.error, what), { cause: result.error });
}

function problemOf(error: z.ZodError, what: string): string {
  const [issue] = error.issues;
  const field = [what, ...(issue?.path ?? [])].join('.');
  return `${field} cannot be read: ${issue?.message ?? 'not as expected'}`;
}

/** How a request ends. `reported`: allowed, because it is too late to refuse it. */
export interface Decision {
  readonly outcome: 'allowed' | 'reported' | 'refused';
  /** For the person who asked the API server; empty when there is nothing to say. */
  readonly reason: string;
  /** For the API server's own audit log. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** Longest message, characters; `kubectl` shows it on one line. */
const mostReasonCharacters = 1000;
/** API servers cut warnings that are longer (types.go, `warnings`). */
const mostWarningCharacters = 256;

/** The answer to a request; the same whether it is a dry run or not. */
export function answerOf(uid: string, { outcome, reason, annotations }: Decision) {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: outcome !== 'refused',
      ...(outcome === 'refused' && {
        status: { code: 403, reason: 'Forbidden', message: reason.slice(0, mostReasonCharacters) },
      }),
      ...(outcome === 'reported' && { warnings: [reason.slice(0, mostWarningCharacters)] }),
      ...(Object.keys(annotations).length > 0 && { auditAnnotations: annotations }),
    },
  } as const;
}
