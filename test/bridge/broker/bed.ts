/** A broker with its own CA for one test, and clients for it. */

import pino from 'pino';
import type { Test } from 'tap';
import { type Broker, type BrokerOptions, startBroker } from '../../../daemon/bridge/broker/broker.ts';
import type { BusMessage } from '../../../daemon/bridge/wire/bus.ts';
import { type Clock, systemClock } from '../../../daemon/clock.ts';
import { type Authority, createAuthority, type Issued, identify } from '../pki.ts';
import { RawClient } from './raw-client.ts';

export const authority = await createAuthority('test CA');
export const strangers = await createAuthority('other CA');
const server = await authority.server();
const issued = new Map<string, Promise<Issued>>();

/** A clock that a test can move. */
export class MovableClock implements Clock {
  aheadMs = 0;
  /** How far somebody has set the wall clock back. */
  setBackMs = 0;
  now(): number {
    return systemClock.now() + this.aheadMs - this.setBackMs;
  }
  monotonic(): number {
    return systemClock.monotonic() + this.aheadMs;
  }
}

export interface LogLine {
  readonly msg: string;
  readonly source?: string;
  readonly reason?: string;
}

export interface Bed {
  readonly broker: Broker;
  readonly clock: MovableClock;
  readonly messages: BusMessage[];
  readonly sessions: [string, boolean][];
  readonly lines: LogLine[];
  /** Resolves when `isTrue` is; looked at after every message, session change and log line. */
  until(isTrue: () => boolean): Promise<void>;
  /** A client with a certificate for the surface (or of another CA, or none), TLS done unless refused. */
  client(surface: string | null, from?: Authority): Promise<RawClient>;
  /** A client that is connected and subscribed as a surface should be. */
  surface(name: string): Promise<RawClient>;
}

export async function startBed(t: Test, options: Partial<BrokerOptions> = {}): Promise<Bed> {
  const clock = new MovableClock();
  const messages: BusMessage[] = [];
  const sessions: [string, boolean][] = [];
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const log = pino(
    { level: 'debug' },
    {
      write: (line: string) => {
        lines.push(JSON.parse(line));
        wake();
      },
    },
  );
  const broker = await startBroker({
    host: '127.0.0.1',
    port: 0,
    site: 'site',
    gateway: 'gw',
    serverKeyPem: server.keyPem,
    serverCertificatePem: server.certificatePem,
    clientCaPem: authority.caPem,
    maxConnections: 100,
    identify,
    isAllowed: () => true,
    clock,
    log,
    ...options,
  });
  broker.onMessage((message) => {
    messages.push(message);
    wake();
  });
  broker.onSession((surface, isConnected) => {
    sessions.push([surface, isConnected]);
    wake();
  });
  const clients: RawClient[] = [];
  t.teardown(async () => {
    for (const each of clients) each.end();
    await broker.close();
  });
  const client = async (surface: string | null, from = authority): Promise<RawClient> => {
    let certificate: Issued | null = null;
    if (surface !== null) {
      const key = `${from === authority} ${surface}`;
      if (!issued.has(key)) issued.set(key, from.client(surface));
      certificate = (await issued.get(key)) ?? null;
    }
    const raw = new RawClient(broker.port, authority.caPem, certificate);
    clients.push(raw);
    await Promise.race([raw.secure().catch(() => {}), raw.closed]);
    return raw;
  };
  return {
    broker,
    clock,
    messages,
    sessions,
    lines,
    client,
    surface: async (name) => {
      const raw = await client(name);
      const code = await raw.connect({ clientId: name });
      if (code !== 0) throw new Error(`CONNACK ${code}`);
      await raw.subscribe(`surfaced/v1/site/${name}/down/#`, 'surfaced/v1/site/_gw/+/status');
      return raw;
    },
    until: (isTrue) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!isTrue()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
