/** What can be wrong with an EK certificate and its path, as data. */

/** One kind of problem each; `docs` and operators may refer to them. */
export type ProblemCode =
  // One certificate
  | 'unreadable'
  | 'key-refused'
  | 'not-yet-valid'
  | 'expired'
  | 'critical-extension'
  // The EK certificate
  | 'leaf-is-authority'
  | 'leaf-key-usage'
  | 'leaf-purpose'
  // An authority
  | 'not-an-authority'
  | 'authority-key-usage'
  | 'authority-purpose'
  | 'path-length'
  // A link, or the whole
  | 'signature-algorithm'
  | 'signature'
  | 'key-identifier'
  | 'issuer-missing'
  | 'root-unknown'
  | 'root-not-self-signed'
  | 'loop'
  | 'path-too-long'
  | 'too-many-certificates';

/** One problem of one certificate. */
export interface PathProblem {
  readonly code: ProblemCode;
  /** The certificate: its subject, or its serial number where that is empty. */
  readonly certificate: string;
  /** The field of it, in the spelling of RFC 5280. */
  readonly field: string;
  /** A sentence that names certificate and field; safe to print. */
  readonly text: string;
  /** True when the policy accepts it: it is told, and changes no verdict. */
  readonly isAllowed: boolean;
}

/** A problem that no policy allows. */
export function problem(
  code: ProblemCode,
  { certificate, field, text }: { certificate: string; field: string; text: string },
): PathProblem {
  return { code, certificate, field, text: `${certificate}, ${field}: ${text}`, isAllowed: false };
}
