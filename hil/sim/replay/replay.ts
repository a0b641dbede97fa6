/**
 * A stand-in for a Kubernetes API server that can only repeat what a real one said: it serves recordings
 * over HTTPS, and faults that a script puts in between.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createServerIdentity } from './certificate.ts';
import { Matcher, type MatchRequest } from './match.ts';
import type { Recording } from './recording.ts';
import { type Reply, refusal } from './reply.ts';

const maxBodyBytes = 4 << 20;

/** A request as it came. */
export interface ReplayRequest extends MatchRequest {
  /** Names and values of the header lines in their order. */
  readonly rawHeaders: readonly string[];
  readonly isWatch: boolean;
  /** Number of the TLS connection, from 1. */
  readonly connection: number;
}

/** Decides about a request; null leaves it to the next script and then to the recordings. */
export type Script = (request: ReplayRequest) => Reply | null;

interface OpenWatch {
  readonly request: ReplayRequest;
  readonly response: ServerResponse;
  readonly timers: Set<NodeJS.Timeout>;
}

export interface ReplayOptions {
  readonly recordings: readonly Recording[];
  /** Recorded times are divided by this; Infinity sends everything at once. */
  readonly speed: number;
}

/** Starts a replay server on a free port of 127.0.0.1. */
export async function startReplay(options: ReplayOptions): Promise<Replay> {
  const replay = new Replay(options);
  await replay.comeBack();
  return replay;
}

/** A running replay server. */
export class Replay {
  /** Everything that was asked, in order. */
  readonly requests: ReplayRequest[] = [];
  readonly #identity = createServerIdentity('surfaced replay');
  readonly #matcher: Matcher;
  readonly #speed: number;
  readonly #scripts: Script[] = [];
  readonly #watches = new Set<OpenWatch>();
  /** Plain sockets, those in the middle of a handshake too. */
  readonly #sockets = new Set<Socket>();
  readonly #numbers = new WeakMap<Socket, number>();
  readonly #waiting = new Set<() => void>();
  readonly #server;
  #connections = 0;
  #port = 0;

  constructor({ recordings, speed }: ReplayOptions) {
    this.#matcher = new Matcher(recordings.flatMap((recording) => recording.exchanges));
    this.#speed = speed;
    const { certificatePem: cert, keyPem: key } = this.#identity;
    this.#server = createServer({ cert, key }, (request, response) => void this.#handle(request, response));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('secureConnection', (socket) => {
      this.#numbers.set(socket, ++this.#connections);
      socket.on('error', () => {});
    });
    this.#server.on('tlsClientError', () => {});
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get caPem(): string {
    return this.#identity.certificatePem;
  }

  /** TLS connections that were made so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Watches that are open now. */
  get openWatches(): readonly ReplayRequest[] {
    return [...this.#watches].map((watch) => watch.request);
  }

  /** A kubeconfig for this server, as JSON, which is YAML too. */
  kubeconfig(user: Readonly<Record<string, unknown>> = { token: 'replayed' }): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'replay',
          cluster: {
            server: this.url,
            'certificate-authority-data': Buffer.from(this.caPem).toString('base64'),
          },
        },
      ],
      users: [{ name: 'gateway', user }],
      contexts: [{ name: 'replay', context: { cluster: 'replay', user: 'gateway' } }],
      'current-context': 'replay',
    });
  }

  /** Adds a script before all others; the returned function takes it out. */
  script(script: Script): () => void {
    this.#scripts.unshift(script);
    return () => {
      const index = this.#scripts.indexOf(script);
      if (index >= 0) this.#scripts.splice(index, 1);
    };
  }

  /** The recorded reply to a request, for scripts that change it. */
  recorded(request: ReplayRequest): Reply | null {
    return this.#matcher.find(request);
  }

  /** Sends an event to the open watches of a collection; says how many there were. */
  push(pathname: string, event: unknown): number {
    const open = [...this.#watches].filter((watch) => watch.request.pathname === pathname);
    for (const { response } of open) response.write(`${JSON.stringify(event)}\n`);
    return open.length;
  }

  /** Writes bytes as they are to the open watches of a collection. */
  pushRaw(pathname: string, bytes: string | Uint8Array): void {
    for (const watch of this.#watches) if (watch.request.pathname === pathname) watch.response.write(bytes);
  }

  /** Ends the open watches, cleanly or by destroying their connections. */
  endWatches(how: 'close' | 'cut'): void {
    for (const { response } of [...this.#watches]) {
      if (how === 'close') response.end();
      else response.socket?.destroy();
    }
  }

  /** Resolves as soon as the condition holds; it is looked at after every request and every end of a watch. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Nothing answers any more: connections are destroyed, new ones refused. */
  async goAway(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Listens again on the same port. */
  async comeBack(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.goAway();
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await this.#read(message).catch(() => null);
    if (request === null) return;
    this.requests.push(request);
    const scripted = this.#scripts.reduce<Reply | null>((reply, script) => reply ?? script(request), null);
    const reply = scripted ?? this.#matcher.find(request) ?? notRecorded(request);
    switch (reply.kind) {
      case 'answer': {
        const isText = typeof reply.body === 'string';
        response.writeHead(reply.status, {
          'content-type': isText ? 'text/plain' : 'application/json',
          ...reply.headers,
        });
        response.end(isText ? reply.body : JSON.stringify(reply.body));
        break;
      }
      case 'stream':
        this.#stream(request, response, reply);
        break;
      case 'hang':
        break;
      case 'cut':
        message.socket.destroy();
    }
    this.#tell();
  }

  async #read(message: IncomingMessage): Promise<ReplayRequest> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of message as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBodyBytes) throw new Error('the body is too long');
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    const url = new URL(message.url ?? '/', this.url);
    return {
      method: message.method ?? '',
      pathname: url.pathname,
      query: url.searchParams,
      headers: message.headers,
      rawHeaders: message.rawHeaders,
      body: text === '' ? undefined : JSON.parse(text),
      isWatch: url.searchParams.has('watch'),
      connection: this.#numbers.get(message.socket) ?? 0,
    };
  }

  #stream(request: ReplayRequest, response: ServerResponse, reply: Reply & { kind: 'stream' }): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watch: OpenWatch = { request, response, timers: new Set() };
    this.#watches.add(watch);
    response.on('close', () => {
      for (const timer of watch.timers) clearTimeout(timer);
      this.#watches.delete(watch);
      this.#tell();
    });
    const at = (ms: number, action: () => void): void => {
      const delayMs = ms / this.#speed;
      if (delayMs === 0) action();
      else watch.timers.add(setTimeout(action, delayMs));
    };
    const cutAfter = reply.cutAfterEvents ?? Number.POSITIVE_INFINITY;
    for (const { ms, event } of reply.events.slice(0, cutAfter)) {
      at(ms, () => response.write(`${JSON.stringify(event)}\n`));
    }
    const lastMs = reply.events[Math.min(cutAfter, reply.events.length) - 1]?.ms ?? 0;
    // The empty line is flushed after all events; destroying at once would lose them.
    if (reply.cutAfterEvents !== null)
      at(lastMs, () => response.write('\n', () => response.socket?.destroy()));
    else if (reply.closeAfterMs !== null) at(reply.closeAfterMs, () => response.end());
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function notRecorded(request: ReplayRequest): Reply {
  return refusal(404, 'NotFound', `not recorded: ${request.method} ${request.pathname}?${request.query}`);
}
