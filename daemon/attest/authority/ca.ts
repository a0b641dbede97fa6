/**
 * The gateway's own certificate authority: made at the first start, kept in one file of the state folder.
 * It signs the server certificates of the gateway and the short-lived certificates of surfaces (RFC 5280).
 */
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import { makeStateFolder, stateError, writeStateFile } from '../state-files.ts';
import type { Level, Trust } from '../types.ts';
import { backdateMs, type ClientIdentity, clientUri, readClientCertificate } from './client-certificate.ts';
import * as x509 from './x509.ts';

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60 * 1000;
const authorityLifeMs = 3650 * dayMs;
const serverLifeMs = 365 * dayMs;
/**
 * A Pi without a battery-backed clock may believe that it is 1970 until it has heard of the time. The beginning
 * of these certificates proves nothing (the pin does), so it is set where no clock is before it.
 */
const beginningOfTime = new Date(0);

/** A certificate with its chain and its private key, PEM. */
export interface ServerCertificate {
  /** Leaf first, then the CA, so that a surface can check the pin. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** Unix milliseconds. */
  readonly notAfter: number;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** Unix milliseconds. */
  readonly notAfter: number;
  /** Hex. */
  readonly serial: string;
}

export interface Authority {
  readonly site: string;
  /** `sha256:` and the hash of the CA's SubjectPublicKeyInfo in hex. */
  readonly pin: string;
  readonly certificatePem: string;
  /** End of the CA, Unix milliseconds. */
  readonly notAfter: number;
  /** A new key and a certificate for these host names and addresses, good for a year. */
  serverCertificate(hosts: readonly string[]): Promise<ServerCertificate>;
  /** A certificate for a surface; the caller has checked everything that it says. */
  issue(request: {
    readonly surface: string;
    readonly publicKey: x509.PublicKey;
    readonly lifeMs: number;
    readonly trust: Trust;
    /** With trust `tpm`: what was found to hold. */
    readonly level: Level | null;
    /** With trust `tpm`: see Identity. */
    readonly ekSha256: string | null;
    /** What the certificate was given for, `[A-Za-z0-9_-]{1,64}`. */
    readonly evidence: string;
  }): Promise<IssuedCertificate>;
  /**
   * Who a client certificate speaks for, null when it is not one that this site's CA gives to surfaces.
   * The signature and the validity are TLS's to check.
   */
  identify(der: Uint8Array): ClientIdentity | null;
}

/**
 * Opens the CA in the state folder, and makes it when there is none.
 * @param options.shared file of a CA that several gateways have; it is never made. Null or left out: there is none
 * @throws SurfacedError E_CA_BROKEN, E_STATE_DIR
 */
export async function loadAuthority(options: {
  readonly stateDir: string;
  readonly shared?: string | null;
  readonly site: string;
  readonly clock: Clock;
}): Promise<Authority> {
  const { stateDir, shared = null, site, clock } = options;
  await makeStateFolder(stateDir);
  const file = shared ?? path.join(stateDir, 'ca.pem');
  let text = await readIfThere(file);
  if (text === null && shared === null) {
    // Of two processes that do this at once, one wins; both then use its CA.
    await writeStateFile(file, await makeAuthority(site, clock), { isExclusive: true });
    text = await readIfThere(file);
  }
  if (text === null) throw new SurfacedError('E_CA_BROKEN', `shards.ca: ${file} is not there`);
  const { certificate, key } = await readAuthority(file, text, clock);
  return authorityOf({ certificate, key, site, clock });
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw stateError(file, cause);
  }
}

async function makeAuthority(site: string, clock: Clock): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=surfaced gateway CA ${site}`,
    keys,
    notBefore: beginningOfTime,
    notAfter: new Date(clock.now() + authorityLifeMs),
    serialNumber: newSerial(),
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n${await privateKeyPem(keys.privateKey)}`;
}

