/** The cluster's own certificate authority, its server certificate, the admin's, and the kubeconfig. */
import { webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '../../../daemon/attest/authority/x509.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

/** PEM texts. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Everything that proves who is who. */
export interface Certificates {
  readonly ca: string;
  readonly server: KeyPair;
  readonly admin: KeyPair;
}

/** Makes a new authority and what it signs; valid for a day, since nothing simulated lives longer. */
export async function makeCertificates(now: number): Promise<Certificates> {
  const dates = { notBefore: new Date(now - 60_000), notAfter: new Date(now + DAY_MS) };
  const common = { ...dates, signingAlgorithm: ALGORITHM };
  const caKeys = await generateKeys();
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      ...common,
      name: 'CN=simulated cluster CA',
      keys: caKeys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  const issue = async (subject: string, usage: string, names: 'server' | 'client'): Promise<KeyPair> => {
    const keys = await generateKeys();
    const cert = await X509CertificateGenerator.create(
      {
        ...common,
        subject,
        issuer: ca.subject,
        signingKey: caKeys.privateKey,
        publicKey: keys.publicKey,
        extensions: [
          new ExtendedKeyUsageExtension([usage]),
          ...(names === 'client'
            ? []
            : [
                new SubjectAlternativeNameExtension([
                  { type: 'dns', value: 'localhost' },
                  { type: 'ip', value: '127.0.0.1' },
                ]),
              ]),
        ],
      },
      webcrypto,
    );
    return { cert: cert.toString('pem'), key: await privatePem(keys.privateKey) };
  };
  return {
    ca: ca.toString('pem'),
    server: await issue('CN=simulated API server', ExtendedKeyUsage.serverAuth, 'server'),
    admin: await issue('O=system:masters, CN=sim-admin', ExtendedKeyUsage.clientAuth, 'client'),
  };
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  const lines = der.match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

/** Writes `kubeconfig` and `ca.crt` into a folder; @returns the path of the kubeconfig. */
export async function writeKubeconfig(
  directory: string,
  url: string,
  certificates: Certificates,
): Promise<string> {
  await mkdir(directory, { recursive: true });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'simulation',
        cluster: { server: url, 'certificate-authority-data': base64(certificates.ca) },
      },
    ],
    users: [
      {
        name: 'sim-admin',
        user: {
          'client-certificate-data': base64(certificates.admin.cert),
          'client-key-data': base64(certificates.admin.key),
        },
      },
    ],
    contexts: [{ name: 'simulation', context: { cluster: 'simulation', user: 'sim-admin' } }],
    'current-context': 'simulation',
  };
  const path = join(directory, 'kubeconfig');
  await writeFile(path, stringify(config), { mode: 0o600 });
  await writeFile(join(directory, 'ca.crt'), certificates.ca);
  return path;
}
