/**
 * One MQTT connection, used once, for surfaces and for gateways on a broker of others. mqtt.js' own reconnecting is off: it
 * repeats stored messages, stops for good after a refused CONNECT, has no back-off, and can latch shut (mqttjs/MQTT.js #1947,
 * Koenkk/zigbee2mqtt #33150). A new client for each connection has no store to replay and nothing to latch.
 */
import type { Duplex } from 'node:stream';
import { MqttClient } from 'mqtt';
import { FrameGuard } from './framing.ts';

/** How long a graceful end may take, milliseconds. */
const farewellMs = 1000;

/** A retained message of QoS 1. */
export interface Testament {
  readonly topic: string;
  readonly payload: Buffer;
}

export interface MqttLineOptions {
  /** Opens the way to the broker; whatever it throws ends the attempt. Errors of the socket are told to `onError`. */
  readonly open: (onError: (error: Error) => void) => Duplex;
  readonly clientId: string;
  /** Null: the certificate alone says who it is. */
  readonly login: { readonly username: string; readonly password: string } | null;
  /** Published by the broker when the connection ends otherwise than by {@link MqttLine.close}; null: nothing. */
  readonly will: Testament | null;
  readonly filters: readonly string[];
  readonly keepaliveSeconds: number;
  /** From the start to the granted subscriptions; whatever hangs, hangs no longer. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly onMessage: (topic: string, payload: Buffer, isRetained: boolean) => void;
  /** Called once, when an opened connection has ended by itself. */
  readonly onClosed: (reason: string) => void;
}

export interface MqttLine {
  /**
   * Sends now or never. `done` is called with null when it was sent or, with QoS 1, when the broker has it, and with an
   * error when the connection has gone before.
   */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly qos: 0 | 1; readonly isRetained: boolean },
    done: (error: Error | null) => void,
  ): void;
  /** Says good-bye by a retained message, so that no will is published, and ends. */
  close(farewell: Testament | null): Promise<void>;
  /** Drops it at once, with all that it had not sent. */
  discard(): void;
}

/** Connects and subscribes with QoS 1. Rejects with what the socket or the broker said. */
export function openMqttLine(options: MqttLineOptions): Promise<MqttLine> {
  return new Promise((resolve, reject) => {
    let cause: Error | null = null;
    let phase: 'opening' | 'open' | 'over' = 'opening';
    let socket: Duplex | null = null;

    // What `open` throws, such as for a key that cannot be read, is thrown here, and so rejects.
    const client = new MqttClient(
      () => {
        socket = options.open((error) => {
          cause ??= error;
        });
        return socket;
      },
      {
        clientId: options.clientId,
        ...(options.login !== null && options.login),
        protocolVersion: 4,
        clean: true,
        keepalive: options.keepaliveSeconds,
        connectTimeout: options.deadlineMs,
        reconnectPeriod: 0,
        queueQoSZero: false,
        resubscribe: false,
        ...(options.will !== null && { will: { ...options.will, qos: 1 as const, retain: true } }),
      },
    );

    const drop = (): void => {
      phase = 'over';
      clearTimeout(deadline);
      options.signal.removeEventListener('abort', aborted);
      client.removeAllListeners('message');
      client.end(true);
      socket?.destroy();
    };
    const fail = (error: Error): void => {
      if (phase !== 'opening') return;
      drop();
      reject(error);
    };
    const aborted = (): void => fail(new Error('stopped'));
    const deadline = setTimeout(
      () => fail(new Error(`no answer within ${options.deadlineMs} ms`)),
      options.deadlineMs,
    );
    options.signal.addEventListener('abort', aborted);
    if (options.signal.aborted) aborted();

    // Stays for ever: mqtt.js emits errors after its end, and an unheard one ends the process.
    client.on('error', (error) => {
      cause ??= error;
      fail(error);
    });
    client.on('close', () => {
      fail(cause ?? new Error('connection closed by the gateway'));
      if (phase !== 'open') return;
      drop();
      options.onClosed(cause?.message ?? 'connection closed');
    });
    client.on('message', (topic, payload, packet) => options.onMessage(topic, payload, packet.retain));
    const opened = (): void => {
      if (phase !== 'opening') return;
      phase = 'open';
      clearTimeout(deadline);
      options.signal.removeEventListener('abort', aborted);
      resolve(line);
    };
    client.on('connect', () => {
      if (options.filters.length === 0) return opened();
      client.subscribe([...options.filters], { qos: 1 }, (error) => {
        if (error) fail(error);
        opened();
      });
    });

    const line: MqttLine = {
      publish: (topic, payload, { qos, isRetained }, done) => {
        if (phase !== 'open') return done(new Error('no connection'));
        client.publish(topic, Buffer.from(payload), { qos, retain: isRetained }, (error) =>
          done(error ?? null),
        );
      },
      close: async (farewell) => {
        if (phase !== 'open') return;
        phase = 'over';
        await new Promise<void>((done) => {
          const giveUp = setTimeout(done, farewellMs);
          client.once('close', () => {
            clearTimeout(giveUp);
            done();
          });
          if (farewell === null) client.end();
          else client.publish(farewell.topic, farewell.payload, { qos: 1, retain: true }, () => client.end());
        });
        drop();
      },
      discard: drop,
    };
  });
}

/**
 * A limit on packets in front of a parser that has none; what is longer ends the connection.
 * To be called before mqtt.js has the socket, so that it sees every chunk first.
 */
export function limitPackets(socket: Duplex, maxPacketBytes: number): void {
  const guard = new FrameGuard(() => maxPacketBytes);
  socket.on('data', (chunk: Buffer) => {
    const problem = guard.check(chunk);
    if (problem !== null) socket.destroy(new Error(problem));
  });
}