async function readAuthority(
  file: string,
  text: string,
  clock: Clock,
): Promise<{ certificate: x509.X509Certificate; key: webcrypto.CryptoKey }> {
  const broken = (detail: string, cause: unknown) =>
    new SurfacedError('E_CA_BROKEN', `${file}: ${detail}`, { cause });
  const read = async () => {
    const blocks = x509.PemConverter.decodeWithHeaders(text);
    const bytesOf = (type: string): ArrayBuffer => {
      const block = blocks.find((candidate) => candidate.type === type);
      if (!block) throw new Error(`it has no ${type}`);
      return block.rawData;
    };
    const certificate = new x509.X509Certificate(bytesOf('CERTIFICATE'));
    const bytes = bytesOf('PRIVATE KEY');
    const key = await webcrypto.subtle.importKey('pkcs8', bytes, keyAlgorithm, false, ['sign']);
    // A signature made with the key and checked with the certificate shows that they belong together.
    const probe = randomBytes(32);
    const signature = await webcrypto.subtle.sign(signingAlgorithm, key, probe);
    const publicKey = await certificate.publicKey.export(keyAlgorithm, ['verify']);
    if (!(await webcrypto.subtle.verify(signingAlgorithm, publicKey, signature, probe)))
      throw new Error('its key does not belong to its certificate');
    if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca !== true)
      throw new Error('its certificate is not that of a CA');
    return { certificate, key };
  };
  const authority = await read().catch((cause: unknown) => {
    throw broken(cause instanceof Error ? cause.message : 'it cannot be read', cause);
  });
  if (authority.certificate.notAfter.getTime() <= clock.now())
    throw broken(`it ended on ${authority.certificate.notAfter.toISOString()}`, undefined);
  return authority;
}

function authorityOf(own: {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
  readonly site: string;
  readonly clock: Clock;
}): Authority {
  const { certificate, key, site, clock } = own;
  const certificatePem = `${certificate.toString('pem')}\n`;
  const authorityEnd = certificate.notAfter.getTime();

  const sign = async (leaf: {
    readonly commonName: string;
    readonly publicKey: webcrypto.CryptoKey | x509.PublicKey;
    readonly notBefore: Date;
    readonly notAfter: number;
    readonly usage: string;
    readonly names: x509.JsonGeneralNames;
  }) =>
    x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: `CN=${leaf.commonName}`,
      issuer: certificate.subject,
      notBefore: leaf.notBefore,
      notAfter: new Date(Math.min(leaf.notAfter, authorityEnd)),
      publicKey: leaf.publicKey,
      signingKey: key,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([leaf.usage]),
        new x509.SubjectAlternativeNameExtension(leaf.names),
        await x509.AuthorityKeyIdentifierExtension.create(certificate),
      ],
    });

  return {
    site,
    pin: pinOf(certificate.publicKey.rawData),
    certificatePem,
    notAfter: authorityEnd,
    serverCertificate: async (hosts) => {
      const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
      const leaf = await sign({
        commonName: 'surfaced gateway',
        publicKey: keys.publicKey,
        notBefore: beginningOfTime,
        notAfter: clock.now() + serverLifeMs,
        usage: x509.ExtendedKeyUsage.serverAuth,
        names: hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
      });
      return {
        certificatePem: `${leaf.toString('pem')}\n${certificatePem}`,
        privateKeyPem: await privateKeyPem(keys.privateKey),
        notAfter: leaf.notAfter.getTime(),
      };
    },
    issue: async ({ surface, publicKey, lifeMs, ...claims }) => {
      const leaf = await sign({
        commonName: surface,
        publicKey,
        notBefore: new Date(clock.now() - backdateMs),
        notAfter: clock.now() + lifeMs,
        usage: x509.ExtendedKeyUsage.clientAuth,
        names: [{ type: 'url', value: clientUri({ site, surface, ...claims }) }],
      });
      return {
        certificatePem: `${leaf.toString('pem')}\n`,
        notAfter: leaf.notAfter.getTime(),
        serial: leaf.serialNumber,
      };
    },
    identify: (der) => readClientCertificate(der, site),
  };
}

/** The pin of a public key, as `kubeadm join` writes it. */
const pinOf = (subjectPublicKeyInfo: ArrayBuffer | Uint8Array): string =>
  `sha256:${createHash('sha256').update(new Uint8Array(subjectPublicKeyInfo)).digest('hex')}`;

/** 16 random bytes; the first bit is 0 and the next 1, so the number is positive and of full length (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(bytes, 'PRIVATE KEY')}\n`;
}
