/**
 * Makes sure, before anything is sent, that the other end is the gateway that the pin names: the chain that it shows is
 * looked at on each connection, and the connection is given out only then.
 *
 * A Pi without a battery-backed clock may be years off. That costs nothing here: who the gateway is follows from the pin,
 * and no certificate of it is judged by the clock; gateway-certificate.ts says why that is safe. How long the surface's own
 * certificate holds is what the gateway says that is left of it, counted on by the monotonic clock.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { SurfacedError } from '../../errors.ts';
import { serverProblem } from '../../gateway-certificate.ts';
import { keyHash } from './token-proof.ts';

export interface GatewayAddress {
  readonly host: string;
  readonly port: number;
}

/** Host and port of `gateway.url`. */
export function addressOf(url: string): GatewayAddress {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port) };
}

/**
 * Connects, and checks the chain against the pin. Nothing but the handshake is sent.
 * @param pin `sha256:<hex>` of the CA's SubjectPublicKeyInfo
 * @param certificate what is shown when the gateway asks for one; null: none
 * @param now Unix milliseconds at which the certificates must be valid, null: at any time
 * @param timeoutMs for all of it, milliseconds
 * @returns the connection, and the CA, PEM
 * @throws SurfacedError E_GATEWAY_UNREACHABLE, E_GATEWAY_PIN, E_GATEWAY_CERTIFICATE; the reason of the signal
 */
export async function connectPinned(options: {
  readonly address: GatewayAddress;
  readonly pin: string;
  readonly certificate: { readonly certificatePem: string; readonly privateKeyPem: string } | null;
  readonly now: number | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | null;
}): Promise<{ socket: TLSSocket; caPem: string }> {
  const { address, certificate, timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const socket = connect({
    host: address.host,
    port: address.port,
    // An address is not a name that TLS may send (RFC 6066, section 3).
    servername: isIP(address.host) === 0 ? address.host : '',
    minVersion: 'TLSv1.3',
    // The chain is looked at below.
    rejectUnauthorized: false,
    ...(certificate && { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
  });
  const giveUp = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const abort = () => socket.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  // Who uses the connection hears of an error as well.
  socket.on('error', () => undefined);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed during the handshake')));
      socket.once('secureConnect', resolve);
    });
    return { socket, caPem: checkChain(peerChain(socket), options) };
  } catch (cause) {
    socket.destroy();
    signal?.throwIfAborted();
    if (cause instanceof SurfacedError) throw cause;
    const { message } = cause as Error;
    throw new SurfacedError('E_GATEWAY_UNREACHABLE', `${address.host}:${address.port}: ${message}`, {
      cause,
    });
  } finally {
    clearTimeout(giveUp);
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Only looks whether the gateway is the one of the pin, and whether a clock agrees with its certificates.
 * @returns the CA, PEM
 * @throws as {@link connectPinned}
 */
export async function fetchPinnedCa(options: {
  readonly address: GatewayAddress;
  readonly pin: string;
  readonly now: number;
  readonly timeoutMs: number;
}): Promise<string> {
  const { socket, caPem } = await connectPinned({ ...options, certificate: null, signal: null });
  socket.destroy();
  return caPem;
}

/**
 * Checks a chain, leaf first.
 * @param expected.now as in {@link connectPinned}
 * @throws SurfacedError E_GATEWAY_PIN, E_GATEWAY_CERTIFICATE
 */
export function checkChain(
  chain: readonly Uint8Array[],
  expected: { readonly address: GatewayAddress; readonly pin: string; readonly now: number | null },
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
  const problem =
    serverProblem(leaf, authority, address.host) ??
    (now === null ? null : clockProblem([leaf, authority], now));
  if (problem !== null)
    throw new SurfacedError('E_GATEWAY_CERTIFICATE', `${address.host}:${address.port}: ${problem}`);
  return authority.toString();
}

function clockProblem(certificates: readonly X509Certificate[], now: number): string | null {
  const off = certificates.find(
    ({ validFrom, validTo }) => now < Date.parse(validFrom) || Date.parse(validTo) <= now,
  );
  return off === undefined
    ? null
    : `a certificate is valid from ${off.validFrom} to ${off.validTo}, ` +
        `and the clock of this machine says ${new Date(now).toISOString()}`;
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
