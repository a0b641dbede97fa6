/**
 * The embedded broker: aedes behind mutual TLS, with the holes of aedes 1.x closed. A surface is what its
 * certificate says and nothing else; the gateway loop uses it in-process through {@link GatewayBus}.
 */
import type { EventEmitter } from 'node:events';
import { Aedes, type Client, type Connection } from 'aedes';
import type { Identity } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { type ConnectionRefusal, type Observe, unobserved } from '../observer.ts';
import type { BusMessage, GatewayBus } from '../wire/bus.ts';
import { encode, maxMessageBytes } from '../wire/messages.ts';
import { ackTopic, gatewayStatusTopic, parseTopic, topicRoot } from '../wire/topics.ts';
import { createHooks, publicationOf } from './hooks.ts';
import { ComplaintLog, TokenBuckets } from './limits.ts';
import { startListener } from './listener.ts';
import { type BrokerLimits, defaultLimits, guardPackets, Session } from './session.ts';
import { CleanSessionStore } from './store.ts';

/** Certificates, revocation and the registry are looked at again this often. */
const sweepMs = 1000;

export interface BrokerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly site: string;
  /** Name of this gateway on the wire: the only `_gw` status that may be published here. */
  readonly gateway: string;
  readonly serverKeyPem: string;
  readonly serverCertificatePem: string;
  readonly clientCaPem: string;
  readonly maxConnections: number;
  /** Reads an identity from a client certificate (DER) that the CA has signed; null when there is none in it. */
  readonly identify: (certificate: Uint8Array) => Identity | null;
  /** Whether the surface may act now; asked at connect, at every publish and every second. */
  readonly isAllowed: (identity: Identity) => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<BrokerLimits>;
  /** Left out: nobody watches. */
  readonly observe?: Observe;
}

export interface Broker extends GatewayBus {
  readonly port: number;
  /** Changes the server certificate; sessions that exist stay. */
  setServerCertificate(keyPem: string, certificatePem: string): void;
  /** Identity of the live session of a surface, null without one. */
  identityOf(surface: string): Identity | null;
  /** Surfaces with a live session. */
  readonly sessions: number;
}

/** @throws SurfacedError E_LISTEN when the address cannot be had */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new EmbeddedBroker(options);
  await broker.start();
  return broker;
}

