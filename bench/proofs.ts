/** The gateway's part of a proof: what it asks, and whether it accepts the answer. */
import { randomBytes } from 'node:crypto';
import { readCertificate } from '../daemon/attest/certificates/certificate.ts';
import { ekPublicSha256 } from '../daemon/attest/certificates/public-key.ts';
import { logDigests } from '../daemon/attest/evidence/binding.ts';
import type { Challenge, Evidence, KeyClaims, LogName } from '../daemon/attest/evidence/evidence.ts';
import { logNames } from '../daemon/attest/evidence/evidence.ts';
import { decode, makeCredential, nameOfPublic, publicArea } from '../daemon/attest/tpm2/index.ts';
import { allFromStart, type LogEnds } from '../daemon/attest/trust/log-ends.ts';
import type { Case, Rules, WholeLogs } from '../daemon/attest/verifier/types.ts';
import { type ClockState, firstFailure, type Verdict } from '../daemon/attest/verifier/verdict.ts';
import { verify } from '../daemon/attest/verifier/verify.ts';

/** As the gateway asks for. */
export const quotedPcrs: readonly number[] = Array.from({ length: 16 }, (_, pcr) => pcr);
export const noLogs = { firmware: null, ima: null, measured: null, systemd: null };

/** What is asked, with what only the gateway knows. */
export interface Asked {
  readonly claims: KeyClaims;
  readonly challenge: Challenge;
  readonly bound: { readonly keySha256: Uint8Array; readonly channel: Uint8Array };
  /** What the credential holds; null: there is none, as at a renewal. */
  readonly secret: Uint8Array | null;
}

/** A challenge; `logs` says where logs go on. */
export function ask(claims: KeyClaims, hasCredential: boolean, logs: LogEnds = allFromStart): Asked {
  const secret = hasCredential ? randomBytes(32) : null;
  const area = (bytes: Uint8Array) => decode('public area', publicArea, bytes);
  const made = secret && makeCredential(area(claims.ekPublic), nameOfPublic(area(claims.akPublic)), secret);
  const credential = made && { blob: made.credentialBlob, secret: made.secret };
  return {
    claims,
    challenge: { nonce: randomBytes(32), credential, bank: 'sha256', pcrs: quotedPcrs, logs },
    bound: { keySha256: randomBytes(32), channel: randomBytes(32) },
    secret,
  };
}

/** Evidence as the verifier takes it; `earlier` is what it goes on from. */
export function caseOf(
  { claims, challenge, bound, secret }: Asked,
  { logs: parts, ...evidence }: Evidence,
  earlier: { readonly logs: WholeLogs; readonly clock: ClockState } | null = null,
): Case {
  const whole = (name: LogName): Uint8Array | null => {
    const [before, now] = [earlier?.logs[name] ?? null, parts[name]];
    return before && now ? Buffer.concat([before, now.bytes]) : (now?.bytes ?? null);
  };
  const { nonce, bank, pcrs } = challenge;
  return {
    claims,
    expected: { nonce, ...bound, secret, bank, pcrs, sentLogs: logDigests(parts) },
    evidence,
    logs: Object.fromEntries(logNames.map((name) => [name, whole(name)])) as unknown as WholeLogs,
    previous: earlier?.clock ?? null,
    isIncremental: earlier !== null,
  };
}

/** Demands that the certificate leads to the root, and this level of this policy. */
export function rulesOf(
  claims: Pick<KeyClaims, 'ekPublic'>,
  options: {
    readonly root: Uint8Array;
    readonly references: Rules['references'];
    readonly level: Rules['requiredLevel'];
  },
): Rules {
  return {
    roots: [readCertificate(options.root)],
    certificates: { mayLeafBeExpired: false, mayRootBeIntermediate: false },
    isCertificateRequired: true,
    approvedEkSha256: ekPublicSha256(decode('endorsement key', publicArea, claims.ekPublic)),
    now: Date.now(),
    assertedLevel: options.level,
    requiredLevel: options.level,
    references: options.references,
  };
}

/** The verdict, which must be a good one: what proves nothing is not worth being measured. */
export function accepted(subject: Case, rules: Rules): Verdict {
  const verdict = verify(subject, rules);
  const failure = firstFailure(verdict);
  if (verdict.isTrusted) return verdict;
  throw new Error(
    `evidence was refused: ${failure ? `${failure.name}: ${failure.reason}` : 'no check failed'}`,
  );
}
