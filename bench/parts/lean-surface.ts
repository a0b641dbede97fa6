/**
 * A surface as its gateway sees it, lean enough for thousands in one process: the bytes of MQTT and the messages of the link
 * over mutual TLS, with the link's own back-off, heartbeat answers, keepalive and telemetry, and no panel behind it.
 */
import { randomBytes } from 'node:crypto';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import {
  encodeBirth,
  encodeCertificate,
  encodeStatus,
  encodeTele,
} from '../../daemon/bridge/link/outgoing.ts';
import { backOffMs, defaultTiming } from '../../daemon/bridge/link/timing.ts';
import { type AckMessage, type CommandMessage, encode } from '../../daemon/bridge/wire/messages.ts';
import { surfaceFilters, upTopic, wireVersion } from '../../daemon/bridge/wire/topics.ts';
import { type KeyPair, site } from '../certificates.ts';
import { sharedNow } from '../processes.ts';

const host = '127.0.0.1';
const largestIdentifier = 0xffff;
const ignore = (): void => {};

/** A gateway that has just started does not know all targets yet: it says so, and nobody can turn anything. */
const isUnknown = (text: string): boolean => /"state":"(?:unknown|unreachable)"/.test(text);

/** What a surface is told, as far as the bench looks at it. */
export interface Heard {
  /** Bindings and every slot, with what its target is, have come since {@link LeanSurface.expectService}. */
  served(surface: LeanSurface): void;
  ack(surface: LeanSurface, ack: AckMessage): void;
  /** A slot that was sent now, not one that a broker has kept; `text` is the message as it came. */
  slot(surface: LeanSurface, slot: number, text: string): void;
}

export interface LeanOptions extends KeyPair {
  readonly name: string;
  readonly ca: string;
  readonly port: number;
  /** Names of its controls; the slots of its bindings are numbered in this order. */
  readonly controls: readonly string[];
  readonly heard: Heard;
}

/** One of thousands of surfaces. */
export class LeanSurface {
  readonly name: string;
  /** When it was served, on the clock of {@link sharedNow}; NaN: not yet. */
  servedAt = Number.NaN;
  /** Attempts to connect that came to nothing. */
  failures = 0;
  readonly #options: LeanOptions;
  readonly #context: SecureContext;
  #socket: TLSSocket | null = null;
  #session = '';
  #attempts = 0;
  #identifier = 0;
  #isStopped = false;
  /** It has asked for its topics and been granted them. */
  #isOpen = false;
  #deadline: NodeJS.Timeout | null = null;
  #keepalive: NodeJS.Timeout | null = null;
  #retry: NodeJS.Timeout | null = null;
  #pings = 0;
  #commands = 0;
  /** Parts of the bindings that have come, and slots that have not; null: bindings first. */
  #parts = 0;
  #missing: Set<number> | null = null;

