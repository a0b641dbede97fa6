/**
 * One MQTT connection, used once. mqtt.js' own reconnecting is off: it repeats stored commands, stops for good
 * after a refused CONNECT, has no back-off, and can latch shut (mqttjs/MQTT.js #1947, Koenkk/zigbee2mqtt #33150).
 * A new client for each connection has no store to replay and nothing to latch.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { MqttClient } from 'mqtt';
import type { Credentials } from '../../attest/types.ts';
import { SurfacedError } from '../../errors.ts';
import { serverProblem } from '../../gateway-certificate.ts';
import { FrameGuard } from '../wire/framing.ts';
import { surfaceFilters, upTopic } from '../wire/topics.ts';

/** Largest packet that is taken from a broker, bytes: payload limit, topic, headers. */
const maxPacketBytes = 8192;

/** How long a graceful end may take, milliseconds. */
const farewellMs = 1000;

export interface ConnectionOptions {
  readonly credentials: Credentials;
  /** Published by the broker when the connection ends otherwise than by {@link Connection.close}. */
  readonly will: Buffer;
  readonly keepaliveSeconds: number;
  /** From the start to the granted subscriptions; whatever hangs, hangs no longer. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly onMessage: (topic: string, payload: Buffer, isRetained: boolean) => void;
  /** Called once, when an opened connection has ended by itself. */
  readonly onClosed: (reason: string) => void;
}

export interface Connection {
  /** Sends now or never. */
  publish(
    topic: string,
    payload: Buffer,
    options: { readonly qos: 0 | 1; readonly isRetained: boolean },
  ): void;
  /** Says good-bye with a retained status, so that no will is published, and ends. */
  close(farewell: Buffer): Promise<void>;
  /** Drops it at once, with all that it had not sent. */
  discard(): void;
}

/** Connects and subscribes. @throws SurfacedError E_LINK_CONNECT, E_LINK_REFUSED */
export function openConnection(options: ConnectionOptions): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const { credentials } = options;
    const { host, port } = credentials.broker;
    const statusTopic = upTopic(credentials.site, credentials.surface, 'status');
    let cause: Error | null = null;
    let phase: 'opening' | 'open' | 'over' = 'opening';
    let socket: TLSSocket | null = null;

    // A key or certificate that cannot be read throws here, and so rejects.
    const client = new MqttClient(
      () => {
        try {
          socket = openSocket(credentials, (error) => {
            cause ??= error;
          });
        } catch (error) {
          throw explain(error as Error, host, port);
        }
        return socket;
      },
      {
        clientId: credentials.surface,
        protocolVersion: 4,
        clean: true,
        keepalive: options.keepaliveSeconds,
        connectTimeout: options.deadlineMs,
        reconnectPeriod: 0,
        queueQoSZero: false,
        resubscribe: false,
        will: { topic: statusTopic, payload: options.will, qos: 1, retain: true },
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
      reject(explain(error, host, port));
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
    client.on('connect', () => {
      const filters = [...surfaceFilters(credentials.site, credentials.surface)];
      client.subscribe(filters, { qos: 1 }, (error) => {
        if (error) fail(error);
        if (phase !== 'opening') return;
        phase = 'open';
        clearTimeout(deadline);
        options.signal.removeEventListener('abort', aborted);
        resolve(connection);
      });
    });

    const connection: Connection = {
      publish: (topic, payload, { qos, isRetained }) => {
        if (phase !== 'open') return;
        // The error is that the connection went away, which `close` tells.
        client.publish(topic, payload, { qos, retain: isRetained }, () => {});
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
          client.publish(statusTopic, farewell, { qos: 1, retain: true }, () => client.end());
        });
        drop();
      },
      discard: drop,
    };
  });
}

/**
 * Mutual TLS 1.3 to the gateway, with a limit on packets in front of a parser that has none. Nothing but the handshake is
 * sent before the other end is known to be the gateway.
 */
function openSocket(credentials: Credentials, onError: (error: Error) => void): TLSSocket {
  const { host, port } = credentials.broker;
  const authority = new X509Certificate(credentials.caPem);
  const socket = connectTls({
    host,
    port,
    cert: credentials.certificatePem,
    key: credentials.privateKeyPem,
    minVersion: 'TLSv1.3',
    // OpenSSL would ask the clock of this machine; see below.
    rejectUnauthorized: false,
    // RFC 6066, section 3: no addresses in SNI.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
  socket.setNoDelay(true);
  socket.cork();
  socket.once('secureConnect', () => {
    const leaf = socket.getPeerX509Certificate();
    const problem = leaf === undefined ? 'it shows no certificate' : serverProblem(leaf, authority, host);
    if (problem === null) socket.uncork();
    else socket.destroy(Object.assign(new Error(problem), { code: 'ERR_GATEWAY_CERTIFICATE' }));
  });
  const guard = new FrameGuard(() => maxPacketBytes);
  socket.on('error', onError);
  // Registered before mqtt.js pipes, so that it sees every chunk first.
  socket.on('data', (chunk: Buffer) => {
    const problem = guard.check(chunk);
    if (problem !== null) socket.destroy(new Error(problem));
  });
  return socket;
}

function explain(cause: Error, host: string, port: number): SurfacedError {
  const code = 'code' in cause ? cause.code : null;
  // CONNACK codes are 1 to 5 (MQTT 3.1.1, table 3.1), SUBACK failure is 128; a refused certificate is an alert.
  const isRefused =
    typeof code === 'number' || (typeof code === 'string' && /ALERT|CERT|SELF_SIGNED|VERIFY/.test(code));
  return new SurfacedError(
    isRefused ? 'E_LINK_REFUSED' : 'E_LINK_CONNECT',
    `gateway ${host}:${port}: ${cause.message}`,
    { cause },
  );
}
