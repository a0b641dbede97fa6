/** The first step: keys are judged and challenged, or put into quarantine. Nothing is proven by it. */
import { SurfacedError } from '../../errors.ts';
import type { Challenge, KeyClaims } from '../evidence/evidence.ts';
import { makeCredential } from '../tpm2/index.ts';
import type { KeyJudgement } from '../verifier/keys.ts';
import { type Binding, contestedReason } from './book.ts';
import type { FiledDossier } from './dossier.ts';
import { allFromStart, type LogEnds } from './log-ends.ts';
import type { TrustParts } from './parts.ts';
import { keyRules } from './rules.ts';
import type { Attesting, Begun } from './types.ts';

/** A nonce counts for two minutes (as `sessionLifeMs` of the endpoint), milliseconds. */
const challengeLifeMs = 120_000;
const nonceBytes = 32;
/** As long as the shortest nameAlg of an endorsement key allows. */
const secretBytes = 32;
const allPcrs = Array.from({ length: 16 }, (_, pcr) => pcr);

/** What `finish` must know of `begin`, and the surface must not. */
export interface Session {
  readonly binding: Binding;
  readonly claims: KeyClaims;
  readonly firmware: string;
  /** What the credential holds; null: the attestation key was activated before. */
  readonly secret: Uint8Array | null;
  /** Id of the evidence whose logs go on; null: all logs were asked for. */
  readonly goesOnFrom: string | null;
  /** Where the logs were asked for from. */
  readonly logs: LogEnds;
  readonly isRenewal: boolean;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
}

/** What was begun, by what the caller holds of it; gone with it. */
export type Sessions = WeakMap<Begun, Session>;

type BeginRequest = Parameters<Attesting['begin']>[0];

/** @param sendAll keys whose surfaces must send everything, whatever was kept */
export async function begin(
  parts: TrustParts,
  { sessions, sendAll }: { readonly sessions: Sessions; readonly sendAll: ReadonlySet<string> },
  request: BeginRequest,
): Promise<Begun> {
  const { verifier, clock, log, quarantine } = parts;
  const { claims, address } = request;
  // Whether the key is approved is looked up in the book: one look at the certificates is enough.
  const keys = verifier.judgeKeys(claims, keyRules(parts, null, clock.now()));
  const { ekSha256 } = keys;
  if (ekSha256 === null || !keys.mayBeApproved || keys.ek === null || keys.akName === null)
    throw keysRefused(keys);
  const bindings = parts.book().byKey.get(ekSha256) ?? [];
  const [binding, rival] = bindings;
  if (!binding) {
    const isNew = !quarantine.has(ekSha256);
    const { hasTrustedCertificate, certificateSummary: certificate } = keys;
    const { firmware } = request;
    const salt = quarantine.see({ ekSha256, address, firmware, hasTrustedCertificate, certificate });
    if (isNew) log.info({ ekSha256, address }, 'a TPM waits for approval');
    return { kind: 'quarantined', ekSha256, salt };
  }
  const revoked = bindings.find(({ isRevoked }) => isRevoked);
  if (revoked) throw new SurfacedError('E_SURFACE_REVOKED', `surface "${revoked.surface}" is revoked`);
  if (rival) throw new SurfacedError('E_ENROL_EVIDENCE', `ek-approved: ${contestedReason(binding)}`);

  const known = request.isRenewal && !sendAll.has(ekSha256) ? await goingOn(parts, binding, keys) : null;
  const secret = known ? null : parts.random(secretBytes);
  const challenge: Challenge = {
    nonce: parts.random(nonceBytes),
    credential: secret && sealed(keys, secret),
    bank: parts.config.policy.bank,
    pcrs: allPcrs,
    logs: known?.ends ?? allFromStart,
  };
  const begun: Begun = { kind: 'challenged', surface: binding.surface, ekSha256, challenge };
  sessions.set(begun, {
    binding,
    claims,
    firmware: request.firmware,
    secret,
    goesOnFrom: known?.evidence ?? null,
    logs: challenge.logs,
    isRenewal: request.isRenewal,
    expiresAt: clock.monotonic() + challengeLifeMs,
  });
  return begun;
}

/**
 * What was kept, if evidence may go on from it: it was accepted, the surface is trusted since, and the attestation key is
 * the one that was activated. Whether the TPM has been reset meanwhile is seen in the quote.
 */
async function goingOn(
  { ledger, dossiers, config }: TrustParts,
  { surface, ekSha256 }: Binding,
  { akName }: KeyJudgement,
): Promise<FiledDossier | null> {
  if (!ledger.isTrusted(surface)) return null;
  const dossier = await dossiers.glance(ekSha256);
  const isSame =
    dossier?.surface === surface &&
    dossier.verdict.isTrusted &&
    dossier.verdict.akName === akName &&
    dossier.accepted?.evidence === dossier.evidence &&
    dossier.case.expected.bank === config.policy.bank;
  return isSame ? dossier : null;
}

function sealed({ ek, akName }: KeyJudgement, secret: Uint8Array): Challenge['credential'] {
  if (ek === null || akName === null) throw new Error('keys that were not accepted get no credential');
  try {
    const { credentialBlob: blob, secret: seed } = makeCredential(ek, Buffer.from(akName, 'hex'), secret);
    return { blob, secret: seed };
  } catch (cause) {
    throw new SurfacedError('E_ENROL_EVIDENCE', 'ek-public: the key can receive no credential', { cause });
  }
}

function keysRefused({ checks }: KeyJudgement): SurfacedError {
  const failed = checks.find(({ name, outcome }) => outcome === 'failed' && name !== 'ek-approved');
  return new SurfacedError(
    'E_ENROL_EVIDENCE',
    failed ? `${failed.name}: ${failed.reason}` : 'ek-public: no key that can be challenged',
  );
}
