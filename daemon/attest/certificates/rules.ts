/** What every certificate of a path must keep to (RFC 5280 section 6.1; TCG EK Credential Profile, section 3). */
import type { Certificate } from './certificate.ts';
import { oid } from './extensions.ts';
import { type PathProblem, type ProblemCode, problem } from './problems.ts';

/** One is enough to refuse; the others are for the reader. */
const mostToldExtensions = 4;

/** What the operator accepts beyond the rules. */
export interface EkPolicy {
  /** EK certificates outlive their dates in the field: then an expired one is told and accepted. Never one of a CA. */
  readonly mayLeafBeExpired: boolean;
  /** Whether certificates among the roots that another CA has issued end a path. */
  readonly mayRootBeIntermediate: boolean;
}

/** Problems of the EK certificate itself. */
export function leafProblems(leaf: Certificate, now: number, policy: EkPolicy): PathProblem[] {
  const found = commonProblems(leaf, now).map((one) =>
    one.code === 'expired' && policy.mayLeafBeExpired ? { ...one, isAllowed: true } : one,
  );
  const add = (code: ProblemCode, field: string, text: string) =>
    found.push(problem(code, { certificate: leaf.label, field, text }));
  const { basicConstraints, keyUsage, extendedKeyUsage, tpm } = leaf.extensions;
  if (basicConstraints?.isAuthority === true) {
    add('leaf-is-authority', 'basicConstraints', 'an EK certificate must not be that of a CA');
  }
  if (keyUsage?.has('keyCertSign') === true) {
    add('leaf-is-authority', 'keyUsage', 'an EK must not sign certificates (keyCertSign)');
  }
  const wanted = leaf.publicKey?.asymmetricKeyType === 'ec' ? 'keyAgreement' : 'keyEncipherment';
  if (leaf.publicKey !== null && keyUsage !== null && !keyUsage.has(wanted)) {
    add('leaf-key-usage', 'keyUsage', `${wanted} is missing, which an EK of this kind needs`);
  }
  if (extendedKeyUsage !== null && !extendedKeyUsage.includes(oid.endorsementKeyPurpose)) {
    add('leaf-purpose', 'extendedKeyUsage', `tcg-kp-EKCertificate (${oid.endorsementKeyPurpose}) is missing`);
  }
  // Without either, any certificate for encryption of the same CA would pass.
  if (extendedKeyUsage === null && tpm === null) {
    add(
      'leaf-purpose',
      'extendedKeyUsage',
      'missing, and subjectAltName names no TPM: not an EK certificate',
    );
  }
  return found;
}

/**
 * Problems of a CA certificate that has issued the last one of `below`, the EK certificate first. The same is asked of
 * roots: what an operator's root says about itself is kept to.
 */
export function authorityProblems(
  authority: Certificate,
  below: readonly Certificate[],
  now: number,
): PathProblem[] {
  const found = commonProblems(authority, now);
  const add = (code: ProblemCode, field: string, text: string) =>
    found.push(problem(code, { certificate: authority.label, field, text }));
  const { basicConstraints, keyUsage, extendedKeyUsage } = authority.extensions;
  if (basicConstraints?.isAuthority !== true)
    add('not-an-authority', 'basicConstraints', 'it is not that of a CA');
  if (keyUsage !== null && !keyUsage.has('keyCertSign')) {
    add('authority-key-usage', 'keyUsage', 'keyCertSign is missing, which a CA needs');
  }
  const purposes = [oid.endorsementKeyPurpose, oid.anyExtendedKeyUsage] as const;
  if (extendedKeyUsage !== null && !purposes.some((purpose) => extendedKeyUsage.includes(purpose))) {
    add('authority-purpose', 'extendedKeyUsage', 'the CA is for other purposes than EK certificates');
  }
  // RFC 5280 section 4.2.1.9: neither the leaf nor self-issued certificates count.
  const between = below.slice(1).filter(({ subject, issuer }) => subject.key !== issuer.key).length;
  const most = basicConstraints?.pathLength ?? null;
  if (most !== null && between > most) {
    add('path-length', 'basicConstraints', `pathLenConstraint ${most}, and ${between} CAs are below it`);
  }
  return found;
}

function commonProblems(certificate: Certificate, now: number): PathProblem[] {
  const found: PathProblem[] = [];
  const add = (code: ProblemCode, field: string, text: string) =>
    found.push(problem(code, { certificate: certificate.label, field, text }));
  const day = (time: number) => new Date(time).toISOString();
  if (now < certificate.notBefore) {
    add('not-yet-valid', 'notBefore', `valid from ${day(certificate.notBefore)}, and it is ${day(now)}`);
  }
  if (now > certificate.notAfter) {
    add('expired', 'notAfter', `ended ${day(certificate.notAfter)}, and it is ${day(now)}`);
  }
  if (certificate.publicKey === null) {
    add('key-refused', 'subjectPublicKeyInfo', certificate.keyProblem ?? 'not accepted');
  }
  for (const id of certificate.extensions.unhandled.slice(0, mostToldExtensions)) {
    add('critical-extension', `extension ${id}`, 'it must be taken into account, and is not known here');
  }
  return found;
}
