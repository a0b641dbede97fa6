/**
 * The Pi's end of the relay: turns what comes from the gateway into inputs of the surface, and intents into
 * commands. What cannot be sent now is never sent: it gets its end here and at once.
 */
import type { Credentials, Level } from '../../attest/types.ts';
import type { PartHealth } from '../../health.ts';
import type { Ack, Intent, LinkState, SurfaceInput } from '../../surface/types.ts';
import {
  ackMessage,
  type CtlMessage,
  ctlMessage,
  type Decoded,
  decode,
  gatewayStatusMessage,
  slotMessage,
  type UpdateReport,
} from '../wire/messages.ts';
import { parseTopic, type UpLeaf, upTopic } from '../wire/topics.ts';
import { Commands, localEnd } from './commands.ts';
import { GatewayWatch } from './gateway-watch.ts';
import { Inbox } from './inbox.ts';
import { encodeBirth, encodeCertificate, encodeCommand, encodeStatus, encodeTele } from './outgoing.ts';
import { defaultTiming, type LinkTiming } from './timing.ts';
import { TouchTraces } from './touch-traces.ts';
import type { Link, LinkOptions, LinkStatus } from './types.ts';
import type { WantedUpdate } from './updater.ts';
import { type Line, Uplink } from './uplink.ts';

export type { Link, LinkOptions, LinkStatus };

type LinkInput = Extract<SurfaceInput, { type: 'link' }>;

/** Makes a link; it does nothing before `start`. */
export const createLink = (options: LinkOptions): Link => new MqttLink(options);

