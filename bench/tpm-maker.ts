/** Software TPMs as a maker ships them: with a certificate of their endorsement key in NV memory. */
import { webcrypto } from 'node:crypto';
import * as x509 from '../daemon/attest/authority/x509.ts';
import {
  algorithm,
  defineNv,
  ekEccP256,
  ekRsa2048,
  handle,
  makePrimary,
  nvIndexAt,
  nvType,
  permanent,
  publicKeyOf,
  swtpm,
  Tpm,
  writeNv,
} from '../daemon/attest/tpm2/index.ts';
import { SoftwareTpm } from '../hil/software-tpm.ts';
import type { BenchContext } from './types.ts';

/** Endorsement keys that makers certify (TCG EK Credential Profile, templates L-2 and L-1). */
export const ekKinds = {
  ecc: { words: 'ECC P-256', template: ekEccP256, certificateIndex: 0x01c0000a, usage: 'keyAgreement' },
  rsa: { words: 'RSA 2048', template: ekRsa2048, certificateIndex: 0x01c00002, usage: 'keyEncipherment' },
} as const;
export type EkKind = keyof typeof ekKinds;

/** A TPM that is turned on. */
export interface Chip {
  readonly kind: EkKind;
  readonly software: SoftwareTpm;
  /** Certificate of its maker, DER. */
  readonly root: Uint8Array;
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
/** tcg-kp-EKCertificate. */
const ekPurpose = '2.23.133.8.1';

/** A new one, which is ended with the bench. */
export async function makeChip(context: Pick<BenchContext, 'defer'>, kind: EkKind): Promise<Chip> {
  const software = await SoftwareTpm.begin({ state: null });
  context.defer(() => software.end());
  const { template, certificateIndex: index, usage } = ekKinds[kind];
  const tpm = new Tpm({ transport: swtpm(software.address) });
  try {
    return await tpm.scope(async (scope) => {
      const key = await makePrimary(scope, { hierarchy: permanent(handle.endorsement), template });
      const spki = publicKeyOf(key.publicArea).export({ type: 'spki', format: 'der' });
      const { root, certificate } = await certify(spki, x509.KeyUsageFlags[usage]);
      const owner = permanent(handle.owner);
      const attributes = {
        type: nvType.ordinary,
        set: new Set(['ownerWrite', 'ownerRead', 'authRead', 'noDA'] as const),
      };
      const area = { index, nameAlg: algorithm.sha256, attributes, authPolicy: Buffer.alloc(0) };
      await defineNv(scope, owner, { ...area, dataSize: certificate.length }, Buffer.alloc(0));
      const made = await nvIndexAt(scope, index);
      if (made === null) throw new Error('the TPM forgot an NV index at once');
      await writeNv(scope, made, certificate, { by: owner });
      return { kind, software, root };
    });
  } finally {
    await tpm.close();
  }
}

/** A root, and a certificate under it. */
async function certify(
  spki: Uint8Array,
  usage: number,
): Promise<{ root: Uint8Array; certificate: Uint8Array }> {
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
  const [notBefore, notAfter] = [new Date(Date.now() - dayMs), new Date(Date.now() + 3650 * dayMs)];
  const common = { notBefore, notAfter, signingAlgorithm, signingKey: keys.privateKey, issuer: 'CN=Maker' };
  const root = await x509.X509CertificateGenerator.create({
    ...common,
    serialNumber: '01',
    subject: 'CN=Maker',
    publicKey: keys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const names = new x509.GeneralNames([
    { type: 'dn', value: '2.23.133.2.1=id:49424d00,2.23.133.2.2=swtpm,2.23.133.2.3=id:0001' },
  ]);
  const certificate = await x509.X509CertificateGenerator.create({
    ...common,
    serialNumber: '02',
    subject: '',
    publicKey: new x509.PublicKey(spki),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(usage, true),
      new x509.ExtendedKeyUsageExtension([ekPurpose]),
      new x509.Extension('2.5.29.17', true, names.rawData),
    ],
  });
  return { root: new Uint8Array(root.rawData), certificate: new Uint8Array(certificate.rawData) };
}
