/** The way to an external broker: mutual TLS, and errors in words that name the address. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SurfacedError } from '../../errors.ts';
import { limitPackets, type MqttLine, type MqttLineOptions, openMqttLine } from '../wire/mqtt-line.ts';
import { segmentPattern } from '../wire/topics.ts';

/**
 * Largest packet that is taken from the broker, bytes. Far above what a surface may send: a broker that lets a hostile one
 * send more must not lose the gateway its connection for each of them.
 */
const maxPacketBytes = 1_048_576;

/** What the gateway shows to the broker and expects of it, PEM. */
export interface BrokerTls {
  /** The only CAs that the broker's certificate may be of. */
  readonly caPem: string;
  /** Null: the broker knows the gateway by its password. */
  readonly client: { readonly certificatePem: string; readonly keyPem: string } | null;
}

/** @param url `mqtts://host:port` */
export function addressOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 8883 : Number(port) };
}

/**
 * The name by which a broker knows whoever shows this certificate: its CN. Null: it has none.
 * A name that a surface could have is refused, because then that surface would have the rights of the gateway.
 * @throws SurfacedError E_BROKER_IDENTITY
 */
export function gatewayUser(certificatePem: string): string | null {
  let subject: string;
  try {
    ({ subject } = new X509Certificate(certificatePem));
  } catch (cause) {
    throw new SurfacedError('E_BROKER_IDENTITY', 'broker.certificate: not a certificate in PEM', { cause });
  }
  const name = /^CN=(.+)$/m.exec(subject)?.[1] ?? null;
  if (name !== null && segmentPattern.test(name))
    throw new SurfacedError(
      'E_BROKER_IDENTITY',
      `broker.certificate: its CN ${name} is a name that a surface may have, which would then be taken for the gateway`,
    );
  return name;
}

/** Opens one connection. @throws SurfacedError E_BROKER_CONNECT, E_BROKER_REFUSED */
export async function connectTo(
  url: string,
  tls: BrokerTls,
  options: Omit<MqttLineOptions, 'open' | 'keepaliveSeconds'>,
): Promise<MqttLine> {
  const { host, port } = addressOf(url);
  try {
    return await openMqttLine({
      ...options,
      keepaliveSeconds: 15,
      open: (onError) => {
        const socket = connectTls({
          host,
          port,
          ca: tls.caPem,
          ...(tls.client !== null && { cert: tls.client.certificatePem, key: tls.client.keyPem }),
          minVersion: 'TLSv1.2',
          // RFC 6066, section 3: no addresses in SNI.
          ...(isIP(host) === 0 ? { servername: host } : {}),
        });
        socket.setNoDelay(true);
        socket.on('error', onError);
        limitPackets(socket, maxPacketBytes);
        return socket;
      },
    });
  } catch (cause) {
    const error = cause as Error & { code?: unknown };
    // CONNACK codes are 1 to 5 (MQTT 3.1.1, table 3.1), SUBACK failure is 128; a refused certificate is an alert.
    const isRefused =
      typeof error.code === 'number' ||
      (typeof error.code === 'string' && /ALERT|CERT|SELF_SIGNED|VERIFY/.test(error.code));
    throw new SurfacedError(
      isRefused ? 'E_BROKER_REFUSED' : 'E_BROKER_CONNECT',
      `broker ${host}:${port}: ${error.message}`,
      { cause },
    );
  }
}
