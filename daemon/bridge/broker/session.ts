/** One connection of a surface: what it is, and what it may still cost. */
import type { TLSSocket } from 'node:tls';
import type { Client, Connection } from 'aedes';
import type { Identity } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import { FrameGuard } from '../wire/framing.ts';
import { type Rate, TokenBucket } from './limits.ts';

/** Bounds on one client; the defaults are far above what a surface with 64 slots needs. */
export interface BrokerLimits {
  /** Largest MQTT packet before and after CONNECT was accepted, bytes. */
  readonly maxConnectBytes: number;
  readonly maxPacketBytes: number;
  /** MQTT packets of any kind; more closes the connection. */
  readonly packets: Rate;
  /** Publishes and subscriptions; more is dropped and answered. */
  readonly messages: Rate;
  /** Answers to what was dropped. */
  readonly answers: Rate;
  /** Connections of one surface. */
  readonly connects: Rate;
  readonly maxSocketsPerSurface: number;
  readonly maxUnfinishedHandshakes: number;
  readonly handshakeTimeoutMs: number;
  /** From the end of the TLS handshake to CONNECT. */
  readonly connectTimeoutMs: number;
  /** Most bytes that may wait for a client that does not read; all slots of a surface are a quarter of it. */
  readonly maxBacklogBytes: number;
  /** How long a client may leave everything unread before it is closed. */
  readonly drainTimeoutMs: number;
}

/** What README.md of this folder documents. */
export const defaultLimits: BrokerLimits = {
  maxConnectBytes: 2048,
  maxPacketBytes: 8192,
  packets: { burst: 2000, perSecond: 500 },
  messages: { burst: 100, perSecond: 50 },
  answers: { burst: 5, perSecond: 1 },
  connects: { burst: 10, perSecond: 0.5 },
  maxSocketsPerSurface: 4,
  maxUnfinishedHandshakes: 256,
  handshakeTimeoutMs: 5000,
  connectTimeoutMs: 5000,
  maxBacklogBytes: 1_048_576,
  drainTimeoutMs: 2000,
};

/** A TLS connection with a surface's certificate, from the handshake to its end. */
export class Session {
  readonly identity: Identity;
  readonly socket: TLSSocket;
  readonly messages: TokenBucket;
  readonly answers: TokenBucket;
  readonly #clock: Clock;
  /** End of the certificate, monotonic milliseconds. */
  readonly #endsAt: number;

  constructor(identity: Identity, socket: TLSSocket, limits: BrokerLimits, clock: Clock) {
    this.identity = identity;
    this.socket = socket;
    this.messages = new TokenBucket(limits.messages, clock);
    this.answers = new TokenBucket(limits.answers, clock);
    this.#clock = clock;
    this.#endsAt = clock.monotonic() + (identity.notAfter - clock.now());
  }

  get surface(): string {
    return this.identity.surface;
  }

  /** True when the certificate has ended by either clock: one that is set back must not make it live longer. */
  get isOutOfDate(): boolean {
    return this.identity.notAfter <= this.#clock.now() || this.#endsAt <= this.#clock.monotonic();
  }
}

/**
 * Closes a client whose packets are too large or too many. The broker's own parser buffers any length, before
 * CONNECT too (moscajs/aedes #831). `data` is emitted before `read` returns the chunk to that parser, and
 * aedes' close detaches it, so that nothing of an oversized packet is acted upon.
 */
export function guardPackets(
  client: Client,
  connection: Connection,
  limits: BrokerLimits,
  clock: Clock,
): void {
  const guard = new FrameGuard(() => (client.connected ? limits.maxPacketBytes : limits.maxConnectBytes));
  const packets = new TokenBucket(limits.packets, clock);
  connection.on('data', (chunk: Buffer) => {
    const before = guard.packets;
    const problem = guard.check(chunk);
    if (problem !== null) client.emit('error', new Error(problem));
    else if (!packets.take(guard.packets - before)) client.emit('error', new Error('too many MQTT packets'));
  });
}
