/** The connection of a surface to its gateway: mutual TLS 1.3 to what the pinned CA vouches for. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Credentials } from '../../attest/types.ts';
import { SurfacedError } from '../../errors.ts';
import { serverProblem } from '../../gateway-certificate.ts';
import { limitPackets, openMqttLine } from '../wire/mqtt-line.ts';
import { surfaceFilters, upTopic } from '../wire/topics.ts';

/** Largest packet that is taken from a broker, bytes: payload limit, topic, headers. */
const maxPacketBytes = 8192;

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
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { credentials } = options;
  const { host, port } = credentials.broker;
  const topic = upTopic(credentials.site, credentials.surface, 'status');
  try {
    const line = await openMqttLine({
      ...options,
      open: (onError) => openSocket(credentials, onError),
      clientId: credentials.surface,
      login: null,
      will: { topic, payload: options.will },
      filters: surfaceFilters(credentials.site, credentials.surface),
    });
    return {
      // The error is that the connection went away, which `onClosed` tells.
      publish: (to, payload, how) => line.publish(to, payload, how, () => {}),
      close: (farewell) => line.close({ topic, payload: farewell }),
      discard: () => line.discard(),
    };
  } catch (error) {
    throw explain(error as Error, host, port);
  }
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
  socket.on('error', onError);
  limitPackets(socket, maxPacketBytes);
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
