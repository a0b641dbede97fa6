/**
 * One collection of the API, listed and then watched, for ever: the part that client-node's informer lacks
 * (it stays dead after a cut watch or a failed list, asks for no bookmarks and blocks for up to 30 s).
 */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { ApiClient } from './client.ts';
import { wordsOf } from './failure.ts';
import type { KubeEvent } from './observer.ts';
import { Deadline, jittered, type Limiter, Pause } from './pause.ts';
import { type Fields, fields, list, text } from './read.ts';
import type { Tuning } from './tuning.ts';
import { KubeError } from './types.ts';
import { ResyncError, watchEvents } from './watch-stream.ts';

export interface ReflectorParts {
  readonly client: ApiClient;
  readonly limiter: Limiter;
  readonly tuning: Tuning;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly observe: (event: KubeEvent) => void;
}

/** What a reflector mirrors. */
export interface Collection<Item> {
  /** Path of the collection without a query. */
  readonly path: string;
  /** `fieldSelector` or `labelSelector`, empty for neither. */
  readonly selector: Readonly<Record<string, string>>;
  /** Not there or not allowed is normal: asked for again, rarely. */
  readonly isOptional: boolean;
  /** Slim record of an object; the previous one when the object is known. */
  parse(object: Fields, previous: Item | undefined): Item;
}

const gone = 410;

/** A mirror of one collection. */
export class Reflector<Item> {
  readonly #parts: ReflectorParts;
  readonly #collection: Collection<Item>;
  readonly #listeners = new Set<() => void>();
  readonly #pause = new Pause();
  readonly #controller = new AbortController();
  #items: ReadonlyMap<string, Item> = new Map();
  #isSynced = false;
  #failure: KubeError | null = null;
  /** Where the next watch begins; empty: list first. */
  #resourceVersion = '';
  #watching: Deadline | null = null;
  /** When the present watch was answered, monotonic milliseconds. */
  #openedAt = Number.NEGATIVE_INFINITY;
  /** When a list, a watch or an event last came, monotonic milliseconds. */
  #heardAt: number;
  #isResuming = false;
  #isBehind = false;
  #failures = 0;
  readonly #done: Promise<void>;

  constructor(parts: ReflectorParts, collection: Collection<Item>) {
    this.#parts = parts;
    this.#collection = collection;
    this.#heardAt = parts.clock.monotonic();
    this.#done = this.#run(this.#controller.signal);
  }

  /** Records by uid. */
  get items(): ReadonlyMap<string, Item> {
    return this.#items;
  }

  /** True from the first complete list on. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Why the collection cannot be listed or watched now; null while it can. */
  get failure(): KubeError | null {
    return this.#failure;
  }

  /** There was an outage, and it has not been listed or watched since: what it mirrors may be of before. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Milliseconds since anything came of it: bookmarks come about every minute, and a watch ends in five. */
  get silentMs(): number {
    return this.#parts.clock.monotonic() - this.#heardAt;
  }

