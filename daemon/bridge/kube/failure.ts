/** From answers and exceptions to {@link KubeError}; Status bodies as in meta/v1 of the Kubernetes API. */
import { count, fields, list, text } from './read.ts';
import { KubeError } from './types.ts';

const maxMessage = 1024;
const maxRetryAfterMs = 300_000;

/** Failures to connect: the request itself was never sent. */
const connectCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** The wait that an answer asks for: Retry-After (RFC 9110, 10.2.3: seconds or a date). */
export function retryAfterMs(header: unknown, now: number): number | null {
  if (typeof header !== 'string') return null;
  const value = header.trim();
  const ms = /^\d{1,6}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}

/** The error for an answer that is not a success. */
export function failureOfAnswer(
  method: string,
  status: number,
  retryAfter: unknown,
  body: string,
  now: number,
): KubeError {
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(body);
  } catch {
    // Proxies and load balancers answer in HTML: the status line has to do.
  }
  const answer = fields(parsed);
  const isStatus = answer.kind === 'Status';
  const seconds = count(fields(answer.details).retryAfterSeconds);
  // 500 may be etcd's own time-out and 504 is the API server's: either may come after the write. A 503 that
  // carries a Status was refused before; one without comes from something in between.
  const isUnclear = status >= 500 && status !== 501 && !(status === 503 && isStatus);
  // The name of the budget that forbids an eviction is only there (recorded from Kubernetes 1.36).
  const cause = list(fields(answer.details).causes)
    .map(fields)
    .find(({ reason }) => reason === 'DisruptionBudget');
  const message = [text(answer.message, maxMessage), text(cause?.message, maxMessage)]
    .filter(Boolean)
    .join(' ');
  return new KubeError(message || `the API server answered with HTTP ${status}`, {
    status,
    reason: (isStatus && text(answer.reason, 64)) || `Http${status}`,
    retryAfterMs:
      retryAfterMs(retryAfter, now) ?? (seconds > 0 ? Math.min(seconds * 1000, maxRetryAfterMs) : null),
    isUncertain: method !== 'GET' && isUnclear,
  });
}

/** The error of an `ERROR` event in a watch. */
export function failureOfEvent(object: unknown): KubeError {
  const status = fields(object);
  return new KubeError(text(status.message, maxMessage) || 'the watch ended with an error', {
    status: count(status.code, 500),
    reason: text(status.reason, 64) || 'Unknown',
    retryAfterMs: null,
    isUncertain: false,
  });
}

/** What to tell of an exception: its own message, or its code when that is all there is. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, maxMessage);
  const inner = error instanceof AggregateError ? error.errors[0] : null;
  const code = codeOf(error);
  return (error.message || (inner instanceof Error ? inner.message : '') || code || error.name).slice(
    0,
    maxMessage,
  );
}

function codeOf(error: unknown): string {
  return text(fields(error).code, 64) || text(fields(fields(error).cause).code, 64);
}

/** The error for a request that got no answer. */
export function failureOfException(
  error: unknown,
  method: string,
  how: { readonly isLate: boolean; readonly isAborted: boolean; readonly wasSent: boolean },
): KubeError {
  if (error instanceof KubeError) return error;
  const isUncertain = method !== 'GET' && how.wasSent && !connectCodes.has(codeOf(error));
  const noAnswer = { status: 0, retryAfterMs: null, isUncertain };
  if (how.isLate)
    return new KubeError(
      'the API server did not answer in time',
      { ...noAnswer, reason: 'Timeout' },
      { cause: error },
    );
  if (how.isAborted)
    return new KubeError('the request was given up', { ...noAnswer, reason: 'Aborted' }, { cause: error });
  return new KubeError(
    `no answer from the API server: ${wordsOf(error)}`,
    { ...noAnswer, reason: 'Unreachable' },
    { cause: error },
  );
}

/** The same answer may be different a moment later. */
export function isTransient(error: KubeError): boolean {
  if (error.status === 0) return error.reason === 'Unreachable';
  return error.status === 429 || error.status >= 500;
}
