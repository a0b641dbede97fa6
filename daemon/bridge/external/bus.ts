/**
 * The gateway's end of an external broker, as a {@link GatewayBus}. The broker has checked who publishes where, by its
 * rules; what is checked here is that the surface may act, each time anew.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Identity } from '../../attest/types.ts';
import { SurfacedError } from '../../errors.ts';
import { ComplaintLog, TokenBuckets } from '../broker/limits.ts';
import { defaultLimits } from '../broker/session.ts';
import { backOffMs } from '../link/timing.ts';
import type { BusMessage } from '../wire/bus.ts';
import {
  birthMessage,
  type CtlMessage,
  decode,
  encode,
  type GatewayStatusMessage,
  gatewayStatusMessage,
  maxMessageBytes,
  statusMessage,
} from '../wire/messages.ts';
import type { MqttLine, Testament } from '../wire/mqtt-line.ts';
import {
  ctlTopic,
  gatewayFilters,
  gatewayStatusTopic,
  parseTopic,
  upTopic,
  wireVersion,
} from '../wire/topics.ts';
import { type BrokerTls, connectTo, gatewayUser } from './connect.ts';
import {
  defaultTiming,
  type ExternalBrokerOptions,
  type ExternalBus,
  type ExternalTiming,
} from './options.ts';
import { Outbox } from './outbox.ts';
import { Presences } from './presence.ts';
import { probeBroker } from './probe.ts';
import { Proofs } from './proofs.ts';

/**
 * Connects, and again whenever the connection ends, until it is closed. Resolves after the first attempt, also when that failed.
 * @throws SurfacedError E_BROKER_IDENTITY and what `tls` throws, both at the start only
 */
export async function connectExternalBroker(options: ExternalBrokerOptions): Promise<ExternalBus> {
  const { client } = await options.tls();
  if (client !== null && options.login === null) gatewayUser(client.certificatePem);
  const bus = new ExternalBroker(options);
  await bus.start();
  return bus;
}

class ExternalBroker implements ExternalBus {
  readonly #options: ExternalBrokerOptions;
  readonly #timing: ExternalTiming;
  readonly #statusTopic: string;
  readonly #complaints: ComplaintLog;
  readonly #messages: TokenBuckets;
  readonly #questions: TokenBuckets;
  readonly #proofs: Proofs;
  readonly #presence = new Presences();
  readonly #ending = new AbortController();
  readonly #outbox: Outbox;
  /** Topics of each surface on which something of ours is kept. */
  readonly #kept = new Map<string, Set<string>>();
  #line: MqttLine | null = null;
  #lastStatus: GatewayStatusMessage | null = null;
  #problem: string | null = 'not connected yet';
  #doubts: readonly string[] = [];
  #attempts = 0;
  #urlIndex = 0;
  #sweep: NodeJS.Timeout | null = null;
  #release: (reason: string) => void = () => {};
  #running: Promise<void> = Promise.resolve();
  #onMessage: (message: BusMessage) => void = () => {};
  #onSession: (surface: string, isConnected: boolean) => void = () => {};

