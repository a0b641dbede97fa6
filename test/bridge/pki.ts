/** A certificate authority for tests: one CA, server and client certificates with a SAN URI. */
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '../../daemon/attest/authority/x509.ts';
import type { CredentialSource, Credentials, Identity } from '../../daemon/attest/types.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

export interface Issued {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface Authority {
  readonly caPem: string;
  server(options?: { address?: string; notAfter?: Date }): Promise<Issued>;
  /** A client certificate for `surfaced://<site>/<surface>`. */
  client(surface: string, options?: { site?: string; notAfter?: Date }): Promise<Issued>;
}

const pem = (bytes: ArrayBuffer): string =>
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(bytes).toString('base64')}\n-----END PRIVATE KEY-----\n`;

const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

export async function createAuthority(name: string): Promise<Authority> {
  const keys = await newKeys();
  const notBefore = new Date(Date.now() - 86_400_000);
  const dayLater = new Date(Date.now() + 86_400_000);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore,
    notAfter: dayLater,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const issue = async (
    subject: string,
    names: x509.JsonGeneralNames,
    notAfter: Date,
    usage: string,
  ): Promise<Issued> => {
    const own = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: `01${randomBytes(8).toString('hex')}`,
      subject: `CN=${subject}`,
      issuer: ca.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      notBefore,
      notAfter,
      extensions: [
        new x509.ExtendedKeyUsageExtension([usage]),
        new x509.SubjectAlternativeNameExtension(names),
      ],
    });
    return {
      keyPem: pem(await webcrypto.subtle.exportKey('pkcs8', own.privateKey)),
      certificatePem: certificate.toString('pem'),
    };
  };
  return {
    caPem: ca.toString('pem'),
    server: (options = {}) =>
      issue(
        'gateway',
        [
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: options.address ?? '127.0.0.1' },
        ],
        options.notAfter ?? dayLater,
        x509.ExtendedKeyUsage.serverAuth,
      ),
    client: (surface, options = {}) =>
      issue(
        surface,
        [{ type: 'url', value: `surfaced://${options.site ?? 'site'}/${surface}` }],
        options.notAfter ?? dayLater,
        x509.ExtendedKeyUsage.clientAuth,
      ),
  };
}

/** Reads what {@link Authority.client} wrote. */
export function identify(certificate: Uint8Array): Identity | null {
  const parsed = new x509.X509Certificate(new Uint8Array(certificate));
  const names = parsed.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const uri = names.find((each) => each.type === 'url')?.value;
  const match = /^surfaced:\/\/([^/]+)\/([^/]+)$/.exec(uri ?? '');
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return {
    site: match[1],
    surface: match[2],
    trust: 'tpm',
    level: 0,
    ekSha256: null,
    notAfter: parsed.notAfter.getTime(),
    serial: parsed.serialNumber,
  };
}

/** Credentials for a client certificate of an authority. */
export async function credentialsFor(
  authority: Authority,
  surface: string,
  port: number,
): Promise<Credentials> {
  const issued = await authority.client(surface);
  return {
    site: 'site',
    surface,
    broker: { host: '127.0.0.1', port },
    caPem: authority.caPem,
    certificatePem: issued.certificatePem,
    privateKeyPem: issued.keyPem,
    notAfter: Date.now() + 86_400_000,
    trust: 'tpm',
    level: 0,
  };
}

/** A source that hands out what it is given. */
export class FixedCredentials implements CredentialSource {
  renewalsAsked = 0;
  #credentials: Credentials;
  readonly #listeners = new Set<(credentials: Credentials) => void>();

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  async current(): Promise<Credentials> {
    return this.#credentials;
  }

  onRenewed(listener: (credentials: Credentials) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onPairing(): () => void {
    return () => {};
  }

  set(credentials: Credentials, tell: boolean): void {
    this.#credentials = credentials;
    if (tell) for (const listener of this.#listeners) listener(credentials);
  }

  renew(): void {
    this.renewalsAsked += 1;
  }

  stop(): void {}
}
