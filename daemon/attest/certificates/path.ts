/**
 * Finds the path from an EK certificate to one of the operator's roots. Several certificates may bear the issuer's
 * name (renewed, cross-signed, or put there to mislead): all are tried, depth first, with a bound on the signatures
 * checked, and what keeps each from fitting is told.
 */
import type { Certificate } from './certificate.ts';
import { type PathProblem, problem } from './problems.ts';
import { authorityProblems, type EkPolicy, leafProblems } from './rules.ts';
import { isSignedBy } from './signature.ts';

/** Certificates in a path, leaf and root counted. */
const mostInPath = 6;
/** Signatures that are checked for one leaf, so that what a surface sends cannot cost a gateway more. */
const mostSignatures = 32;

/** A path as far as it was found. */
export interface FoundPath {
  /** Leaf first. */
  readonly certificates: readonly Certificate[];
  readonly problems: readonly PathProblem[];
  /** Whether its last certificate is one of the roots. */
  readonly isAnchored: boolean;
}

/** What a path is looked for in. */
export interface PathRequest {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
  readonly roots: readonly Certificate[];
  /** Unix milliseconds. */
  readonly now: number;
  readonly policy: EkPolicy;
}

/** The path without a problem if there is one, else the one that comes nearest. */
export function findPath(request: PathRequest): FoundPath {
  const { leaf, intermediates, roots, now, policy } = request;
  const isAnchor = ({ subject, issuer }: Certificate) =>
    policy.mayRootBeIntermediate || subject.key === issuer.key;
  const anchors = new Set(roots.filter(isAnchor).map(({ sha256 }) => sha256));
  const refusedRoots = new Set(roots.filter((root) => !isAnchor(root)).map(({ sha256 }) => sha256));
  const pool = [...new Map([...roots, ...intermediates].map((one) => [one.sha256, one])).values()];
  let signaturesLeft = mostSignatures;
  return walk([leaf], leafProblems(leaf, now, policy));

  function walk(path: readonly Certificate[], problems: readonly PathProblem[]): FoundPath {
    const last = path.at(-1) ?? leaf;
    if (path.length > 1 && anchors.has(last.sha256))
      return { certificates: path, problems, isAnchored: true };
    const stop = (...more: PathProblem[]): FoundPath => ({
      certificates: path,
      problems: [...problems, ...more],
      isAnchored: false,
    });
    const named = pool.filter(({ subject }) => subject.key === last.issuer.key);
    const candidates = named.filter((one) => !path.some((other) => isSameAuthority(one, other)));
    if (candidates.length === 0) return stop(endOf(last, named.length > 0));
    if (path.length === mostInPath) {
      return stop(tell(last, 'path-too-long', 'issuer', `no root within ${mostInPath} certificates`));
    }
    if (last.scheme.kind === 'refused') {
      const text = `${last.scheme.what} is not accepted, only SHA-256 and longer with RSA or ECDSA`;
      return stop(tell(last, 'signature-algorithm', 'signatureAlgorithm', text));
    }
    let best: FoundPath | null = null;
    const misfits: PathProblem[] = [];
    for (const candidate of candidates) {
      const misfit = linkProblem(last, candidate);
      if (misfit !== null) {
        misfits.push(misfit);
        continue;
      }
      const more = authorityProblems(candidate, path, now);
      const found = walk([...path, candidate], [...problems, ...more]);
      if (found.isAnchored && found.problems.every(({ isAllowed }) => isAllowed)) return found;
      if (best === null || rank(found) > rank(best)) best = found;
    }
    return best ?? stop(...misfits);
  }

  function endOf(last: Certificate, isKnown: boolean): PathProblem {
    if (last.subject.key === last.issuer.key) {
      return tell(
        last,
        'root-unknown',
        'subject',
        `self-signed, and no root stands above it (sha256 ${last.sha256})`,
      );
    }
    const issuer = wantedIssuer(last);
    if (refusedRoots.has(last.sha256)) {
      const text = `it is among the roots but not self-signed: accept such roots, or add its issuer ${issuer}`;
      return tell(last, 'root-not-self-signed', 'issuer', text);
    }
    if (isKnown) return tell(last, 'loop', 'issuer', `the path comes back to ${issuer}`);
    return tell(
      last,
      'issuer-missing',
      'issuer',
      `the certificate of ${issuer} is missing; add it to the roots or intermediates`,
    );
  }

  /** Null when `issuer` has signed `subject`. */
  function linkProblem(subject: Certificate, issuer: Certificate): PathProblem | null {
    const [wanted, own] = [subject.extensions.authorityKeyIdentifier, issuer.extensions.subjectKeyIdentifier];
    if (wanted !== null && own !== null && wanted !== own) {
      const text = `${wanted.slice(0, 80)} is wanted, the certificate of ${issuer.label} that is there has ${own.slice(0, 80)}`;
      return tell(subject, 'key-identifier', 'authorityKeyIdentifier', text);
    }
    if (issuer.publicKey === null) {
      return tell(issuer, 'key-refused', 'subjectPublicKeyInfo', issuer.keyProblem ?? 'not accepted');
    }
    if (signaturesLeft === 0) {
      return tell(subject, 'too-many-certificates', 'issuer', `no path within ${mostSignatures} signatures`);
    }
    signaturesLeft -= 1;
    if (isSignedBy(issuer.publicKey, subject)) return null;
    return tell(
      subject,
      'signature',
      'signature',
      `it is not by the key of ${issuer.label} (sha256 ${issuer.sha256})`,
    );
  }
}

/** The name and key identifier of the certificate that must have issued this one. */
function wantedIssuer({ issuer, extensions }: Certificate): string {
  const key = extensions.authorityKeyIdentifier;
  return `"${issuer.text}"${key === null ? '' : ` with the key identifier ${key.slice(0, 80)}`}`;
}

/** Going through the same name and key twice never helps, whatever else differs. */
const isSameAuthority = (one: Certificate, other: Certificate): boolean =>
  one.sha256 === other.sha256 || (one.subject.key === other.subject.key && one.spki.equals(other.spki));

/** A path that reaches a root comes nearest when least is wrong with it; of others, the longest. */
const rank = ({ isAnchored, certificates, problems }: FoundPath): number =>
  isAnchored ? 1_000_000 - problems.length : certificates.length * 1000 - problems.length;

const tell = (
  certificate: Certificate,
  code: PathProblem['code'],
  field: string,
  text: string,
): PathProblem => problem(code, { certificate: certificate.label, field, text });
