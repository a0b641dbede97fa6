/** What goes wrong on demand between a client and the API server, and the log of what was asked. */
import { StatusError } from './status.ts';

/** One request that was answered, or a watch that was opened. */
export interface LoggedRequest {
  /** Unix milliseconds. */
  readonly at: number;
  readonly tookMs: number;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** RBAC verb: `get`, `list`, `watch`, `patch` ... */
  readonly verb: string;
  /** `deployments/scale`, `pods`, or empty for paths about no resource. */
  readonly resource: string;
  readonly user: string;
  readonly userAgent: string;
  readonly status: number;
  /** What a scale said after this read or write of it; null: it was about something else, or refused. */
  readonly replicas: number | null;
}

const LOG_LIMIT = 20_000;

/** The last requests, and counts of all of them. */
export class RequestLog {
  readonly entries: LoggedRequest[] = [];
  /** Told of each one, also when it is no longer kept. */
  onAdd: (entry: LoggedRequest) => void = () => {};
  private readonly counters = new Map<string, number>();

  add(entry: LoggedRequest): void {
    this.entries.push(entry);
    if (this.entries.length > LOG_LIMIT * 1.25) this.entries.splice(0, this.entries.length - LOG_LIMIT);
    const key = `${entry.verb} ${entry.resource === '' ? entry.path.split('?')[0] : entry.resource}`;
    this.counters.set(key, (this.counters.get(key) ?? 0) + 1);
    this.onAdd(entry);
  }

  /** How often `verb resource` was asked since the start or the last `clear`. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counters);
  }

  clear(): void {
    this.entries.length = 0;
    this.counters.clear();
  }
}

/** Faults that tests and drills switch on. */
export class Faults {
  private failures = 0;
  private failure: { status: number; retryAfterSeconds: number | null } | null = null;
  private hangUntil = 0;

  /** The next `count` requests are answered with a status; 429 and 503 may carry Retry-After. */
  failNext(count: number, status: number, retryAfterSeconds: number | null): void {
    this.failures = count;
    this.failure = { status, retryAfterSeconds };
  }

  /** Requests that come in during this time are answered only when it is over. */
  hang(ms: number): void {
    this.hangUntil = performance.now() + ms;
  }

  hangsForMs(): number {
    return Math.max(0, this.hangUntil - performance.now());
  }

  /** @throws StatusError when this request is to fail */
  check(): void {
    if (this.failures <= 0 || this.failure === null) return;
    this.failures--;
    const { status, retryAfterSeconds } = this.failure;
    const [reason, message] = WORDS[status] ?? [
      'InternalError',
      'Internal error occurred: simulated failure',
    ];
    throw new StatusError(status, reason, message, {
      details: retryAfterSeconds === null ? {} : { retryAfterSeconds },
      ...(retryAfterSeconds === null ? {} : { retryAfterSeconds }),
    });
  }
}

const WORDS: Readonly<Record<number, readonly [string, string]>> = {
  401: ['Unauthorized', 'Unauthorized'],
  403: ['Forbidden', 'forbidden: simulated refusal'],
  409: ['Conflict', 'Operation cannot be fulfilled: simulated conflict'],
  // Priority and fairness words it so.
  429: ['TooManyRequests', 'too many requests, please try again later'],
  500: ['InternalError', 'Internal error occurred: simulated failure'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
  504: ['Timeout', 'the server was unable to return a response in the time allotted'],
};
