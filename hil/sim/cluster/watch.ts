/** WATCH: a stream of JSON lines from a version on, with bookmarks and an end (recordings 02, 10 and 13). */
import type { ServerResponse } from 'node:http';
import { shapeObject } from './forms.ts';
import type { JsonMap } from './json.ts';
import { matcherOf, versionOf } from './list.ts';
import type { KubeObject } from './objects.ts';
import type { ApiRequest } from './request.ts';
import { builtin, groupVersion } from './resources.ts';
import type { Matcher } from './selectors.ts';
import type { StoreEvent } from './store.ts';
import type { World } from './world.ts';

/** A reader that takes nothing for this many bytes is cut off. */
const BACKLOG_LIMIT = 64 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 1_800_000;

/** All open streams, for the faults that tests cause. */
export class Watches {
  private readonly open = new Set<Stream>();
  /** While true nothing is written and nothing closes: a connection that went dead without a word. */
  isSilent = false;

  add(stream: Stream): void {
    this.open.add(stream);
  }

  drop(stream: Stream): void {
    this.open.delete(stream);
  }

  count(): number {
    return this.open.size;
  }

  /** Destroys the connections of all streams, in the middle of whatever they say. */
  cut(): number {
    const count = this.open.size;
    for (const stream of [...this.open]) stream.destroy();
    return count;
  }
}

/** Answers a watch; the response ends later. */
export function startWatch(
  world: World,
  watches: Watches,
  request: ApiRequest,
  response: ServerResponse,
): void {
  const asked = versionOf(request.query);
  const matches = matcherOf(request);
  const stream = new Stream(world, watches, request, response, matches);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  const hasInitialEvents = request.query.get('sendInitialEvents') === 'true';
  const { store } = world;
  if (asked !== null && asked > 0 && !hasInitialEvents) {
    const oldest = store.oldest(request.resource);
    if (asked < oldest) {
      const message = `too old resource version: ${asked} (${oldest})`;
      const gone = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message };
      stream.say('ERROR', { ...gone, reason: 'Expired', code: 410 });
      stream.end();
      return;
    }
    for (const event of store.of(request.resource).history) {
      if (event.version > asked) stream.tell(event);
    }
  } else {
    const present = [...store.of(request.resource).objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [, object] of present) if (matches(object)) stream.show('ADDED', object);
    if (hasInitialEvents) stream.bookmark(true);
  }
  stream.follow(asked ?? 0);
}

class Stream {
  private readonly world: World;
  private readonly watches: Watches;
  private readonly request: ApiRequest;
  private readonly response: ServerResponse;
  private readonly matches: Matcher;
  private readonly undo: (() => void)[] = [];
  private hasColumns = true;
  private isEnded = false;

  constructor(
    world: World,
    watches: Watches,
    request: ApiRequest,
    response: ServerResponse,
    matches: Matcher,
  ) {
    this.world = world;
    this.watches = watches;
    this.request = request;
    this.response = response;
    this.matches = matches;
    watches.add(this);
    response.on('close', () => this.release());
    response.on('error', () => this.release());
  }

  /** Tells what happens from now on, until the timeout or the reader's end. */
  follow(after: number): void {
    const { store, timers, timing } = this.world;
    // A version from the future is waited for, as the recorded server does.
    this.undo.push(
      store.on(this.request.resource, (event) => {
        if (event.version > after) this.tell(event);
      }),
    );
    const seconds = Number(this.request.query.get('timeoutSeconds') ?? 0);
    const timeoutMs = seconds > 0 ? seconds * 1000 : DEFAULT_TIMEOUT_MS;
    this.undo.push(timers.after(timeoutMs, () => this.end()));
    if (this.request.query.get('allowWatchBookmarks') !== 'true') return;
    // One comes shortly before the end, so that the next watch can start late.
    if (timeoutMs > 2000) this.undo.push(timers.after(timeoutMs - 2000, () => this.bookmark(false)));
    let cancel = (): void => {};
    const again = (): void => {
      this.bookmark(false);
      cancel = timers.after(timing.bookmarkMs, again);
    };
    cancel = timers.after(timing.bookmarkMs, again);
    this.undo.push(() => cancel());
  }

  /** Translates a change into what a watch with selectors sees. */
  tell(event: StoreEvent): void {
    const isMatch = this.matches(event.object);
    const wasMatch = event.previous !== null && this.matches(event.previous);
    if (event.type === 'DELETED') {
      if (wasMatch) this.show('DELETED', event.object);
    } else if (isMatch) {
      this.show(wasMatch ? 'MODIFIED' : 'ADDED', event.object);
    } else if (wasMatch) {
      const { resourceVersion } = event.object.metadata;
      const last = event.previous!;
      this.show('DELETED', { ...last, metadata: { ...last.metadata, resourceVersion } });
    }
  }

  show(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const now = this.world.now();
    this.say(type, shapeObject(this.request, object, now, this.hasColumns));
    this.hasColumns = false;
  }

  bookmark(isInitialEnd: boolean): void {
    const { resource } = this.request;
    const metadata = {
      resourceVersion: String(this.world.store.version()),
      ...(isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    this.say('BOOKMARK', {
      kind: resource.kind,
      apiVersion: groupVersion(resource),
      metadata,
      // Required fields of the Go type stay in the empty object.
      ...(resource === builtin.pods ? { spec: { containers: null }, status: {} } : {}),
    });
  }

  say(type: string, object: JsonMap): void {
    if (this.isEnded || this.watches.isSilent) return;
    this.response.write(`${JSON.stringify({ type, object })}\n`);
    if (this.response.writableLength > BACKLOG_LIMIT) this.destroy();
  }

  end(): void {
    if (this.watches.isSilent) return;
    this.response.end();
    this.release();
  }

  destroy(): void {
    this.response.destroy();
    this.release();
  }

  private release(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    for (const undo of this.undo) undo();
    this.watches.drop(this);
  }
}
