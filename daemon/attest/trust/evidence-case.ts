/** From what was sent and what was kept to a case that can be judged, and to what the audit log keeps of it. */
import { createHash } from 'node:crypto';
import { SurfacedError } from '../../errors.ts';
import type { AuditedQuote } from '../audit/types.ts';
import { logDigests } from '../evidence/binding.ts';
import {
  type Challenge,
  type Evidence,
  type LogName,
  logNames,
  mostWholeLogBytes,
} from '../evidence/evidence.ts';
import { attest, decode, TpmFormatError } from '../tpm2/index.ts';
import type { Case, WholeLogs } from '../verifier/types.ts';
import type { ClockState, Verdict } from '../verifier/verdict.ts';
import type { Dossier } from './dossier.ts';
import { mostDossierLogBytes } from './dossiers.ts';

/** 32 hex digits, the same for the same quote. */
export const evidenceId = ({ attest, signature }: Pick<Evidence, 'attest' | 'signature'>): string =>
  createHash('sha256').update(attest).update(signature).digest('hex').slice(0, 32);

const startAgain = (why: string): SurfacedError =>
  new SurfacedError('E_ENROL_EPOCH', `${why}; everything must be sent`);

/**
 * The logs from their first bytes.
 * @param before what was kept, when the challenge went on from it
 * @throws SurfacedError E_ENROL_EPOCH when a part does not begin where it was asked for; E_ENROL_EVIDENCE for too much
 */
export function wholeLogs(evidence: Evidence, challenge: Challenge, before: Dossier | null): WholeLogs {
  const logs: Partial<Record<LogName, Uint8Array | null>> = {};
  let total = 0;
  for (const name of logNames) {
    const asked = challenge.logs[name];
    const part = evidence.logs[name];
    if (part === null) {
      if (asked.bytes > 0) throw startAgain(`the log "${name}" was there before, and is not any more`);
      logs[name] = null;
      continue;
    }
    if (part.from.bytes !== asked.bytes || part.from.records !== asked.records)
      throw startAgain(`the log "${name}" was sent from byte ${part.from.bytes}, not ${asked.bytes}`);
    const kept = asked.bytes === 0 ? new Uint8Array(0) : before?.case.logs[name]?.subarray(0, asked.bytes);
    if (kept?.length !== asked.bytes)
      throw startAgain(`the log "${name}" is not kept up to byte ${asked.bytes}`);
    total += kept.length + part.bytes.length;
    if (kept.length + part.bytes.length > mostWholeLogBytes || total > mostDossierLogBytes)
      throw new SurfacedError(
        'E_ENROL_EVIDENCE',
        `the log "${name}" is too long: at most ${mostWholeLogBytes} bytes each, ${mostDossierLogBytes} together`,
      );
    logs[name] = kept.length === 0 ? part.bytes : Buffer.concat([kept, part.bytes]);
  }
  return logs as WholeLogs;
}

/**
 * Whether the TPM went through a reset or restart since: then its PCRs began anew and kept logs are not theirs. Bytes
 * that are no attestation say nothing; the verifier refuses them.
 */
export function isOtherEpoch(evidence: Pick<Evidence, 'attest'>, before: ClockState): boolean {
  try {
    const { clockInfo } = decode('attest', attest, evidence.attest);
    return clockInfo.resetCount !== before.resetCount || clockInfo.restartCount !== before.restartCount;
  } catch (problem) {
    if (problem instanceof TpmFormatError) return false;
    throw problem;
  }
}

/** Everything needed to judge, now or later. */
export function caseOf(given: {
  readonly claims: Case['claims'];
  readonly challenge: Challenge;
  readonly secret: Uint8Array | null;
  readonly answer: {
    readonly evidence: Evidence;
    readonly keySha256: Uint8Array;
    readonly channel: Uint8Array;
  };
  readonly logs: WholeLogs;
  readonly previous: ClockState | null;
  readonly isIncremental: boolean;
}): Case {
  const { claims, challenge, secret, answer, logs, previous, isIncremental } = given;
  const { evidence, keySha256, channel } = answer;
  const { nonce, bank, pcrs } = challenge;
  return {
    claims,
    expected: { nonce, keySha256, channel, secret, bank, pcrs, sentLogs: logDigests(evidence.logs) },
    evidence: {
      secret: evidence.secret,
      attest: evidence.attest,
      signature: evidence.signature,
      pcrs: evidence.pcrs,
    },
    logs,
    previous,
    isIncremental,
  };
}

/** What the audit log keeps of a case. */
export function auditedQuote({ claims, expected, evidence }: Case): AuditedQuote {
  const { nonce, keySha256, channel, secret, bank, sentLogs } = expected;
  return {
    claims: { ekPublic: claims.ekPublic, akPublic: claims.akPublic },
    nonce,
    keySha256,
    channel,
    secret,
    bank,
    logs: sentLogs,
    attest: evidence.attest,
    signature: evidence.signature,
    pcrs: evidence.pcrs,
  };
}

/**
 * Whether this TPM has made the evidence for this challenge, whatever it says. Endorsement key, certificate and
 * attestation key of a surface are no secrets: who knows them can begin in its name and send anything. Only what the
 * activated key has signed may count against the surface.
 */
export function isProven({ expected }: Pick<Case, 'expected'>, { checks }: Verdict): boolean {
  const outcome = (name: string) => checks.find((check) => check.name === name)?.outcome;
  const isActivated =
    expected.secret === null ? outcome('activation') !== 'failed' : outcome('activation') === 'passed';
  return isActivated && ['signature', 'attest', 'binding'].every((name) => outcome(name) === 'passed');
}
