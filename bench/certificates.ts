/** Server and client certificates of a gateway's own CA, for a broker without a gateway. */
import { webcrypto } from 'node:crypto';
import { type Authority, loadAuthority } from '../daemon/attest/authority/ca.ts';
import * as x509 from '../daemon/attest/authority/x509.ts';
import { systemClock } from '../daemon/clock.ts';

export const site = 'bench';
const lifeMs = 600_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** A certificate with its key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** The CA in a state folder. */
export const openAuthority = (stateDir: string): Promise<Authority> =>
  loadAuthority({ stateDir, site, clock: systemClock });

/** A client certificate for a surface. */
export async function clientCertificate(authority: Authority, surface: string): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const publicKey = new x509.PublicKey(await webcrypto.subtle.exportKey('spki', keys.publicKey));
  const issued = await authority.issue({
    surface,
    publicKey,
    lifeMs,
    trust: 'token',
    level: null,
    ekSha256: null,
    evidence: 'bench',
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: issued.certificatePem, key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
