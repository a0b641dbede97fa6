/** A client certificate for a surface that does not exist, with which a gateway tries out the rules of a broker. */
import { webcrypto } from 'node:crypto';
import type { Authority } from './ca.ts';
import * as x509 from './x509.ts';

const lifeMs = 60_000;

/** Makes a key and a certificate for it, good for a minute. @param surface a name that no surface has */
export async function makeProbeCertificate(
  authority: Authority,
  surface: string,
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const publicKey = new x509.PublicKey(await webcrypto.subtle.exportKey('spki', keys.publicKey));
  const claims = { trust: 'token', level: null, ekSha256: null, evidence: 'acl-probe' } as const;
  const { certificatePem } = await authority.issue({ surface, publicKey, lifeMs, ...claims });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificatePem, keyPem: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
