/** Certificates made by the tests, with one thing wrong at a time. */
import { webcrypto } from 'node:crypto';
import * as x509 from '../../../daemon/attest/authority/x509.ts';

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const day = 24 * 60 * 60 * 1000;
/** The time of all checks. */
export const now = Date.UTC(2027, 5, 1);

export interface Signer {
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly certificate: x509.X509Certificate;
}

export const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

/** What a certificate is made from; `null` as signer: self-signed. */
export interface Recipe {
  readonly subject: string;
  readonly signer: Signer | null;
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly publicKey?: x509.PublicKeyType;
  readonly extensions: readonly x509.Extension[];
  readonly issuer?: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly hash?: string;
}

let serial = 1;

export async function make(recipe: Recipe): Promise<Signer> {
  const keys = recipe.keys ?? (await newKeys());
  const signingKey = (recipe.signer?.keys ?? keys).privateKey;
  const isEcdsa = signingKey.algorithm.name === 'ECDSA';
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: (serial++).toString(16).padStart(4, '0'),
      subject: recipe.subject,
      issuer: recipe.issuer ?? recipe.signer?.name ?? recipe.subject,
      notBefore: new Date(recipe.notBefore ?? now - day),
      notAfter: new Date(recipe.notAfter ?? now + day),
      publicKey: recipe.publicKey ?? keys.publicKey,
      signingKey,
      signingAlgorithm: isEcdsa
        ? { name: 'ECDSA', hash: recipe.hash ?? 'SHA-256' }
        : { ...signingKey.algorithm, hash: 'SHA-256', saltLength: 32 },
      extensions: [...recipe.extensions],
    },
    webcrypto,
  );
  return { name: recipe.subject, keys, certificate };
}

const { keyCertSign, keyAgreement } = x509.KeyUsageFlags;
export const ca = (pathLength?: number): x509.Extension =>
  new x509.BasicConstraintsExtension(true, pathLength, true);
export const usage = (flags: number): x509.Extension => new x509.KeyUsagesExtension(flags, true);
export const purpose = (...oids: string[]): x509.Extension => new x509.ExtendedKeyUsageExtension(oids);
export const ekPurpose = '2.23.133.8.1';

/** directoryName with manufacturer, model and version, critical, as vendors write it. */
export const tpmName = (): x509.Extension => {
  const names = new x509.GeneralNames([
    {
      type: 'dn',
      value: '2.23.133.2.1=id:49465800,2.23.133.2.2=SLB9670,2.23.133.2.3=id:0007',
    },
  ]);
  return new x509.Extension('2.5.29.17', true, names.rawData);
};

export const authority = (recipe: Partial<Recipe> & Pick<Recipe, 'subject' | 'signer'>): Promise<Signer> =>
  make({ extensions: [ca(), usage(keyCertSign)], ...recipe });

/** Extensions of a good ECC EK certificate. */
export const ekExtensions = (): x509.Extension[] => [
  new x509.BasicConstraintsExtension(false, undefined, true),
  usage(keyAgreement),
  purpose(ekPurpose),
  tpmName(),
];

/** An EK certificate; its subject is empty, as those of vendors. */
export const endorsement = (recipe: Partial<Recipe> & Pick<Recipe, 'signer'>): Promise<Signer> =>
  make({ subject: '', extensions: ekExtensions(), ...recipe });

export const der = ({ certificate }: Signer): Buffer => Buffer.from(certificate.rawData);
