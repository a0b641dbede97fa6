/**
 * Finds the recorded exchange for a request. Recordings are of kubectl-like clients; a client that asks for
 * the same things in another shape (one object through a list with a field selector, a scale by PUT instead
 * of PATCH) gets the recorded facts in the shape that it asked for. Nothing is made up.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RecordedExchange } from './recording.ts';
import { answer, type Reply, replyOf, type TimedEvent } from './reply.ts';

/** A request as far as matching needs it. */
export interface MatchRequest {
  readonly method: string;
  readonly pathname: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

type Json = Readonly<Record<string, unknown>>;
const fields = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

/** Query parameters that decide what is answered; the others decide how much or when. */
const telling = ['fieldSelector', 'labelSelector', 'continue', 'dryRun'];
const narrowing = ['fieldSelector', 'labelSelector'];

interface Parsed {
  readonly exchange: RecordedExchange;
  readonly pathname: string;
  readonly query: URLSearchParams;
  uses: number;
}

const isWatch = (query: URLSearchParams): boolean => /^(?:1|true)$/.test(query.get('watch') ?? '');

function hasLabels(object: Json, selector: string): boolean {
  const labels = fields(fields(object.metadata).labels);
  return selector.split(',').every((part) => {
    const [key, value] = part.split(/={1,2}/);
    return value !== undefined && labels[key ?? ''] === value;
  });
}

function hasFields(object: Json, selector: string): boolean {
  return selector.split(',').every((part) => {
    const [path = '', value] = part.split(/={1,2}/);
    const found = path.split('.').reduce<unknown>((at, key) => fields(at)[key], object);
    return found === value;
  });
}

/** Whether an object passes the selectors of a request; set-based selectors are not understood. */
function passes(object: Json, query: URLSearchParams): boolean {
  const label = query.get('labelSelector');
  const field = query.get('fieldSelector');
  return (label === null || hasLabels(object, label)) && (field === null || hasFields(object, field));
}

/** The exchanges of some recordings, served in their order where they repeat. */
export class Matcher {
  readonly #exchanges: readonly Parsed[];