  constructor(options: LeanOptions) {
    this.name = options.name;
    this.#options = options;
    // A surface reads its files for each connection; here the bytes wait, so that not these are what takes time.
    this.#context = createSecureContext({
      ...{ ca: options.ca, cert: options.cert, key: options.key },
      minVersion: 'TLSv1.3',
    });
  }

  /** Connects now, and again until {@link stop}. */
  connect(): void {
    if (this.#isStopped) return;
    this.#session = randomBytes(8).toString('hex');
    this.#isOpen = false;
    const socket = connect({ host, port: this.#options.port, secureContext: this.#context });
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', ignore);
    socket.once('close', () => this.#lost());
    socket.once('secureConnect', () => this.#hello(socket));
    this.#deadline = setTimeout(() => socket.destroy(), defaultTiming.connectDeadlineMs);
  }

  /** Ends without a farewell. */
  stop(): void {
    this.#isStopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  /** From now on it counts as served only when it has been served anew. */
  expectService(): void {
    this.servedAt = Number.NaN;
    this.#parts = 0;
    this.#missing = null;
  }

  /** Sends a command as the link does. @returns its id; null: there is no connection, so nothing is sent */
  command(slot: number, want: number, saw: number): string | null {
    if (!this.#isOpen) return null;
    const message: CommandMessage = {
      ...{ v: wireVersion, id: `${this.#session}-${++this.#commands}`, slot, want, saw },
      ...{ issuedAt: Date.now(), ttlMs: defaultTiming.ttlMs },
    };
    this.#publish('cmd', encode(message), 1, false);
    return message.id;
  }

  #hello(socket: TLSSocket): void {
    const read = parser({ protocolVersion: 4 });
    read.on('packet', (packet: Packet) => this.#take(packet));
    read.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      // Answers to all that came together leave together.
      socket.cork();
      read.parse(chunk);
      socket.uncork();
    });
    const topic = upTopic(site, this.name, 'status');
    this.#write({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: this.name },
      keepalive: defaultTiming.keepaliveSeconds,
      will: { topic, payload: encodeStatus(this.#session, 'will', Date.now()), qos: 1, retain: true },
    });
  }

  #lost(): void {
    for (const timer of [this.#deadline, this.#keepalive]) if (timer !== null) clearTimeout(timer);
    if (this.#isStopped) return;
    if (!this.#isOpen) this.failures++;
    this.#isOpen = false;
    const waitMs = backOffMs(this.#attempts++, defaultTiming, Math.random);
    this.#retry = setTimeout(() => this.connect(), waitMs);
  }

  #take(packet: Packet): void {
    switch (packet.cmd) {
      case 'connack':
        if (packet.returnCode !== 0) this.#socket?.destroy();
        else {
          const subscriptions = surfaceFilters(site, this.name).map((topic) => ({ topic, qos: 1 as const }));
          this.#write({ cmd: 'subscribe', messageId: this.#nextIdentifier(), subscriptions });
        }
        return;
      case 'suback':
        this.#opened();
        return;
      case 'publish':
        if (packet.qos === 1) this.#write({ cmd: 'puback', messageId: packet.messageId! });
        this.#hear(packet);
        return;
      default:
    }
  }

  #opened(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#isOpen = true;
    this.#publish('status', encodeStatus(this.#session, 'online', Date.now()), 1, true);
    this.#giveBirth();
    this.#keepalive = setInterval(() => {
      this.#write({ cmd: 'pingreq' });
      if (++this.#pings % 2 === 0) {
        const counters = { connects: 1, slots: 1, acks: this.#commands };
        this.#publish('tele', encodeTele(Date.now(), counters, null), 0, false);
      }
    }, defaultTiming.keepaliveSeconds * 1000);
  }

  #giveBirth(): void {
    const controls = this.#options.controls.map((name) => ({ name, kind: 'encoder' as const }));
    const birth = { model: 'bench', firmware: '0.0.0', controls };
    this.#publish('birth', encodeBirth(this.#session, birth, Date.now(), true), 1, true);
  }

  #hear({ topic, payload, retain }: IPublishPacket): void {
    // `surfaced/v1/<site>/<surface>/down/<leaf>`; the gateway's status needs no answer.
    const [, , , , direction, leaf, slot] = topic.split('/');
    if (direction !== 'down' || payload.length === 0) return;
    const text = payload.toString();
    if (leaf === 'ack') this.#options.heard.ack(this, JSON.parse(text) as AckMessage);
    else if (leaf === 'ctl') this.#control(JSON.parse(text) as { type: string; parts?: number });
    else if (leaf === 'slot' && !retain) {
      this.#options.heard.slot(this, Number(slot), text);
      if (isUnknown(text)) return;
      if (this.#missing?.delete(Number(slot)) && this.#missing.size === 0) this.#served();
    }
  }

  #control({ type, parts = 0 }: { readonly type: string; readonly parts?: number }): void {
    if (type === 'rebirth') this.#giveBirth();
    else if (type === 'show-certificate') {
      this.#publish('certificate', encodeCertificate(this.#options.cert), 1, false);
    } else if (type === 'bindings' && Number.isNaN(this.servedAt)) {
      this.#parts++;
      if (this.#parts >= parts) this.#missing = new Set(this.#options.controls.keys());
    }
  }

  #served(): void {
    this.servedAt = sharedNow();
    this.#missing = null;
    this.#attempts = 0;
    this.#options.heard.served(this);
  }

  #publish(leaf: Parameters<typeof upTopic>[2], payload: Buffer, qos: 0 | 1, retain: boolean): void {
    const topic = upTopic(site, this.name, leaf);
    const messageId = qos === 0 ? {} : { messageId: this.#nextIdentifier() };
    this.#write({ cmd: 'publish', topic, payload, qos, retain, dup: false, ...messageId });
  }

  #nextIdentifier(): number {
    this.#identifier = (this.#identifier % largestIdentifier) + 1;
    return this.#identifier;
  }

  #write(packet: Packet): void {
    this.#socket?.write(generate(packet));
  }
}
