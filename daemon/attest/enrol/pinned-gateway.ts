/**
 * Makes sure, before anything is sent, that the other end is the gateway that the pin names. The first
 * connection only fetches the certificate chain and checks it; all later ones trust that CA alone.
 *
 * A Pi without a battery-backed clock may be years behind. That costs nothing here: who the gateway is follows
 * from the pin, and its certificates are valid from 1970 on (see ca.ts). A clock that is ahead of their end
 * cannot be told from certificates that have run out, so that is refused, and the message names the clock.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { SurfacedError } from '../../errors.ts';
import { keyHash } from './token-proof.ts';

const serverAuth = '1.3.6.1.5.5.7.3.1';

export interface GatewayAddress {
  readonly host: string;
  readonly port: number;
}

/** Host and port of `gateway.url`. */
export function addressOf(url: string): GatewayAddress {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port) };
}

/** An address is not a name that TLS may send (RFC 6066, section 3). */
export const servernameOf = (host: string): string => (isIP(host) === 0 ? host : '');

/**
 * Fetches the gateway's chain and checks it against the pin.
 * @param pin `sha256:<hex>` of the CA's SubjectPublicKeyInfo
 * @param now Unix milliseconds by the local clock
 * @returns the CA, PEM
 * @throws SurfacedError E_GATEWAY_UNREACHABLE, E_GATEWAY_PIN, E_GATEWAY_CERTIFICATE
 */
export async function fetchPinnedCa(options: {
  readonly address: GatewayAddress;
  readonly pin: string;
  readonly now: number;
  readonly timeoutMs: number;
}): Promise<string> {
  const chain = await fetchChain(options.address, options.timeoutMs);
  return checkChain(chain, options);
}

/** Checks a chain, leaf first. @throws SurfacedError E_GATEWAY_PIN, E_GATEWAY_CERTIFICATE */
export function checkChain(
  chain: readonly Uint8Array[],
  expected: { readonly address: GatewayAddress; readonly pin: string; readonly now: number },
): string {
  const { address, pin, now } = expected;
  const certificates = chain.map((der) => new X509Certificate(der));
  const pinOfCertificate = (certificate: X509Certificate) =>
    `sha256:${keyHash(certificate.publicKey.export({ type: 'spki', format: 'der' })).toString('hex')}`;
  const [leaf, ...issuers] = certificates;
  const authority = issuers.find((certificate) => pinOfCertificate(certificate) === pin);
  if (!leaf || !authority) {
    const seen = issuers.length > 0 ? issuers.map(pinOfCertificate).join(', ') : 'no CA at all';
    throw new SurfacedError('E_GATEWAY_PIN', `expected the CA ${pin}, the gateway shows ${seen}`);
  }
  const refuse = (detail: string): never => {
    throw new SurfacedError('E_GATEWAY_CERTIFICATE', `${address.host}:${address.port}: ${detail}`);
  };
  if (!authority.ca) refuse('the pinned certificate is not that of a CA');
  if (!leaf.checkIssued(authority) || !leaf.verify(authority.publicKey))
    refuse('its certificate is not signed by the pinned CA');
  if (leaf.ca || !(leaf.keyUsage ?? []).includes(serverAuth))
    refuse('its certificate is not one for servers');
  for (const certificate of [leaf, authority]) {
    const isCurrent = Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo);
    if (!isCurrent) {
      refuse(
        `a certificate is valid from ${certificate.validFrom} to ${certificate.validTo}, ` +
          `and the clock of this machine says ${new Date(now).toISOString()}`,
      );
    }
  }
  const mismatch = checkServerIdentity(address.host, leaf.toLegacyObject());
  if (mismatch) refuse(mismatch.message);
  return authority.toString();
}

/** The certificates that the other end shows, leaf first. Nothing but the handshake is sent. */
async function fetchChain(address: GatewayAddress, timeoutMs: number): Promise<Uint8Array[]> {
  const socket = connect({
    host: address.host,
    port: address.port,
    servername: servernameOf(address.host),
    minVersion: 'TLSv1.3',
    // Nobody is trusted yet: the chain is looked at below, and the connection closed.
    rejectUnauthorized: false,
  });
  try {
    return await new Promise((resolve, reject) => {
      socket.setTimeout(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed during the handshake')));
      socket.once('secureConnect', () => resolve(peerChain(socket)));
    });
  } catch (cause) {
    const { message } = cause as Error;
    throw new SurfacedError('E_GATEWAY_UNREACHABLE', `${address.host}:${address.port}: ${message}`, {
      cause,
    });
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

function peerChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  // A self-signed certificate is its own issuer; ten are more than any gateway has.
  while (certificate?.raw && chain.length < 10) {
    chain.push(certificate.raw);
    if (certificate.issuerCertificate === certificate) break;
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
