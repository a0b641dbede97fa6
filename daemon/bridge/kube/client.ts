/** HTTP towards one API server: deadlines, bounds, retries of reads, impersonation. */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../clock.ts';
import type { Credentials, Session } from './credentials.ts';
import { failureOfAnswer, failureOfException, isTransient, wordsOf } from './failure.ts';
import type { KubeEvent } from './observer.ts';
import { Deadline, jittered, orAbort, Pause } from './pause.ts';
import type { Tuning } from './tuning.ts';
import { type Actor, KubeError } from './types.ts';

const maxErrorBytes = 256 << 10;
const ignore = (): void => {};

/** One request; `path` starts with a slash and carries its query. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly accept: string;
  /** Null: the gateway's own rights. */
  readonly actor: Actor | null;
  readonly body: string | null;
  /** Of the body; left out: plain JSON, which is right for everything but patches. */
  readonly contentType?: string;
  readonly maxBytes: number;
  /** 1: no retry. Only reads are ever repeated. */
  readonly attempts: number;
  /** For all attempts together. */
  readonly deadlineMs: number;
}

export interface ClientParts {
  readonly credentials: Pick<Credentials, 'session' | 'renew'>;
  readonly tuning: Tuning;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observe: (event: KubeEvent) => void;
}

/**
 * Key of an extra field as a header name: `Impersonate-Extra-` keys are lower case with everything that a
 * header name cannot hold percent-encoded (Kubernetes documentation, Authentication, User impersonation).
 */
export function extraHeader(key: string): string {
  const encoded = [...Buffer.from(key.toLowerCase())].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9!#$&'*+.^_`|~-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  });
  return `Impersonate-Extra-${encoded.join('')}`;
}

/** Header lines as a flat list of names and values: only so does every group get a line of its own. */
export function headerLines(
  own: Readonly<Record<string, string>>,
  actor: Actor | null,
  more: Readonly<Record<string, string>>,
): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries({ 'User-Agent': 'surfaced', ...own, ...more })) {
    if (actor !== null && /^impersonate-/i.test(name)) continue;
    lines.push(name, value);
  }
  if (actor !== null) {
    lines.push('Impersonate-User', actor.user);
    for (const group of actor.groups) lines.push('Impersonate-Group', group);
    for (const [key, value] of Object.entries(actor.extra)) lines.push(extraHeader(key), value);
  }
  return lines;
}

/** Reads a body up to a limit; what is longer closes the connection and fails. */
async function readBody(body: Readable, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString();
}

/** Requests to one API server over its shared dispatcher. */
export class ApiClient {
  readonly #parts: ClientParts;
  /** Called when a request got no answer at all, so that the health is looked at now. */
  onNoAnswer: () => void = ignore;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** GET of a JSON document by the gateway's own rights, with retries. @throws KubeError */
  async get(path: string, signal: AbortSignal, change: Partial<ApiRequest> = {}): Promise<unknown> {
    const { tuning } = this.#parts;
    return this.json(
      {
        method: 'GET',
        path,
        accept: 'application/json',
        actor: null,
        body: null,
        maxBytes: tuning.maxBodyBytes,
        attempts: tuning.readAttempts,
        deadlineMs: tuning.requestMs,
        ...change,
      },
      signal,
    );
  }

  /** A request and its JSON answer. @throws KubeError */
  async json(request: ApiRequest, signal: AbortSignal): Promise<unknown> {
    const answer = await this.text(request, signal);
    try {
      return JSON.parse(answer);
    } catch (cause) {
      throw new KubeError(
        'the API server answered with something that is not JSON',
        { status: 0, reason: 'InvalidAnswer', retryAfterMs: null, isUncertain: request.method !== 'GET' },
        { cause },
      );
    }
  }