class MqttLink implements Link {
  readonly #options: LinkOptions;
  readonly #timing: LinkTiming;
  readonly #uplink: Uplink;
  readonly #watch: GatewayWatch;
  readonly #commands: Commands;
  readonly #inbox = new Inbox();
  readonly #traces = new TouchTraces();
  readonly #counters = { connects: 0, losses: 0, commands: 0, acks: 0, slots: 0, bad: 0, dropped: 0 };
  readonly #badSeen = new Set<string>();
  #listener: (input: SurfaceInput) => void = () => {};
  #updateListener: (wanted: WantedUpdate) => void = () => {};
  #update: UpdateReport | null = null;
  /** By the certificate, and by what the gateway says of it. */
  #trust: { isCertified: boolean; level: Level | null; isTokenOnly: boolean } = {
    isCertified: false,
    level: null,
    isTokenOnly: false,
  };
  #shown: LinkInput | null = null;
  #heardAt = 0;
  #teleAt = 0;
  #tick: NodeJS.Timeout | null = null;
  /** A gateway has asked for the certificate. */
  #isShowing = false;
  #isStarted = false;
  #stopped: Promise<void> | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#watch = new GatewayWatch(this.#timing.beatIntervalMs);
    this.#commands = new Commands(this.#timing);
    this.#uplink = new Uplink({
      ...options,
      timing: this.#timing,
      will: (session) => encodeStatus(session, 'will', this.#unixMs()),
      onOpening: () => {
        this.#watch.awaitBeat();
        this.#inbox.restart();
        this.#traces.forget();
      },
      onMessage: (credentials, topic, payload, isRetained) =>
        this.#take(credentials, topic, payload, isRetained),
      onLine: (line) => this.#announce(line),
      onLost: () => {
        this.#counters.losses += 1;
        this.#commands.connectionLost(this.#now());
        this.#show();
      },
      onProblem: () => this.#show(),
    });
  }

  start(signal: AbortSignal): void {
    if (this.#isStarted || this.#stopped !== null || signal.aborted) return;
    this.#isStarted = true;
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    this.#teleAt = this.#now();
    this.#tick = setInterval(() => this.#onTick(), this.#timing.tickMs);
    this.#show();
    this.#uplink.start();
  }

  onInput(listener: (input: SurfaceInput) => void): void {
    this.#listener = listener;
  }

  onUpdate(listener: (wanted: WantedUpdate) => void): void {
    this.#updateListener = listener;
  }

  report(update: UpdateReport): void {
    this.#update = update;
    if (this.#uplink.line !== null) this.#sendUpdate(this.#uplink.line);
    this.#show();
  }

  stop(): Promise<void> {
    if (this.#tick !== null) clearInterval(this.#tick);
    this.#stopped ??= this.#uplink.stop((session) => encodeStatus(session, 'farewell', this.#unixMs()));
    return this.#stopped;
  }

  get state(): LinkState {
    return this.#current().state;
  }

  status(): LinkStatus {
    const { state, detail, isAttested } = this.#current();
    return {
      state,
      detail,
      isAttested,
      level: isAttested ? this.#trust.level : null,
      session: this.#uplink.line?.session ?? null,
      gatewaySession: this.#watch.session,
      attempts: this.#uplink.attempts,
      commandsUnderWay: this.#commands.size,
      counters: { ...this.#counters },
    };
  }

  health(): PartHealth {
    const { state, detail, isAttested, level } = this.status();
    const trust = isAttested ? `attested at level ${level}` : 'not attested';
    return { ok: state === 'online', detail: detail || `${state}, ${trust}` };
  }

  send(intent: Intent): void {
    const at = this.#now();
    const { line } = this.#uplink;
    const issuedAt = this.#watch.time(at);
    const { state, detail } = this.#current();
    if (line === null || issuedAt === null || state !== 'online') {
      this.#counters.dropped += 1;
      const ack = localEnd(intent.seq, 'NotConnected', detail || 'No connection to the gateway.');
      // Later, because the surface is still busy with what made the intent.
      queueMicrotask(() => this.#tell([ack]));
      return;
    }
    const { ttlMs } = this.#timing;
    const id = `${line.session}-${intent.seq}`;
    this.#counters.commands += 1;
    this.#commands.sent(id, intent.seq, ttlMs, at);
    const traceparent = this.#traces.next();
    this.#options.log.debug({ id, ...(traceparent !== null && { traceparent }) }, 'command sent');
    const payload = encodeCommand(id, intent, { issuedAt, ttlMs }, traceparent);
    this.#publish(line, 'cmd', payload, { qos: 1, isRetained: false });
  }

  // ---------------------------------------------------------------- to the gateway

  #publish(line: Line, leaf: UpLeaf, payload: Buffer, options: { qos: 0 | 1; isRetained: boolean }): void {
    const { site, surface } = line.credentials;
    line.connection.publish(upTopic(site, surface, leaf), payload, options);
  }

  #announce(line: Line): void {
    this.#counters.connects += 1;
    this.#heardAt = this.#now();
    const { trust, level } = line.credentials;
    this.#trust = { ...this.#trust, isCertified: trust === 'tpm', level };
    if (this.#isShowing) this.#showCertificate(line);
    const status = encodeStatus(line.session, 'online', this.#unixMs());
    this.#publish(line, 'status', status, { qos: 1, isRetained: true });
    this.#giveBirth(line);
    this.#show();
  }

  #showCertificate(line: Line): void {
    const payload = encodeCertificate(line.credentials.certificatePem);
    this.#publish(line, 'certificate', payload, { qos: 1, isRetained: false });
  }

  #giveBirth(line: Line): void {
    const isSynced = this.#watch.time(this.#now()) !== null;
    const payload = encodeBirth(line.session, this.#options.birth, this.#unixMs(), isSynced);
    this.#publish(line, 'birth', payload, { qos: 1, isRetained: true });
    this.#sendUpdate(line);
  }

  #sendUpdate(line: Line): void {
    if (this.#update === null) return;
    const payload = encodeTele(this.#unixMs(), this.#counters, this.#update);
    this.#publish(line, 'tele', payload, { qos: 1, isRetained: false });
  }

  // ---------------------------------------------------------------- from the gateway

  #take(credentials: Credentials, topic: string, payload: Buffer, isRetained: boolean): void {
    const at = this.#now();
    this.#heardAt = at;
    // A cleared retained message says nothing.
    if (payload.length === 0) return;
    const address = parseTopic(topic);
    const isForUs =
      address?.site === credentials.site &&
      (address.direction === 'gateway' ||
        (address.direction === 'down' && address.surface === credentials.surface));
    if (!isForUs) {
      this.#bad('topic', 'not a topic for this surface');
      return;
    }
    const read = <T>(decoded: Decoded<T>, use: (message: T) => void): void => {
      if (decoded.ok) use(decoded.message);
      else this.#bad(address.leaf, decoded.problem);
    };
    switch (address.leaf) {
      case 'slot':
        read(decode(slotMessage, payload), (message) => {
          const view = this.#inbox.slot(address.slot, message, isRetained);
          if (view === null) return;
          this.#counters.slots += 1;
          this.#listener({ type: 'slot', slot: address.slot, view });
        });
        break;
      case 'ctl':
        read(decode(ctlMessage, payload), (message) => this.#control(message, credentials));
        break;
      case 'ack':
        read(decode(ackMessage, payload), (message) => {
          const ack = this.#commands.answered(message, at);
          if (ack !== null) this.#tell([ack]);
        });
        break;
      case 'status':
        read(decode(gatewayStatusMessage, payload), (message) => {
          const gateway = address.direction === 'gateway' ? address.gateway : '';
          if (this.#watch.take(gateway, message, isRetained, at)) this.#gatewayChanged();
          this.#show();
        });
        break;
      default:
        // up/ leaves, which are not for us.
        break;
    }
  }

  #control(message: CtlMessage, { caPem }: Credentials): void {
    switch (message.type) {
      case 'rebirth':
        if (this.#uplink.line !== null) this.#giveBirth(this.#uplink.line);
        break;
      case 'renew':
        this.#options.log.info({ reason: message.reason }, 'gateway asks for a new certificate');
        this.#options.credentials.renew();
        break;
      case 'update': {
        const { version, manifestSha256 } = message;
        this.#updateListener({ version, manifestSha256, caPem });
        break;
      }
      case 'tracing':
        this.#traces.want();
        break;
      case 'served':
        if (this.#watch.served(message.gateway, message.session)) this.#gatewayChanged();
        this.#show();
        break;
      case 'unserved':
        this.#watch.unserved(message.session);
        this.#show();
        break;
      case 'show-certificate':
        this.#isShowing = true;
        if (this.#uplink.line !== null) this.#showCertificate(this.#uplink.line);
        break;
      case 'verbs':
        this.#inbox.verbs(message);
        break;
      case 'bindings': {
        this.#traces.forget();
        this.#watch.bound();
        const all = this.#inbox.bindings(message);
        if (all === null) break;
        this.#trust = { ...this.#trust, isTokenOnly: all.trust === 'token' };
        if (all.isChanged) this.#listener({ type: 'bindings', bindings: all.bindings });
        this.#show();
        break;
      }
    }
  }

  /** Whoever serves now follows nothing of before, and numbers its messages anew. */
  #gatewayChanged(): void {
    this.#inbox.restart();
    this.#tell(this.#commands.gatewayChanged());
  }

  #tell(acks: readonly Ack[]): void {
    for (const ack of acks) {
      this.#counters.acks += 1;
      this.#listener({ type: 'ack', ack });
    }
  }

  #bad(what: string, problem: string): void {
    this.#counters.bad += 1;
    if (this.#badSeen.has(what)) return;
    this.#badSeen.add(what);
    this.#options.log.warn({ what, problem }, 'message refused; more of the kind are only counted');
  }

  // ---------------------------------------------------------------- state

  #now(): number {
    return this.#options.clock.monotonic();
  }

  /** By the gateway's clock if it is known: a Pi has none of its own that survives a power cut. */
  #unixMs(): number {
    return this.#watch.time(this.#now()) ?? Math.max(0, Math.round(this.#options.clock.now()));
  }

  #current(): LinkInput {
    const { isUp } = this.#uplink;
    const problem = isUp ? this.#watch.problem(this.#now()) : this.#uplink.problem;
    const { isCertified, isTokenOnly } = this.#trust;
    return {
      type: 'link',
      state: isUp ? (problem === null ? 'online' : 'stale') : 'offline',
      detail: problem ?? updateWords(this.#update),
      isAttested: isCertified && !isTokenOnly,
      fault: isUp ? null : this.#uplink.fault,
    };
  }

  /** Tells the surface when something is different. */
  #show(): void {
    const next = this.#current();
    const last = this.#shown;
    const isSame =
      last?.state === next.state &&
      last.detail === next.detail &&
      last.isAttested === next.isAttested &&
      last.fault === next.fault;
    if (isSame || this.#stopped !== null) return;
    this.#shown = next;
    this.#listener(next);
  }

  #onTick(): void {
    const at = this.#now();
    this.#tell(this.#commands.due(at));
    this.#show();
    const { line } = this.#uplink;
    if (line === null) return;
    if (at - this.#heardAt > this.#timing.silenceMs) {
      this.#uplink.giveUp('nothing heard for too long');
      return;
    }
    if (at - this.#teleAt < this.#timing.teleIntervalMs) return;
    this.#teleAt = at;
    this.#publish(line, 'tele', encodeTele(this.#unixMs(), this.#counters, null), {
      qos: 0,
      isRetained: false,
    });
  }
}

/** What a person at the panel should know of an update; empty: nothing. */
function updateWords(update: UpdateReport | null): string {
  if (update?.state === 'installing') return `Installing ${update.version}.`;
  return update?.state === 'restarting' ? `Will restart with ${update.version}.` : '';
}
