/**
 * Keeps open pages up to date by server-sent events. One clock for all of them, which stands still while nobody looks; each
 * surface is looked at once a tick however many watch it, and only what changed is sent.
 */
import type { ServerResponse } from 'node:http';

/** Time between two looks, milliseconds. */
export const tickMs = 500;
/** A comment keeps proxies from closing a quiet stream, ticks. */
const heartbeatTicks = 30;
/** How often it is asked whether whoever watches still may, ticks. */
const accessTicks = 10;
/** A reader that takes nothing for so long is closed, bytes that wait. */
const mostWaitingBytes = 1 << 20;

/** How many pages may be open. */
export const liveLimits = { streams: 64, streamsOfOneUser: 8, surfacesOfOneStream: 24 } as const;

interface Stream {
  readonly response: ServerResponse;
  readonly user: string;
  readonly names: readonly string[];
  readonly isStillAllowed: () => Promise<boolean>;
  readonly sent: Map<string, string>;
}

/** The streams of one gateway. */
export class LiveStreams {
  /** HTML of a surface now; null: there is no such surface. */
  readonly #render: (name: string) => string | null;
  readonly #onError: (error: unknown) => void;
  readonly #streams = new Set<Stream>();
  #timer: NodeJS.Timeout | null = null;
  #tick = 0;

  constructor(render: (name: string) => string | null, onError: (error: unknown) => void) {
    this.#render = render;
    this.#onError = onError;
  }

  get count(): number {
    return this.#streams.size;
  }

  /** Whether there is room for one more of this user. */
  hasRoom(user: string): boolean {
    const own = [...this.#streams].filter((stream) => stream.user === user).length;
    return this.#streams.size < liveLimits.streams && own < liveLimits.streamsOfOneUser;
  }

  /** Takes over a response: its head has been sent. */
  add(stream: Omit<Stream, 'sent'>): void {
    const known: Stream = { ...stream, sent: new Map() };
    this.#streams.add(known);
    stream.response.once('close', () => this.#forget(known));
    this.#look(known, new Map());
    this.#timer ??= setInterval(() => this.#next(), tickMs);
  }

  close(): void {
    for (const stream of [...this.#streams]) this.#end(stream);
  }

  #next(): void {
    this.#tick++;
    const rendered = new Map<string, string>();
    for (const stream of [...this.#streams]) {
      if (stream.response.writableLength > mostWaitingBytes) {
        stream.response.destroy();
        continue;
      }
      try {
        this.#look(stream, rendered);
      } catch (error) {
        this.#onError(error);
        stream.response.destroy();
        continue;
      }
      if (this.#tick % heartbeatTicks === 0) stream.response.write(': still here\n\n');
      if (this.#tick % accessTicks === 0) void this.#check(stream);
    }
  }

  #look(stream: Stream, rendered: Map<string, string>): void {
    for (const name of stream.names) {
      const html = rendered.get(name) ?? this.#render(name) ?? '';
      rendered.set(name, html);
      if (stream.sent.get(name) === html) continue;
      stream.sent.set(name, html);
      stream.response.write(`event: panel\ndata: ${JSON.stringify({ id: `panel-${name}`, html })}\n\n`);
    }
  }

  /** An error is never "allowed", nor is it "over": the page says that its numbers are old, and tries again. */
  async #check(stream: Stream): Promise<void> {
    try {
      const isAllowed = await stream.isStillAllowed();
      if (!isAllowed && this.#streams.has(stream)) this.#end(stream);
    } catch (error) {
      if (!this.#streams.has(stream)) return;
      this.#onError(error);
      stream.response.destroy();
    }
  }

  /** The page asks for itself again then, and is told why it may not. */
  #end(stream: Stream): void {
    this.#forget(stream);
    stream.response.end('event: over\ndata: {}\n\n');
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