  constructor(options: ExternalBrokerOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.clock);
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#statusTopic = gatewayStatusTopic(options.site, options.gateway);
    this.#complaints = new ComplaintLog(options.log, options.clock);
    this.#messages = new TokenBuckets(defaultLimits.messages, options.clock);
    this.#questions = new TokenBuckets({ burst: 1, perSecond: 0.2 }, options.clock);
    this.#proofs = new Proofs(options, (surface, message) => this.#tell(surface, message));
  }

  get sessions(): number {
    return this.#presence.names.length;
  }

  identityOf(surface: string): Identity | null {
    return this.#presence.has(surface) ? this.#options.identityOf(surface) : null;
  }

  health(): { readonly ok: boolean; readonly detail: string } {
    if (this.#problem !== null) return { ok: false, detail: this.#problem };
    return { ok: true, detail: this.#doubts.join('; ') || `${this.sessions} surfaces` };
  }

  /** Resolves after the first attempt. */
  start(): Promise<void> {
    this.#sweep = setInterval(() => this.#look(), this.#timing.sweepMs);
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  onMessage(listener: (message: BusMessage) => void): void {
    this.#onMessage = listener;
  }

  onSession(listener: (surface: string, isConnected: boolean) => void): void {
    this.#onSession = listener;
  }

  /** Resolves when the broker has it (QoS 1); rejects at once without a connection, and when it ends before. */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly qos: 0 | 1; readonly isRetained: boolean },
  ): Promise<void> {
    const address = parseTopic(topic);
    const isOurs =
      address?.site === this.#options.site && (address.direction === 'down' || topic === this.#statusTopic);
    if (!isOurs) return Promise.reject(new Error(`not a topic that a gateway publishes to: ${topic}`));
    if (payload.length > maxMessageBytes)
      return Promise.reject(new Error(`message of ${payload.length} bytes is over the wire limit`));
    if (address.direction === 'down' && options.isRetained)
      this.#keep(address.surface, topic, payload.length > 0);
    if (topic === this.#statusTopic) {
      const status = decode(gatewayStatusMessage, payload);
      if (status.ok) this.#lastStatus = status.message;
    }
    return this.#send(topic, payload, options);
  }

  /**
   * What can be done from here: the surface is told to renew, which is refused with the reason; what is kept for it and of
   * it is taken away. Its connection to the broker lasts until the surface or the broker ends it.
   */
  disconnect(surface: string, reason: string): void {
    this.#options.log.info({ surface, reason }, 'session closed');
    this.#options.withdrawn(surface);
    this.#went(surface);
    this.#proofs.renew(surface, reason);
    const { site } = this.#options;
    const topics = [
      ...(this.#kept.get(surface) ?? []),
      upTopic(site, surface, 'status'),
      upTopic(site, surface, 'birth'),
    ];
    this.#kept.delete(surface);
    for (const topic of topics) this.#sendQuietly(topic, new Uint8Array(0), true);
  }

  async close(): Promise<void> {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#ending.abort();
    const line = this.#line;
    this.#line = null;
    await line?.close(this.#testament());
    this.#release('closed');
    await this.#running;
  }

  // ---------------------------------------------------------------- the connection

  async #run(tried: () => void): Promise<void> {
    const { signal } = this.#ending;
    const { clock, log, random } = this.#options;
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      try {
        const lost = new Promise<string>((resolve) => {
          this.#release = resolve;
        });
        await this.#open();
        tried();
        const reason = await lost;
        this.#gone(reason);
        // One that is closed again and again as soon as it is open must back off, too.
        if (clock.monotonic() - startedAt > 2 * this.#timing.backOffMaxMs) this.#attempts = 0;
      } catch (error) {
        if (!signal.aborted) {
          this.#problem = (error as Error).message;
          log.warn({ err: error, attempt: this.#attempts + 1 }, 'external broker cannot be used');
        }
        this.#urlIndex += 1;
      }
      tried();
      if (signal.aborted) return;
      const waitMs = backOffMs(this.#attempts, this.#timing, random);
      this.#attempts += 1;
      await delay(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  async #open(): Promise<void> {
    const { urls, clientId, login, site, log } = this.#options;
    const url = urls[this.#urlIndex % urls.length] ?? '';
    const tls = await this.#options.tls();
    await this.#probe(url, tls);
    const { signal } = this.#ending;
    const line = await connectTo(url, tls, {
      ...{ clientId, login, signal },
      will: this.#testament(),
      // Not `$share`, which some brokers lack: every gateway hears all and acts for its own.
      filters: gatewayFilters(site).slice(0, 1),
      deadlineMs: this.#timing.connectDeadlineMs,
      onMessage: (topic, payload, isRetained) => this.#take(topic, payload, isRetained),
      onClosed: (reason) => this.#release(reason),
    });
    if (signal.aborted) return line.discard();
    this.#line = line;
    this.#problem = null;
    log.info({ url }, 'external broker connected');
    // The will of the connection before is what the broker has kept.
    if (this.#lastStatus !== null) {
      const status = { ...this.#lastStatus, at: this.#options.clock.now() };
      this.#sendQuietly(this.#statusTopic, encode(status), true);
    }
    delay(this.#timing.settleMs, undefined, { signal }).then(
      () => {
        if (this.#line === line) for (const surface of this.#options.surfaces()) this.#askAfter(surface);
      },
      () => {},
    );
  }

  async #probe(url: string, tls: BrokerTls): Promise<void> {
    const { probe, site, login, clientId } = this.#options;
    if (probe === null) return;
    this.#doubts = await probeBroker({
      ...{ url, site },
      gateway: { tls, login, clientId },
      probe: { ...probe, tls: await probe.tls() },
      patienceMs: this.#timing.connectDeadlineMs / 2,
      signal: this.#ending.signal,
    });
  }

  /** What the broker is to say when this gateway is away. */
  #testament(): Testament {
    const { session, clock } = this.#options;
    const last = this.#lastStatus ?? { v: wireVersion, session, seq: 0, apiHealthy: false, detail: '' };
    return {
      topic: this.#statusTopic,
      payload: encode({ ...last, state: 'offline', at: clock.now() } as typeof last),
    };
  }

  #gone(reason: string): void {
    const { signal } = this.#ending;
    this.#line = null;
    this.#problem = reason;
    if (!signal.aborted) this.#options.log.warn({ reason }, 'external broker lost');
    this.#outbox.fail(new SurfacedError('E_BROKER_CONNECT', `the connection ended: ${reason}`));
    // They may still be there, but nothing is known of it; they are heard of again after the next connection.
    for (const surface of this.#presence.forget()) this.#onSession(surface, false);
  }

  /** Looks at what nobody announces: a broker that hangs, certificates that end, trust that was withdrawn. */
  #look(): void {
    if (this.#outbox.oldestMs > this.#timing.unconfirmedMs) {
      this.#line?.discard();
      this.#release('the broker has confirmed nothing for too long');
      return;
    }
    for (const surface of this.#presence.names) {
      const doubt = this.#proofs.doubtOf(surface);
      if (doubt?.isUnproven === false) this.disconnect(surface, doubt.words);
      else if (doubt !== null) {
        this.#went(surface);
        this.#proofs.ask(surface, doubt);
      }
    }
  }

  // ---------------------------------------------------------------- to the broker

  #send(
    topic: string,
    payload: Uint8Array,
    { qos, isRetained }: { readonly qos: 0 | 1; readonly isRetained: boolean },
  ): Promise<void> {
    const line = this.#line;
    if (line === null)
      return Promise.reject(
        new SurfacedError('E_BROKER_CONNECT', `no broker: ${this.#problem ?? 'stopping'}`),
      );
    return this.#outbox.send(line, topic, payload, { qos, isRetained });
  }

  #sendQuietly(topic: string, payload: Uint8Array, isRetained: boolean): void {
    this.#send(topic, payload, { qos: 1, isRetained }).catch((error: unknown) =>
      this.#options.log.debug({ err: error, topic }, 'message not sent'),
    );
  }

  #tell(surface: string, message: CtlMessage): void {
    this.#sendQuietly(ctlTopic(this.#options.site, surface), encode(message), false);
  }

  #askAfter(surface: string): void {
    if (this.#presence.has(surface)) return;
    const doubt = this.#proofs.doubtOf(surface);
    if (doubt?.isUnproven) this.#proofs.ask(surface, doubt);
    if (doubt !== null) return;
    if (this.#questions.take(surface)) this.#tell(surface, { v: wireVersion, type: 'rebirth' });
  }

  #keep(surface: string, topic: string, isKept: boolean): void {
    const topics = this.#kept.get(surface) ?? new Set();
    if (isKept) this.#kept.set(surface, topics.add(topic));
    else if (topics.delete(topic) && topics.size === 0) this.#kept.delete(surface);
  }

  // ---------------------------------------------------------------- from the broker

  #take(topic: string, payload: Buffer, isRetained: boolean): void {
    const { site, observe } = this.#options;
    const address = parseTopic(topic);
    if (address?.direction !== 'up' || address.site !== site) {
      this.#complaints.warn('broker', 'unknown topic');
      return;
    }
    const { surface, leaf } = address;
    const drop = (code: string): void => {
      observe({ type: 'message-dropped', code });
      this.#complaints.warn(surface, code);
    };
    // What was kept by the broker is not sent by anybody now.
    if (!isRetained && !this.#messages.take(surface)) {
      drop('RateLimited');
      return;
    }
    if (payload.length > maxMessageBytes) {
      drop('TooLarge');
      return;
    }
    if (payload.length === 0) {
      // This gateway or another one has taken away what was kept of it.
      if (leaf !== 'status') return;
      this.#options.withdrawn(surface);
      this.#went(surface);
      return;
    }
    if (leaf === 'certificate') {
      if (isRetained || !this.#proofs.show(surface, payload)) drop('NotAllowed');
      else if (!this.#presence.has(surface) && this.#proofs.doubtOf(surface) === null)
        this.#tell(surface, { v: wireVersion, type: 'rebirth' });
      return;
    }
    const status = leaf === 'status' ? decode(statusMessage, payload) : null;
    // A surface that goes needs no right to: its will may come after the end of its certificate.
    const isFarewell = status?.ok === true && status.message.state === 'offline';
    const doubt = isFarewell ? null : this.#proofs.doubtOf(surface);
    if (doubt !== null) {
      if (isRetained) return;
      drop('NotAllowed');
      if (!doubt.isUnproven && this.#presence.has(surface)) this.disconnect(surface, doubt.words);
      else {
        this.#went(surface);
        this.#proofs.ask(surface, doubt);
      }
      return;
    }
    if (status?.ok === true) this.#changed(surface, this.#presence.status(surface, status.message));
    else if (leaf === 'birth') {
      const birth = decode(birthMessage, payload);
      if (birth.ok) this.#changed(surface, this.#presence.born(surface, birth.message.session));
    } else if (!isRetained) this.#askAfter(surface);
    this.#onMessage({ topic, payload, isRetained });
  }

  #went(surface: string): void {
    this.#changed(surface, this.#presence.went(surface));
  }

  #changed(surface: string, change: 'came' | 'went' | null): void {
    if (change !== null) this.#onSession(surface, change === 'came');
  }
}
