/**
 * The verifier: evidence and rules become a verdict. Pure: no I/O, no clock, the same verdict for the same input for ever,
 * so that a stored case can be judged again, under newer rules or years later.
 */
import { Checklist, failed, passed, type Ruling, skipped } from './checks.ts';
import { clockRuling, clockState, epochOf } from './clock.ts';
import { judgeKeys, type KeyJudgement } from './keys.ts';
import { levelRuling, referenceRuling } from './levels.ts';
import { judgeLogs } from './logs.ts';
import { isSameSecret, judgeQuote } from './quote.ts';
import type { Case, Rules } from './types.ts';
import type { Measured, Verdict } from './verdict.ts';

const nothingMeasured: Measured = {
  firmwareEvents: 0,
  files: 0,
  systemdRecords: 0,
  imaEntries: 0,
  imaViolations: 0,
};

type Proof = Pick<Verdict, 'level' | 'clock' | 'epoch' | 'reference' | 'measured'>;
const noProof: Proof = { level: null, clock: null, epoch: null, reference: null, measured: nothingMeasured };

/** Judges evidence. Never throws for what a surface sends: whatever goes wrong is a check that failed. */
export function verify(subject: Case, rules: Rules): Verdict {
  const checks = new Checklist();
  const keys = judgeKeys(subject.claims, rules);
  for (const check of keys.checks) checks.add(check);
  const proof = keys.isAcceptable ? prove(checks, { subject, rules, keys }) : noProof;
  const isTrusted = !checks.hasFailed && proof.level !== null;
  return {
    v: 1,
    isTrusted,
    ekSha256: keys.ekSha256,
    akName: keys.akName,
    hasTrustedCertificate: keys.hasTrustedCertificate,
    checks: checks.of(),
    ...proof,
    level: isTrusted ? proof.level : null,
  };
}

function prove(
  checks: Checklist,
  { subject, rules, keys }: { subject: Case; rules: Rules; keys: KeyJudgement },
): Proof {
  const { expected, evidence, logs, previous, isIncremental } = subject;
  checks.judge('activation', () => activationRuling(subject));
  if (checks.hasFailed || keys.ak === null) return noProof;
  const attest = judgeQuote(checks, { ak: keys.ak, expected, evidence, whole: { logs, isIncremental } });
  if (attest === null) return noProof;
  const clock = clockState(attest);
  const proof: Proof = { ...noProof, clock, epoch: epochOf(clock, previous) };
  const isActivated = expected.secret !== null;
  checks.judge('clock', () => clockRuling(clock, { previous, isIncremental, isActivated }));
  if (checks.hasFailed) return proof;

  const { bank } = expected;
  const { assertedLevel } = rules;
  const { proven, measured } = judgeLogs(checks, logs, { bank, pcrs: evidence.pcrs, assertedLevel });
  if (checks.hasFailed) return { ...proof, measured };
  const match = checks.judge('reference', () => referenceRuling(proven, rules));
  if (checks.hasFailed) return { ...proof, measured };
  const level = checks.judge('level', () => levelRuling(match, proven, rules));
  return { ...proof, measured, level, reference: match?.reference ?? null };
}

/** Whoever knows the secret has the endorsement key, and the attestation key in the same TPM. */
function activationRuling({ expected, evidence }: Case): Ruling<true> | Ruling<null> {
  if (expected.secret === null)
    return evidence.secret === null
      ? skipped('no credential was sent: this attestation key was activated before')
      : failed('secret: there is one, and no credential was sent');
  if (evidence.secret === null) return failed('secret: missing, the credential was not opened');
  return isSameSecret(evidence.secret, expected.secret)
    ? passed('the attestation key is in the TPM of the endorsement key', true)
    : failed('secret: not that of the credential');
}
