/** The verdict on an EK certificate: whether a root of the operator stands behind it, how, and what is wrong with it. */
import type { KeyObject } from 'node:crypto';
import { SurfacedError } from '../../errors.ts';
import { type Certificate, readCertificate } from './certificate.ts';
import type { TpmIdentity } from './extensions.ts';
import { findPath } from './path.ts';
import { type PathProblem, problem } from './problems.ts';
import { keySha256 } from './public-key.ts';
import type { EkPolicy } from './rules.ts';

/** Certificates that a surface may send beside that of its EK. */
const mostIntermediates = 16;

/** One certificate of the path. */
export interface PathStep {
  readonly subject: string;
  readonly issuer: string;
  /** Hex of SHA-256 over the certificate. */
  readonly sha256: string;
  /** Hex, null: not given. */
  readonly subjectKeyIdentifier: string | null;
  /** Hex, null: not given. */
  readonly authorityKeyIdentifier: string | null;
}

/** What was found, as data. A pin of `ekSpkiSha256` can stand in for `isTrusted`; that is the caller's to decide. */
export interface EkVerdict {
  /** True only when the path ends in a root and every problem is allowed. */
  readonly isTrusted: boolean;
  /** EK certificate first; as far as it was found. */
  readonly path: readonly PathStep[];
  readonly problems: readonly PathProblem[];
  /** Hex, the identity of the TPM; null when no accepted key could be read. */
  readonly ekSpkiSha256: string | null;
  readonly ekPublicKey: KeyObject | null;
  /** What the certificate says about the TPM; believe it only with `isTrusted`. */
  readonly tpm: TpmIdentity | null;
}

/**
 * Judges an EK certificate (DER, see `unwrapCertificate`) with the chain that came with it, against the operator's
 * roots, at the time `now` (Unix milliseconds, of a clock that the caller believes). Never throws for what the
 * certificates hold: what cannot be read is a problem like others, and only one of the EK certificate is fatal.
 */
export function judgeEkCertificate(request: {
  readonly certificate: Uint8Array;
  readonly intermediates: readonly Uint8Array[];
  readonly roots: readonly Certificate[];
  readonly now: number;
  readonly policy: EkPolicy;
}): EkVerdict {
  const { roots, now, policy } = request;
  const leaf = tryRead(request.certificate, 'EK certificate');
  if (!('certificate' in leaf)) return unreadable(leaf.problem);
  const read = request.intermediates
    .slice(0, mostIntermediates)
    .map((bytes, index) => tryRead(bytes, `certificate ${index + 1} of the chain`));
  const intermediates = read.flatMap((one) => ('certificate' in one ? [one.certificate] : []));
  const found = findPath({ leaf: leaf.certificate, intermediates, roots, now, policy });
  // An unreadable certificate that the path did not need is told, and does no harm.
  const aside = read.flatMap((one) => ('problem' in one ? [{ ...one.problem, isAllowed: true }] : []));
  if (request.intermediates.length > mostIntermediates) {
    const text = `${request.intermediates.length} certificates, only the first ${mostIntermediates} are looked at`;
    aside.push({
      ...problem('too-many-certificates', { certificate: 'EK certificate', field: 'chain', text }),
      isAllowed: true,
    });
  }
  const { publicKey, extensions } = leaf.certificate;
  return {
    isTrusted: found.isAnchored && found.problems.every(({ isAllowed }) => isAllowed),
    path: found.certificates.map(stepOf),
    problems: [...found.problems, ...aside],
    ekSpkiSha256: publicKey === null ? null : keySha256(publicKey),
    ekPublicKey: publicKey,
    tpm: extensions.tpm,
  };
}

function tryRead(
  bytes: Uint8Array,
  what: string,
): { readonly certificate: Certificate } | { readonly problem: PathProblem } {
  try {
    return { certificate: readCertificate(bytes) };
  } catch (cause) {
    if (!(cause instanceof SurfacedError)) throw cause;
    return { problem: problem('unreadable', { certificate: what, field: 'DER', text: cause.message }) };
  }
}

const unreadable = (found: PathProblem): EkVerdict => ({
  isTrusted: false,
  path: [],
  problems: [found],
  ekSpkiSha256: null,
  ekPublicKey: null,
  tpm: null,
});

const stepOf = ({ subject, issuer, sha256, extensions }: Certificate): PathStep => ({
  subject: subject.text,
  issuer: issuer.text,
  sha256,
  subjectKeyIdentifier: extensions.subjectKeyIdentifier,
  authorityKeyIdentifier: extensions.authorityKeyIdentifier,
});