class EmbeddedBroker implements Broker {
  port = 0;
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #complaints: ComplaintLog;
  readonly #observe: Observe;
  readonly #connects: TokenBuckets;
  readonly #aedes: Aedes;
  readonly #sessions = new Set<Session>();
  /** The same by surface: thousands that connect at once must not each be looked for among all others. */
  readonly #bySurface = new Map<string, Set<Session>>();
  readonly #byConnection = new WeakMap<Connection, Session>();
  /** The one live session of each surface. */
  readonly #current = new Map<string, Session>();
  #listener: Awaited<ReturnType<typeof startListener>> | null = null;
  #sweep: NodeJS.Timeout | null = null;
  #onMessage: (message: BusMessage) => void = () => {};
  #onSession: (surface: string, isConnected: boolean) => void = () => {};

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#complaints = new ComplaintLog(options.log, options.clock);
    this.#observe = options.observe ?? unobserved;
    this.#connects = new TokenBuckets(this.#limits.connects, options.clock);
    this.#aedes = this.#createAedes();
  }

  get sessions(): number {
    return this.#current.size;
  }

  async start(): Promise<void> {
    const options = this.#options;
    await this.#aedes.listen();
    this.#aedes.subscribe(
      `${topicRoot}/${options.site}/+/up/#`,
      (packet, done) => {
        // A live message: aedes hands kept ones to new subscribers only.
        const { topic, payload } = publicationOf(packet);
        this.#onMessage({ topic, payload, isRetained: false });
        done();
      },
      () => {},
    );
    this.#listener = await startListener({
      ...options,
      ...this.#limits,
      onSocket: (socket) => {
        const refusal = this.#admit(socket);
        if (refusal === null) return;
        this.#refused(refusal.source, refusal.reason, refusal.kind);
        socket.destroy();
      },
      onRefused: (source, reason, kind) => this.#refused(source, reason, kind),
    }).catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
    this.port = this.#listener.port;
    this.#sweep = setInterval(() => this.#endWhatMayNotBe(), sweepMs);
  }

  setServerCertificate(keyPem: string, certificatePem: string): void {
    this.#listener?.setServerCertificate(keyPem, certificatePem);
  }

  identityOf(surface: string): Identity | null {
    return this.#current.get(surface)?.identity ?? null;
  }

  onMessage(listener: (message: BusMessage) => void): void {
    this.#onMessage = listener;
  }

  onSession(listener: (surface: string, isConnected: boolean) => void): void {
    this.#onSession = listener;
  }

  /** Resolves when every subscriber's socket has taken the message: up to the drain timeout for a frozen one. */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly qos: 0 | 1; readonly isRetained: boolean },
  ): Promise<void> {
    const address = parseTopic(topic);
    const isOurs =
      address?.site === this.#options.site &&
      (address.direction === 'down' ||
        topic === gatewayStatusTopic(this.#options.site, this.#options.gateway));
    if (!isOurs) return Promise.reject(new Error(`not a topic that a gateway publishes to: ${topic}`));
    if (payload.length > maxMessageBytes)
      return Promise.reject(new Error(`message of ${payload.length} bytes is over the wire limit`));
    return new Promise((resolve, reject) => {
      this.#aedes.publish(
        {
          cmd: 'publish',
          topic,
          payload: Buffer.from(payload),
          qos: options.qos,
          retain: options.isRetained,
          dup: false,
        },
        (error) => (error ? reject(error) : resolve()),
      );
    });
  }

  disconnect(surface: string, reason: string): void {
    for (const session of this.#bySurface.get(surface) ?? []) this.#end(session, reason);
  }

  async close(): Promise<void> {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
    const listening = this.#listener?.close();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    for (const session of this.#sessions) session.socket.destroy();
    await listening;
  }

  // ---------------------------------------------------------------- sessions

  /** Takes a connection in; says who must be told off, and for what, when it may not be. */
  #admit(socket: Session['socket']): { source: string; reason: string; kind: ConnectionRefusal } | null {
    const options = this.#options;
    const address = socket.remoteAddress ?? 'unknown';
    const certificate = socket.getPeerX509Certificate();
    let identity: Identity | null = null;
    try {
      identity = certificate === undefined ? null : options.identify(certificate.raw);
    } catch (error) {
      return { source: address, reason: `certificate: ${String(error)}`, kind: 'identity' };
    }
    if (identity === null || identity.site !== options.site)
      return {
        source: address,
        reason: 'certificate is not one of a surface of this site',
        kind: 'identity',
      };
    const { surface } = identity;
    if (!this.#connects.take(surface)) return { source: surface, reason: 'connects too often', kind: 'rate' };
    if (this.#sessions.size >= options.maxConnections)
      return { source: surface, reason: 'too many connections', kind: 'full' };
    const siblings = this.#bySurface.get(surface) ?? new Set();
    if (siblings.size >= this.#limits.maxSocketsPerSurface)
      return { source: surface, reason: 'too many connections of one surface', kind: 'rate' };

    const session = new Session(identity, socket, this.#limits, options.clock);
    this.#sessions.add(session);
    this.#bySurface.set(surface, siblings.add(session));
    this.#byConnection.set(socket, session);
    // Not aedes' clientDisconnect: it does not come for a client that was taken over while it was closing.
    socket.once('close', () => this.#gone(session));
    guardPackets(this.#aedes.handle(socket), socket, this.#limits, options.clock);
    return null;
  }

  #ready(client: Client): void {
    const session = this.#byConnection.get(client.conn);
    if (session === undefined) return;
    const previous = this.#current.get(session.surface);
    if (previous !== undefined && previous !== session) {
      previous.socket.destroy();
      this.#gone(previous);
    }
    this.#current.set(session.surface, session);
    this.#options.log.info({ surface: session.surface, serial: session.identity.serial }, 'session began');
    this.#onSession(session.surface, true);
  }

  #gone(session: Session): void {
    this.#sessions.delete(session);
    const siblings = this.#bySurface.get(session.surface);
    siblings?.delete(session);
    if (siblings?.size === 0) this.#bySurface.delete(session.surface);
    if (this.#current.get(session.surface) !== session) return;
    this.#current.delete(session.surface);
    this.#options.log.info({ surface: session.surface }, 'session ended');
    this.#onSession(session.surface, false);
  }

  #refused(source: string, reason: string, kind: ConnectionRefusal): void {
    this.#observe({ type: 'connection-refused', reason: kind });
    this.#complaints.warn(source, reason);
  }

  #end(session: Session, reason: string): void {
    this.#options.log.info({ surface: session.surface, reason }, 'session closed');
    session.socket.destroy();
  }

  /** A certificate that ends, or trust that is withdrawn, does not end a TLS session by itself. */
  #endWhatMayNotBe(): void {
    for (const session of this.#sessions) {
      const problem = this.#problemOf(session);
      if (problem === null) continue;
      const kind = session.isOutOfDate ? 'expired' : 'withdrawn';
      this.#observe({ type: 'connection-refused', reason: kind });
      this.#end(session, problem);
    }
  }

  #problemOf(session: Session): string | null {
    if (session.isOutOfDate) return 'certificate is out of date';
    try {
      return this.#options.isAllowed(session.identity) ? null : 'not in the registry, revoked or not trusted';
    } catch (error) {
      return `registry: ${String(error)}`;
    }
  }

  #createAedes(): Aedes {
    const sessionOf = (client: Client): Session | undefined => this.#byConnection.get(client.conn);
    const aedes = new Aedes({
      ...createHooks({
        sessionOf,
        problemOf: (session) => this.#problemOf(session),
        isBacklogged: (session) => {
          if (session.socket.writableLength <= this.#limits.maxBacklogBytes) return false;
          this.#refused(session.surface, 'does not read what it subscribed to', 'backlog');
          this.#end(session, 'does not read');
          return true;
        },
        complain: (source, reason) => this.#complaints.warn(source, reason),
        dropped: (code) => this.#observe({ type: 'message-dropped', code }),
        answer: (session, ack) => {
          this.publish(ackTopic(session.identity.site, session.surface), encode(ack), {
            qos: 1,
            isRetained: false,
          }).catch((error: unknown) => this.#options.log.debug({ err: error }, 'answer not sent'));
        },
      }),
      persistence: new CleanSessionStore(),
      // No limit, hence no queue: behind one client that does not read, the queue of mqemitter holds up all others,
      // and is emptied by recursion when that client goes, deep enough to end the process.
      concurrency: 0,
      connectTimeout: this.#limits.connectTimeoutMs,
      drainTimeout: this.#limits.drainTimeoutMs,
      maxTopicLevels: 10,
      maxClientsIdLength: 63,
      keepaliveLimit: 120,
      queueLimit: 8,
      maxInflightInbound: 1,
    });
    aedes.on('clientReady', (client) => this.#ready(client));
    for (const event of ['clientError', 'connectionError'] as const) {
      aedes.on(event, (client, error) => {
        // Errors with a code are the network's; the others are ours or aedes' words about a client.
        if (!('code' in error)) this.#complaints.warn(sessionOf(client)?.surface ?? 'unknown', error.message);
      });
    }
    (aedes as EventEmitter).on('error', (error: Error) =>
      this.#options.log.error({ err: error }, 'broker failed'),
    );
    return aedes;
  }
}