  constructor(exchanges: readonly RecordedExchange[]) {
    this.#exchanges = exchanges.map((exchange) => {
      const url = new URL(exchange.request.path, 'https://recorded');
      return { exchange, pathname: url.pathname, query: url.searchParams, uses: 0 };
    });
  }

  /** The recorded reply, null when there is none. */
  find(request: MatchRequest): Reply | null {
    if (request.method === 'PUT' && request.pathname.endsWith('/scale')) return this.#scale(request);
    const exact = this.#pick(
      request,
      this.#exchanges.filter((parsed) => this.#isSame(parsed, request)),
    );
    if (exact !== null) return this.#since(replyOf(exact), request);
    if (request.method !== 'GET') return null;
    if (isWatch(request.query)) return this.#narrowedWatch(request);
    return (
      this.#narrowedList(request) ??
      this.#listOfOne(request) ??
      this.#emptyList(request) ??
      this.#itemOfList(request)
    );
  }

  #isSame(parsed: Parsed, request: MatchRequest, keys = telling): boolean {
    const { exchange, pathname, query } = parsed;
    // Answers to a client without credentials say nothing about one that has some.
    if (exchange.note === 'no credentials') return false;
    const recorded = exchange.request.headers;
    const actor = recorded['impersonate-user'] ?? recorded.authorization;
    const own = request.headers['impersonate-user'] ?? request.headers.authorization;
    if (actor !== undefined && actor !== own) return false;
    return (
      exchange.request.method === request.method &&
      pathname === request.pathname &&
      isWatch(query) === isWatch(request.query) &&
      keys.every((key) => query.get(key) === request.query.get(key))
    );
  }

  /** The best of several: same body, same actor, same form; then the first one not served yet. */
  #pick(request: MatchRequest, candidates: readonly Parsed[]): RecordedExchange | null {
    const score = ({ exchange, query }: Parsed): number => {
      const { headers, body } = exchange.request;
      const isAggregated = (value: unknown): boolean => String(value).includes('APIGroupDiscoveryList');
      return (
        (isDeepStrictEqual(body, request.body) ? 8 : 0) +
        (headers['impersonate-user'] === request.headers['impersonate-user'] ? 4 : 0) +
        (isAggregated(headers.accept) === isAggregated(request.headers.accept) ? 2 : 0) +
        (query.get('limit') === request.query.get('limit') ? 1 : 0)
      );
    };
    const best = Math.max(...candidates.map(score));
    const equal = candidates.filter((candidate) => score(candidate) === best);
    const chosen = equal.find((candidate) => candidate.uses === 0) ?? equal.at(-1);
    if (chosen === undefined) return null;
    chosen.uses++;
    return chosen.exchange;
  }

  /** A watch that goes on where another one ended gets only what is newer. */
  #since(reply: Reply, request: MatchRequest): Reply {
    const from = Number(request.query.get('resourceVersion') ?? 0);
    if (reply.kind !== 'stream' || !(from > 0)) return reply;
    const isNewer = ({ event }: TimedEvent): boolean => {
      const version = Number(fields(fields(fields(event).object).metadata).resourceVersion);
      return Number.isNaN(version) || version > from;
    };
    return { ...reply, events: reply.events.filter(isNewer) };
  }

  /** A scale to the same number, recorded as PUT or as PATCH. */
  #scale(request: MatchRequest): Reply | null {
    const wanted = fields(fields(request.body).spec).replicas;
    for (const method of ['PUT', 'PATCH']) {
      const candidates = this.#exchanges.filter(
        (parsed) =>
          this.#isSame(parsed, { ...request, method }) &&
          fields(fields(parsed.exchange.request.body).spec).replicas === wanted,
      );
      const found = this.#pick(request, candidates);
      if (found !== null) return replyOf(found);
    }
    return null;
  }

  /** A recording that was less narrow, cut down to what the selectors leave. */
  #lessNarrow(request: MatchRequest): readonly Parsed[] {
    return this.#exchanges.filter(
      (parsed) =>
        this.#isSame(parsed, request, ['continue']) &&
        narrowing.every((key) => [null, request.query.get(key)].includes(parsed.query.get(key))),
    );
  }

  #narrowedWatch(request: MatchRequest): Reply | null {
    const found = this.#pick(request, this.#lessNarrow(request));
    const quiet: Reply = { kind: 'stream', events: [], closeAfterMs: null, cutAfterEvents: null };
    if (found === null) return this.#isCollection(request.pathname) ? quiet : null;
    const reply = this.#since(replyOf(found), request);
    if (reply.kind !== 'stream') return reply;
    const events = reply.events.filter(({ event }) => passes(fields(fields(event).object), request.query));
    return { ...reply, events };
  }

  #narrowedList(request: MatchRequest): Reply | null {
    const found = this.#pick(request, this.#lessNarrow(request));
    if (found === null) return null;
    const body = fields(found.response.body);
    if (!Array.isArray(body.items)) return null;
    const items = body.items.filter((item) => passes(fields(item), request.query));
    return answer(found.response.status, { ...body, items });
  }

  /** A list with `fieldSelector=metadata.name=x` from a recorded GET of x. */
  #listOfOne(request: MatchRequest): Reply | null {
    const name = /^metadata\.name=(.+)$/.exec(request.query.get('fieldSelector') ?? '')?.[1];
    if (name === undefined) return null;
    const one = { ...request, pathname: `${request.pathname}/${name}`, query: new URLSearchParams() };
    const found = this.#pick(
      one,
      this.#exchanges.filter((parsed) => this.#isSame(parsed, one)),
    );
    if (found === null || found.response.status !== 200) return null;
    const object = fields(found.response.body);
    const { resourceVersion } = fields(object.metadata);
    return answer(200, {
      kind: `${String(object.kind)}List`,
      apiVersion: object.apiVersion,
      metadata: { resourceVersion },
      items: [object],
    });
  }

  /** Before the first event of a recorded watch there was nothing that it would have told of. */
  #emptyList(request: MatchRequest): Reply | null {
    const watched = { ...request, query: new URLSearchParams([...request.query, ['watch', '1']]) };
    const [found] = this.#lessNarrow(watched);
    if (found === undefined) return null;
    const resourceVersion = found.query.get('resourceVersion') ?? '1';
    return answer(200, { kind: 'List', apiVersion: 'v1', metadata: { resourceVersion }, items: [] });
  }

  /** A GET of an object that was only recorded in a list. */
  #itemOfList(request: MatchRequest): Reply | null {
    const slash = request.pathname.lastIndexOf('/');
    const query = new URLSearchParams({
      fieldSelector: `metadata.name=${request.pathname.slice(slash + 1)}`,
    });
    const reply = this.#narrowedList({ ...request, pathname: request.pathname.slice(0, slash), query });
    if (reply?.kind !== 'answer') return null;
    const body = fields(reply.body);
    const [item] = (body.items ?? []) as readonly unknown[];
    if (item === undefined) return null;
    return answer(200, {
      kind: String(body.kind).replace(/List$/, ''),
      apiVersion: body.apiVersion,
      ...fields(item),
    });
  }

  /** Something of this collection was recorded, so a watch of it would have been possible. */
  #isCollection(pathname: string): boolean {
    return this.#exchanges.some(
      (parsed) => parsed.pathname === pathname || parsed.pathname.startsWith(`${pathname}/`),
    );
  }
}
