/** An MQTT client that does whatever a test tells it: packets and bytes over mutual TLS, no manners. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { parser as createParser, generate, type Packet } from 'mqtt-packet';
import type { Issued } from '../pki.ts';

export interface ConnectFields {
  readonly clientId: string;
  readonly clean?: boolean;
  readonly keepalive?: number;
  readonly protocolVersion?: 3 | 4 | 5;
  readonly will?: { topic: string; payload: string; qos?: 0 | 1 | 2; retain?: boolean };
}

export class RawClient {
  readonly socket: TLSSocket;
  readonly packets: Packet[] = [];
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #waiting = new Set<() => void>();

  constructor(port: number, caPem: string, certificate: Issued | null) {
    this.socket = connect({
      host: '127.0.0.1',
      port,
      ca: caPem,
      ...(certificate ? { key: certificate.keyPem, cert: certificate.certificatePem } : {}),
    });
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    const parser = createParser({ protocolVersion: 4 });
    parser.on('packet', (packet) => {
      this.packets.push(packet);
      for (const wake of this.#waiting) wake();
    });
    this.socket.on('data', (chunk) => parser.parse(chunk));
  }

  async secure(): Promise<void> {
    await once(this.socket, 'secureConnect');
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet));
  }

  /** Sends CONNECT and waits for CONNACK; its return code, or null when the connection was closed instead. */
  async connect(fields: ConnectFields): Promise<number | null> {
    this.send({
      cmd: 'connect',
      protocolId: fields.protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: fields.protocolVersion ?? 4,
      clientId: fields.clientId,
      clean: fields.clean ?? true,
      keepalive: fields.keepalive ?? 60,
      ...(fields.will ? { will: { qos: 1, retain: true, ...fields.will } } : {}),
    } as Packet);
    const packet = await this.next((each) => each.cmd === 'connack');
    if (packet === null) return null;
    return packet.cmd === 'connack' ? (packet.returnCode ?? packet.reasonCode ?? -1) : -1;
  }

  publish(
    topic: string,
    payload: string | Buffer,
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {},
  ): void {
    this.send({
      cmd: 'publish',
      topic,
      payload,
      qos: options.qos ?? 1,
      retain: options.retain ?? false,
      dup: false,
      messageId: this.#nextId(),
    });
  }

  /** Subscribes and returns what was granted. */
  async subscribe(...topics: string[]): Promise<readonly number[]> {
    const messageId = this.#nextId();
    this.send({ cmd: 'subscribe', messageId, subscriptions: topics.map((topic) => ({ topic, qos: 1 })) });
    const packet = await this.next((each) => each.cmd === 'suback' && each.messageId === messageId);
    return packet?.cmd === 'suback' ? (packet.granted as number[]) : [];
  }

  /** Sends PINGREQ and waits: everything sent before has been handled then. */
  async ping(): Promise<void> {
    const pings = () => this.packets.filter((each) => each.cmd === 'pingresp').length;
    const before = pings();
    this.send({ cmd: 'pingreq' });
    await this.next(() => pings() > before);
  }

  /** The first packet that fits, come or coming; null when the connection closes without one. */
  async next(fits: (packet: Packet) => boolean): Promise<Packet | null> {
    for (;;) {
      const found = this.packets.find(fits);
      if (found !== undefined) return found;
      if (this.socket.destroyed) return null;
      let wake = (): void => {};
      const arrived = new Promise<void>((resolve) => {
        wake = resolve;
      });
      this.#waiting.add(wake);
      await Promise.race([arrived, this.closed]);
      this.#waiting.delete(wake);
    }
  }

  topics(): string[] {
    return this.packets.flatMap((each) => (each.cmd === 'publish' ? [each.topic] : []));
  }

  end(): void {
    this.socket.destroy();
  }

  #lastId = 0;
  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}
