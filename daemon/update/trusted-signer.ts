/** Whether a signer of bundles is trusted: a path of certificates to one of the CAs given, as RAUC's `codesign` asks for it. */
import { type Certificate, readCertificate } from '../attest/certificates/certificate.ts';
import { isSignedBy } from '../attest/certificates/signature.ts';
import { SurfacedError } from '../errors.ts';

/** id-kp-codeSigning, RFC 5280 section 4.2.1.12. */
const codeSigning = '1.3.6.1.5.5.7.3.3';
const mostInPath = 4;
/** Signatures that are checked for one bundle. */
const mostSignatures = 16;
const pemBlock = /-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g;

const signerError = (what: string): SurfacedError => new SurfacedError('E_UPDATE_SIGNER', what);

/**
 * The CAs in a PEM text.
 * @throws SurfacedError E_UPDATE_SIGNER when there is none, or one cannot be read, or one is not self-signed: RAUC
 *   would not take that as the end of a path either
 */
export function trustedAuthorities(pem: string): readonly Certificate[] {
  const found = [...pem.matchAll(pemBlock)].map(([, base64 = '']) =>
    authorityOf(Buffer.from(base64, 'base64')),
  );
  if (found.length === 0) throw signerError('there is no trusted CA: the keyring has no certificate');
  for (const { label, subject, issuer } of found)
    if (subject.key !== issuer.key) throw signerError(`${label}: in the keyring, but not self-signed`);
  return found;
}

function authorityOf(der: Buffer): Certificate {
  try {
    return readCertificate(der);
  } catch (cause) {
    throw new SurfacedError('E_UPDATE_SIGNER', `a trusted CA cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** What a path is looked for in. */
export interface SignerRequest {
  readonly signer: Certificate;
  /** Others that came with the signature; nothing of them is believed. */
  readonly certificates: readonly Certificate[];
  readonly trusted: readonly Certificate[];
  /** When all of the path must be valid, Unix milliseconds. */
  readonly at: number;
}

/** Returns when there is a path. @throws SurfacedError E_UPDATE_SIGNER, why not */
export function checkSigner({ signer, certificates, trusted, at }: SignerRequest): void {
  const problem = signerProblem(signer) ?? dateProblem(signer, at);
  if (problem !== null) throw signerError(problem);
  let signaturesLeft = mostSignatures;
  const reasons: string[] = [];
  const isLinked = (below: readonly Certificate[]): boolean => {
    const last = below.at(-1) ?? signer;
    const named = (one: Certificate): boolean => one.subject.key === last.issuer.key;
    for (const one of [...trusted.filter(named), ...certificates.filter(named)]) {
      if (below.includes(one) || below.length >= mostInPath || signaturesLeft === 0) continue;
      signaturesLeft -= 1;
      const isLink = one.publicKey !== null && isSignedBy(one.publicKey, last);
      const fault = isLink
        ? (authorityProblem(one, below.length - 1) ?? dateProblem(one, at))
        : `${last.label} is not signed by the ${one.label} that is there`;
      if (fault !== null) reasons.push(fault);
      else if (trusted.includes(one) || isLinked([...below, one])) return true;
    }
    return false;
  };
  if (isLinked([signer])) return;
  const why =
    reasons.length === 0 ? `no trusted CA is "${signer.issuer.text}"` : reasons.slice(0, 3).join('; ');
  throw signerError(`signed by ${signer.label}, who is not trusted: ${why}`);
}

function signerProblem({ label, extensions, publicKey, keyProblem }: Certificate): string | null {
  const { keyUsage, extendedKeyUsage, basicConstraints, unhandled } = extensions;
  if (publicKey === null) return `${label}: ${keyProblem}`;
  if (extendedKeyUsage?.includes(codeSigning) !== true) return `${label}: not for signing code`;
  if (keyUsage !== null && !keyUsage.has('digitalSignature')) return `${label}: not for digital signatures`;
  if (basicConstraints?.isAuthority === true) return `${label}: a CA, which signs no bundles itself`;
  return unhandled.length > 0 ? `${label}: has a critical extension that is not known here` : null;
}

function authorityProblem({ label, extensions }: Certificate, between: number): string | null {
  const { keyUsage, extendedKeyUsage, basicConstraints, unhandled } = extensions;
  if (basicConstraints?.isAuthority !== true) return `${label}: not a CA`;
  if (keyUsage !== null && !keyUsage.has('keyCertSign')) return `${label}: not for signing certificates`;
  if (extendedKeyUsage !== null && !extendedKeyUsage.includes(codeSigning)) return `${label}: not for code`;
  if (between > (basicConstraints.pathLength ?? mostInPath)) return `${label}: too many CAs are below it`;
  return unhandled.length > 0 ? `${label}: has a critical extension that is not known here` : null;
}

function dateProblem({ label, notBefore, notAfter }: Certificate, at: number): string | null {
  const day = (time: number): string => new Date(time).toISOString();
  if (at < notBefore) return `${label}: valid from ${day(notBefore)} on, judged at ${day(at)}`;
  return at > notAfter ? `${label}: ended ${day(notAfter)}, judged at ${day(at)}` : null;
}