  /** Calls the listener after every change; an exception in it is logged and harms nobody else. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * After an outage: ends a pause and opens anew a watch from before, for it may hang on a connection that is
   * no more.
   * @param awaySince monotonic milliseconds
   */
  resume(awaySince: number): void {
    if (this.#watching !== null && this.#openedAt > awaySince) return;
    this.#isResuming = true;
    this.#isBehind = true;
    this.#failures = 0;
    this.#watching?.abort();
    this.#pause.wake();
  }

  async stop(): Promise<void> {
    this.#listeners.clear();
    this.#controller.abort(new Error('closed'));
    await this.#done;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, tuning, log } = this.#parts;
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      let delayMs = 0;
      try {
        if (this.#resourceVersion === '') await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#isResuming) delayMs = this.#delayAfter(error);
        this.#parts.observe({ type: 'api-watch', what: 'interrupted' });
        log.debug({ path: this.#collection.path, err: error, delayMs }, 'watch interrupted');
      }
      await this.#rest(Math.max(delayMs, tuning.watchGapMs - (clock.monotonic() - startedAt)), signal);
    }
  }

  /** Waits; ended by `resume`, it only spreads the rush of all that resume with it. */
  async #rest(delayMs: number, signal: AbortSignal): Promise<void> {
    const { tuning, random } = this.#parts;
    if (!this.#isResuming && delayMs > 0) await this.#pause.wait(delayMs, signal);
    if (!this.#isResuming) return;
    this.#endResuming();
    await this.#pause.wait(random() * tuning.resumeSpreadMs, signal);
  }

  #endResuming(): void {
    this.#isResuming = false;
    this.#pause.forget();
  }

  /** Notes a failure and says how long to wait. */
  #delayAfter(error: unknown): number {
    const { tuning, random } = this.#parts;
    const status = error instanceof KubeError ? error.status : 0;
    // An expired resourceVersion is everyday life: one list and it goes on.
    const isExpired = status === gone;
    if (isExpired || status === 400 || error instanceof ResyncError) this.#resourceVersion = '';
    if (isExpired && this.#failures === 0) {
      this.#failures++;
      return 0;
    }
    const isRefused = status === 403 || status === 404 || status === 401;
    if (isRefused) {
      this.#resourceVersion = '';
      return jittered(this.#collection.isOptional ? tuning.optionalMs : tuning.refusedMs, random);
    }
    const backoffMs = Math.min(tuning.backoffMs * 2 ** this.#failures, tuning.backoffMaxMs);
    this.#failures++;
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(jittered(backoffMs, random), asked);
  }

  /** Lists all pages; the records become visible when the last one is there. */
  async #list(signal: AbortSignal): Promise<void> {
    const { client, limiter, tuning } = this.#parts;
    const { path, selector } = this.#collection;
    const items = new Map<string, Item>();
    let next = '';
    let resourceVersion = '';
    await this.#attempt(() =>
      limiter.run(async () => {
        do {
          const query = new URLSearchParams({ ...selector, limit: String(tuning.pageItems) });
          if (next !== '') query.set('continue', next);
          const document = fields(
            await client.get(`${path}?${query}`, signal, { maxBytes: tuning.maxListBytes, attempts: 1 }),
          );
          for (const item of list(document.items).map(fields)) this.#put(items, item);
          next = text(fields(document.metadata).continue, 8192);
          resourceVersion = text(fields(document.metadata).resourceVersion, 64);
        } while (next !== '');
      }),
    );
    this.#items = items;
    this.#isSynced = true;
    this.#isBehind = false;
    this.#resourceVersion = resourceVersion;
    this.#heard('listed');
    this.#show(null);
  }

  /** Watches until the stream ends; returns when it ended well. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { client, clock, tuning, random } = this.#parts;
    const { path, selector } = this.#collection;
    const startedAt = clock.monotonic();
    const [least, most] = tuning.watchSeconds;
    const seconds = least + random() * (most - least);
    const query = new URLSearchParams({
      ...selector,
      watch: '1',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(Math.ceil(seconds)),
      resourceVersion: this.#resourceVersion,
    });
    // The server ends the watch by itself; when it does not, the connection is dead.
    const watching = new Deadline(seconds * 1000 + tuning.watchGraceMs, signal);
    this.#watching = watching;
    this.#endResuming();
    try {
      const body = await this.#attempt(() => client.stream(`${path}?${query}`, watching.signal));
      this.#openedAt = clock.monotonic();
      this.#heard('opened');
      const wasBehind = this.#isBehind;
      this.#isBehind = false;
      if (this.#failure !== null || wasBehind) this.#show(null);
      for await (const events of watchEvents(body, tuning.maxLineBytes)) this.#apply(events);
      this.#failures = 0;
    } catch (error) {
      if (clock.monotonic() - startedAt >= tuning.backoffMaxMs) this.#failures = 0;
      const isOurs = watching.isLate || (this.#isResuming && !signal.aborted);
      if (!isOurs) throw error;
    } finally {
      watching.clear();
      this.#watching = null;
      this.#openedAt = Number.NEGATIVE_INFINITY;
    }
  }

  /** A request whose failure is shown, unlike that of a stream which is simply opened again. */
  async #attempt<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      const isShown = error instanceof KubeError && error.status !== gone && error.reason !== 'Aborted';
      if (isShown) this.#show(error);
      throw error;
    }
  }

  #heard(what: 'listed' | 'opened'): void {
    this.#heardAt = this.#parts.clock.monotonic();
    this.#parts.observe({ type: 'api-watch', what });
  }

  #put(items: Map<string, Item>, object: Fields): void {
    const uid = text(fields(object.metadata).uid, 64);
    if (uid !== '') items.set(uid, this.#collection.parse(object, this.#items.get(uid)));
  }

  #apply(events: readonly { readonly type: string; readonly object: Fields }[]): void {
    const items = this.#items as Map<string, Item>;
    let hasChange = false;
    this.#heardAt = this.#parts.clock.monotonic();
    for (const { type, object } of events) {
      const metadata = fields(object.metadata);
      if (type === 'DELETED') hasChange = items.delete(text(metadata.uid, 64)) || hasChange;
      else if (type !== 'BOOKMARK') {
        this.#put(items, object);
        hasChange = true;
      }
      this.#resourceVersion = text(metadata.resourceVersion, 64) || this.#resourceVersion;
    }
    this.#failures = 0;
    if (hasChange) this.#notify();
  }

  #show(failure: KubeError | null): void {
    const { log } = this.#parts;
    const before = this.#failure;
    this.#failure = failure;
    // What need not be there may be missing; that it may not be seen is for an operator to know.
    const isNormal = this.#collection.isOptional && failure?.status !== 403;
    if (failure !== null && before?.message !== failure.message && !isNormal)
      log.warn(
        { path: this.#collection.path, status: failure.status, why: wordsOf(failure) },
        'cannot watch',
      );
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#parts.log.error({ err: error }, 'watch listener failed');
      }
    }
  }
}
