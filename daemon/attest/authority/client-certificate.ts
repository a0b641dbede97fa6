/** What the certificate of a surface says, written and read in one place. */
import type { Identity, Level, Trust } from '../types.ts';
import * as x509 from './x509.ts';

/** An identity with what its certificate was given for. */
export interface ClientIdentity extends Identity {
  readonly evidence: string;
  /** When it was issued, Unix milliseconds by the clock of the gateway that did. */
  readonly issuedAt: number;
}

/** Client certificates begin this much in the past, for brokers whose clock is a little behind, milliseconds. */
export const backdateMs = 60_000;

interface Claims {
  readonly site: string;
  readonly surface: string;
  readonly trust: Trust;
  readonly level: Level | null;
  readonly ekSha256: string | null;
  readonly evidence: string;
}

const maxCertificateBytes = 4096;
const segment = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const uriPattern = new RegExp(
  `^surfaced://(${segment})/(${segment})\\?trust=(?:token|tpm&level=([0-3])&ek=([0-9a-f]{64}))&evidence=([A-Za-z0-9_-]{1,64})$`,
);

/** The SAN URI that carries a surface's identity. */
export const clientUri = (claims: Claims): string =>
  `surfaced://${claims.site}/${claims.surface}?trust=${claims.trust}${
    claims.trust === 'tpm' ? `&level=${claims.level}&ek=${claims.ekSha256}` : ''
  }&evidence=${claims.evidence}`;

/**
 * Reads a certificate strictly: anything that this CA does not write is nobody's.
 * @param der the certificate; its signature has been checked
 */
export function readClientCertificate(der: Uint8Array, site: string): ClientIdentity | null {
  if (der.length > maxCertificateBytes) return null;
  try {
    const certificate = new x509.X509Certificate(new Uint8Array(der));
    const [usage, ...moreUsages] = certificate.getExtensions(x509.ExtendedKeyUsageExtension);
    if (!usage || moreUsages.length > 0) return null;
    if (usage.usages.length !== 1 || usage.usages[0] !== x509.ExtendedKeyUsage.clientAuth) return null;
    if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca !== false) return null;
    const [names, ...moreNames] = certificate.getExtensions(x509.SubjectAlternativeNameExtension);
    const [uri, ...moreUris] = names?.names.items ?? [];
    if (moreNames.length > 0 || moreUris.length > 0 || uri?.type !== 'url') return null;
    const [, ofSite, surface, level, ekSha256, evidence] = uriPattern.exec(uri.value) ?? [];
    if (ofSite !== site || !surface || !evidence) return null;
    if (certificate.subject !== `CN=${surface}`) return null;
    return {
      site,
      surface,
      trust: ekSha256 === undefined ? 'token' : 'tpm',
      level: level === undefined ? null : (Number(level) as Level),
      ekSha256: ekSha256 ?? null,
      evidence,
      issuedAt: certificate.notBefore.getTime() + backdateMs,
      notAfter: certificate.notAfter.getTime(),
      serial: certificate.serialNumber,
    };
  } catch {
    // Bytes that are no certificate are nobody's certificate.
    return null;
  }
}
