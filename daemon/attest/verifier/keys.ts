/** Judges the keys that a surface claims: whether they may be given a challenge, and whose they are. */
import { judgeEkCertificate } from '../certificates/ek-verdict.ts';
import { ekPublicSha256 } from '../certificates/public-key.ts';
import type { KeyClaims } from '../evidence/evidence.ts';
import { decode, isHash, nameOfPublic, type Public, publicArea } from '../tpm2/index.ts';
import { Checklist, failed, passed, type Ruling, skipped } from './checks.ts';
import { attestationKeyFault, endorsementKeyFault } from './key-areas.ts';
import type { KeyRules } from './types.ts';
import type { Check, CheckName } from './verdict.ts';

/** The checks that are made of keys alone. */
const keyChecks: readonly CheckName[] = ['ek-public', 'ek-certificate', 'ek-approved', 'ak-public'];

/** What is known of the keys before anything was proven. */
export interface KeyJudgement {
  /** `ek-public`, `ek-certificate`, `ek-approved` and `ak-public`. */
  readonly checks: readonly Check[];
  /** Whether no check failed: the keys may be challenged. */
  readonly isAcceptable: boolean;
  /** Whether no check but `ek-approved` failed: a person may be asked about a key that is not approved. */
  readonly mayBeApproved: boolean;
  /** Hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo; null when no key could be read. */
  readonly ekSha256: string | null;
  /** Hex of the attestation key's Name; null when no key could be read. */
  readonly akName: string | null;
  /** Null unless `ek-public` passed: what is here can be given to `makeCredential`. */
  readonly ek: Public | null;
  /** Null unless `ak-public` passed. */
  readonly ak: Public | null;
  /** Whether the endorsement key's certificate leads to one of the operator's roots. */
  readonly hasTrustedCertificate: boolean;
  /** One sentence on the certificate, safe on a terminal. */
  readonly certificateSummary: string;
}

/** Judges claims; nothing of them is proven by it. Never throws for what they hold. */
export function judgeKeys(claims: KeyClaims, rules: KeyRules): KeyJudgement {
  const checks = new Checklist();
  const ek = checks.judge('ek-public', () =>
    areaRuling('ekPublic', claims.ekPublic, endorsementKeyFault, 'an endorsement key of the template kind'),
  );
  const ekSha256 = read(ek, claims.ekPublic, ekPublicSha256);
  const hasTrustedCertificate =
    ek !== null &&
    ekSha256 !== null &&
    checks.judge('ek-certificate', () => certificateRuling(claims, rules, ekSha256)) === true;
  if (ekSha256 !== null) checks.judge('ek-approved', () => approvalRuling(ekSha256, rules));
  const ak = checks.judge('ak-public', () =>
    areaRuling('akPublic', claims.akPublic, attestationKeyFault, 'a restricted signing key of one TPM'),
  );
  const made = checks.of(keyChecks);
  const faults = made.filter(({ outcome }) => outcome === 'failed');
  const isReadable = ek !== null && ak !== null && ekSha256 !== null;
  return {
    checks: made,
    isAcceptable: isReadable && faults.length === 0,
    mayBeApproved: isReadable && faults.every(({ name }) => name === 'ek-approved'),
    ekSha256,
    akName: read(ak, claims.akPublic, (area) =>
      isHash(area.nameAlg) ? nameOfPublic(area).toString('hex') : null,
    ),
    ek,
    ak,
    hasTrustedCertificate,
    certificateSummary: made.find(({ name }) => name === 'ek-certificate')?.reason ?? '',
  };
}

function areaRuling(
  field: string,
  bytes: Uint8Array,
  faultOf: (area: Public) => string | null,
  what: string,
): Ruling<Public> | Ruling<null> {
  const area = decode(field, publicArea, bytes);
  const fault = faultOf(area);
  return fault === null ? passed(`${field}: ${what}`, area) : failed(`${field}, ${fault}`);
}

/**
 * What an area gives, null when it cannot be read: `areaRuling` has said why. `good` is the area when it passed: its key is
 * imported already.
 */
function read<Value>(good: Public | null, bytes: Uint8Array, take: (area: Public) => Value): Value | null {
  try {
    return take(good ?? decode('public area', publicArea, bytes));
  } catch {
    return null;
  }
}

function certificateRuling(
  claims: KeyClaims,
  rules: KeyRules,
  ekSha256: string,
): Ruling<true> | Ruling<null> {
  const { isCertificateRequired } = rules;
  const without = (reason: string) =>
    isCertificateRequired
      ? failed(`ekCertificate: ${reason}`)
      : skipped(`ekCertificate: ${reason}; none is demanded, approval of the key stands for it`);
  if (claims.ekCertificate === null) return without('none was sent');
  const verdict = judgeEkCertificate({
    certificate: claims.ekCertificate,
    intermediates: claims.ekChain,
    roots: rules.roots,
    now: rules.now,
    policy: rules.certificates,
  });
  // Also where no certificate is demanded: whoever sends that of another key is not what it says.
  if (verdict.ekSpkiSha256 !== null && verdict.ekSpkiSha256 !== ekSha256)
    return failed('ekCertificate: its key is not that of ekPublic');
  const told = verdict.problems.filter(({ isAllowed }) => isAllowed === verdict.isTrusted);
  const text = told[0]?.text ?? 'no root stands behind it';
  if (!verdict.isTrusted || verdict.ekSpkiSha256 === null) return without(text);
  const root = verdict.path.at(-1)?.subject ?? '';
  return passed(`leads to ${root}${told.length > 0 ? ` (accepted: ${text})` : ''}`, true);
}

function approvalRuling(ekSha256: string, { approvedEkSha256 }: KeyRules): Ruling<true> | Ruling<null> {
  if (approvedEkSha256 === null) return failed(`ekPublic: no surface is approved for the key ${ekSha256}`);
  return approvedEkSha256 === ekSha256
    ? passed(`ekPublic: ${ekSha256} is the key that was approved`, true)
    : failed(`ekPublic: ${ekSha256} is not the key that was approved, ${approvedEkSha256}`);
}
