/**
 * The key that signs bundles, with its certificate and the CAs that surfaces trust. A release has its own, made elsewhere and
 * named by the environment; whoever builds for themselves gets a CA and a key of this machine, made when there is none.
 * Nothing of it belongs into the repository.
 */
import { webcrypto } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as x509 from '../../daemon/attest/authority/x509.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { say } from '../toolbox/command.ts';

const projectFolder = fileURLToPath(new URL('../..', import.meta.url));
const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
const codeSigning = '1.3.6.1.5.5.7.3.3';
const dayMs = 24 * 60 * 60 * 1000;
/** Surfaces keep a CA as long as they live, and have no clock to rely on. */
const authorityLifeMs = 30 * 365 * dayMs;
const signerLifeMs = 10 * 365 * dayMs;

/** Paths of PEM files. */
export interface SigningKey {
  readonly certificate: string;
  readonly privateKey: string;
  /** CAs that the image trusts for updates: that of this key, and while keys change that of the next or the last one. */
  readonly authorities: string;
}

/** Names of the files in a folder of keys. */
export const keyFiles = {
  certificate: 'signer.pem',
  privateKey: 'signer.key',
  authorities: 'ca.pem',
  /** Only to sign other signers; a release keeps it elsewhere. */
  authorityKey: 'ca.key',
} as const;

/**
 * The key of a folder; of `SURFACED_SIGNING_KEY`, `SURFACED_SIGNING_CERTIFICATE` and `SURFACED_SIGNING_AUTHORITIES` when no
 * folder is given and they are set; else that of this machine in `~/.config/surfaced/signing`. A folder without keys gets new
 * ones.
 * @throws SurfacedError E_IMAGE_ORDER when some of it is missing, or the folder is in the repository
 */
export async function signingKey(
  folder: string | null,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<SigningKey> {
  const named = folder === null ? await namedKey(environment) : null;
  if (named !== null) return named;
  const own = path.resolve(folder ?? path.join(configFolder(environment), 'surfaced', 'signing'));
  const files = ['certificate', 'privateKey', 'authorities'] as const;
  const at = (name: keyof typeof keyFiles): string => path.join(own, keyFiles[name]);
  const missing = (
    await Promise.all(files.map(async (name) => ((await isThere(at(name))) ? [] : [name])))
  ).flat();
  if (missing.length > 0 && missing.length < files.length)
    throw orderError(`${own}: ${missing.map((name) => keyFiles[name]).join(' and ')} is missing`);
  if (missing.length > 0) await makeKeys(own);
  return { certificate: at('certificate'), privateKey: at('privateKey'), authorities: at('authorities') };
}

/** Puts the CAs that are trusted for updates into the tree of a slot. @throws SurfacedError E_IMAGE_ORDER */
export async function writeKeyring({
  root,
  key,
}: {
  readonly root: string;
  readonly key: SigningKey;
}): Promise<void> {
  const pem = await readFile(key.authorities, 'latin1');
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw orderError(`${key.authorities}: no certificate in it`);
  if (pem.includes('PRIVATE KEY'))
    throw orderError(`${key.authorities}: has a private key, which must not go into an image`);
  const keyring = path.join(root, 'etc/rauc/keyring.pem');
  await mkdir(path.dirname(keyring), { recursive: true });
  await copyFile(key.authorities, keyring);
  await chmod(keyring, 0o644);
}

async function namedKey(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<SigningKey | null> {
  const names = {
    privateKey: 'SURFACED_SIGNING_KEY',
    certificate: 'SURFACED_SIGNING_CERTIFICATE',
    authorities: 'SURFACED_SIGNING_AUTHORITIES',
  } as const;
  const value = (name: keyof typeof names): string => environment[names[name]] ?? '';
  const all = ['privateKey', 'certificate', 'authorities'] as const;
  if (all.every((name) => value(name) === '')) return null;
  for (const name of all) {
    const file = value(name);
    if (file === '') throw orderError(`${names[name]} is not set, and one of the others is`);
    if (!(await isThere(file))) throw orderError(`${names[name]}: there is no ${file}`);
  }
  return {
    privateKey: path.resolve(value('privateKey')),
    certificate: path.resolve(value('certificate')),
    authorities: path.resolve(value('authorities')),
  };
}

const configFolder = ({ XDG_CONFIG_HOME: named }: Readonly<Record<string, string | undefined>>): string =>
  named !== undefined && path.isAbsolute(named) ? named : path.join(homedir(), '.config');

/** Makes a CA and a signer of it. The private keys are readable by their owner alone, and never replaced. */
async function makeKeys(folder: string): Promise<void> {
  if (!path.relative(projectFolder, folder).startsWith('..'))
    throw orderError(`${folder}: keys are not made inside of the repository; name a folder outside`);
  say(`making a CA and a key for updates in ${folder}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authority = await newKeys();
  const signer = await newKeys();
  const now = Date.now();
  const issuer = 'CN=surfaced updates of this machine';
  const authorityId = await x509.SubjectKeyIdentifierExtension.create(authority.publicKey, false, webcrypto);
  const authorityCertificate = await x509.X509CertificateGenerator.create(
    {
      ...{ serialNumber: serial(), subject: issuer, issuer },
      ...{ notBefore: new Date(now - dayMs), notAfter: new Date(now + authorityLifeMs) },
      ...{ publicKey: authority.publicKey, signingKey: authority.privateKey, signingAlgorithm },
      extensions: [
        new x509.BasicConstraintsExtension(true, 1, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        authorityId,
      ],
    },
    webcrypto,
  );
  const signerCertificate = await x509.X509CertificateGenerator.create(
    {
      ...{ serialNumber: serial(), subject: 'CN=surfaced signer of this machine', issuer },
      ...{ notBefore: new Date(now - dayMs), notAfter: new Date(now + signerLifeMs) },
      ...{ publicKey: signer.publicKey, signingKey: authority.privateKey, signingAlgorithm },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        // What RAUC asks for with check-purpose=codesign.
        new x509.ExtendedKeyUsageExtension([codeSigning], true),
        await x509.SubjectKeyIdentifierExtension.create(signer.publicKey, false, webcrypto),
        new x509.AuthorityKeyIdentifierExtension(authorityId.keyId, false),
      ],
    },
    webcrypto,
  );
  const write = (name: keyof typeof keyFiles, text: string): Promise<void> =>
    writeFile(path.join(folder, keyFiles[name]), text, {
      mode: name.endsWith('Key') ? 0o600 : 0o644,
      flag: 'wx',
    });
  await write('authorityKey', await pemOf(authority.privateKey));
  await write('privateKey', await pemOf(signer.privateKey));
  await write('certificate', `${signerCertificate.toString('pem')}\n`);
  await write('authorities', `${authorityCertificate.toString('pem')}\n`);
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

/** Positive, 16 bytes, RFC 5280 section 4.1.2.2. */
const serial = (): string => {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
};

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

const orderError = (what: string): SurfacedError => new SurfacedError('E_IMAGE_ORDER', what);