  /** A request and the text of its answer. @throws KubeError */
  async text(request: ApiRequest, signal: AbortSignal): Promise<string> {
    const { credentials, tuning, clock, random } = this.#parts;
    const endsAt = clock.monotonic() + request.deadlineMs;
    const deadline = new Deadline(request.deadlineMs, signal);
    let isRenewed = false;
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#once(request, deadline);
        } catch (error) {
          if (!(error instanceof KubeError)) throw error;
          // A refused request was not carried out, so this may be repeated whatever its method.
          if (error.status === 401 && !isRenewed) {
            isRenewed = true;
            credentials.renew('refused');
            continue;
          }
          if (request.method !== 'GET' || attempt >= request.attempts || !isTransient(error)) throw error;
          const backoffMs = jittered(tuning.readBackoffMs * 2 ** attempt, random);
          const delayMs =
            error.retryAfterMs === null ? backoffMs : error.retryAfterMs + random() * tuning.readBackoffMs;
          if (clock.monotonic() + delayMs >= endsAt) throw error;
          await new Pause().wait(delayMs, deadline.signal);
        }
      }
    } finally {
      deadline.clear();
    }
  }

  /** Opens a stream by GET; the deadline is for its headers, after that only the signal ends it. @throws KubeError */
  async stream(path: string, signal: AbortSignal): Promise<Readable> {
    // Undici listens to this signal as long as the body is read, so the deadline's own will not do.
    const whole = new Deadline(this.#parts.tuning.requestMs, signal);
    const following = new AbortController();
    const end = (): void => following.abort(signal.reason);
    const late = (): void => following.abort(new Error('deadline'));
    signal.addEventListener('abort', end, { once: true });
    whole.signal.addEventListener('abort', late, { once: true });
    try {
      const answer = await this.#send(
        { method: 'GET', path, accept: 'application/json', actor: null, body: null },
        whole,
        following.signal,
      );
      answer.body.once('close', () => signal.removeEventListener('abort', end));
      return answer.body;
    } catch (error) {
      signal.removeEventListener('abort', end);
      throw error;
    } finally {
      whole.signal.removeEventListener('abort', late);
      whole.clear();
    }
  }

  async #once(request: ApiRequest, deadline: Deadline): Promise<string> {
    const answer = await this.#send(request, deadline, deadline.signal);
    try {
      return await readBody(answer.body, request.maxBytes);
    } catch (error) {
      throw this.#failure(error, request.method, deadline, true);
    }
  }

  /** Sends a request and returns its successful answer. */
  async #send(
    request: Pick<ApiRequest, 'method' | 'path' | 'accept' | 'actor' | 'body' | 'contentType'>,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { method, actor, body } = request;
    const observed = this.#observed(request);
    let wasSent = false;
    let answer: Dispatcher.ResponseData;
    try {
      const session = await this.#session(signal);
      const more: Record<string, string> = { Accept: request.accept };
      if (body !== null) more['Content-Type'] = request.contentType ?? 'application/json';
      wasSent = true;
      answer = await session.dispatcher.request({
        origin: session.origin,
        path: session.basePath + request.path,
        method,
        headers: headerLines(session.headers, actor, more),
        body,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
    } catch (error) {
      // What was given up says nothing of the API server.
      if (!signal.aborted || deadline.isLate) observed(0);
      throw this.#failure(error, method, deadline, wasSent);
    }
    observed(answer.statusCode);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    // The status alone is worth telling when the rest of the answer does not come.
    const details = await readBody(answer.body, maxErrorBytes).catch(() => '');
    const retryAfter = answer.headers['retry-after'];
    throw failureOfAnswer(method, answer.statusCode, retryAfter, details, this.#parts.clock.now());
  }

  /** To be called with the status of the request that begins now. */
  #observed({ method, path }: Pick<ApiRequest, 'method' | 'path'>): (status: number) => void {
    const { clock, observe } = this.#parts;
    const startedAt = clock.now();
    const from = clock.monotonic();
    return (status) =>
      observe({ type: 'api-request', method, path, status, startedAt, tookMs: clock.monotonic() - from });
  }

  async #session(signal: AbortSignal): Promise<Session> {
    try {
      return await orAbort(this.#parts.credentials.session(), signal);
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new KubeError(
        `no credentials: ${wordsOf(cause)}`,
        { status: 0, reason: 'Unreachable', retryAfterMs: null, isUncertain: false },
        { cause },
      );
    }
  }

  #failure(error: unknown, method: string, deadline: Deadline, wasSent: boolean): KubeError {
    const isAborted = deadline.signal.aborted && !deadline.isLate;
    const failure = failureOfException(error, method, { isLate: deadline.isLate, isAborted, wasSent });
    if (!isAborted) this.onNoAnswer();
    return failure;
  }
}
