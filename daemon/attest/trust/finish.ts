/** The second step: evidence is judged, the verdict recorded, and only then anything follows from it. */
import { SurfacedError } from '../../errors.ts';
import { createRateLimit, type RateLimit } from '../enrol/rate-limit.ts';
import { logNames } from '../evidence/evidence.ts';
import type { Case } from '../verifier/types.ts';
import type { Verdict } from '../verifier/verdict.ts';
import type { Session, Sessions } from './begin.ts';
import { type Binding, contestedReason } from './book.ts';
import type { Dossier } from './dossier.ts';
import { mostDossierLogBytes } from './dossiers.ts';
import { auditedQuote, caseOf, evidenceId, isOtherEpoch, isProven, wholeLogs } from './evidence-case.ts';
import { allFromStart, logEnds } from './log-ends.ts';
import { rulesMark, type TrustParts } from './parts.ts';
import type { Attested, Attesting } from './types.ts';
import { acceptedLevel, refusal, verdictOn } from './verdicts.ts';

/** Evidence that is judged, or waits for it, at a time; each has its logs in memory. */
const mostAtOnce = 4;
/** Rules that change while evidence is judged make it judged again, this often. */
const mostRounds = 3;
const mebibyte = 1024 * 1024;

type Answer = Parameters<Attesting['finish']>[1];
type Challenged = Parameters<Attesting['finish']>[0];

/** A case with what stays the same however often it is judged. */
interface Received {
  readonly session: Session;
  readonly subject: Case;
  /** What the new dossier begins as; its verdict and what was accepted come from judging. */
  readonly dossier: Omit<Dossier, 'verdict' | 'accepted'>;
  readonly acceptedBefore: Dossier['accepted'];
  readonly monotonic: number;
}

/** @param options.sendAll keys whose surfaces must send everything the next time, as is found here */
export function createFinish(
  parts: TrustParts,
  { sessions, sendAll }: { readonly sessions: Sessions; readonly sendAll: Set<string> },
): Attesting['finish'] {
  const { clock, turns } = parts;
  /** Anybody can send evidence that is no TPM's; a few of them are worth a record. */
  const unproven = createRateLimit({ burst: 5, perSecond: 1 / 60, maxNames: 10_000, clock });
  const logBytes = createLogBudget(parts);
  let running = 0;
  return async (begun, answer) => {
    const session = sessions.get(begun);
    // Whatever comes of it, a challenge counts once.
    sessions.delete(begun);
    if (!session || session.expiresAt <= clock.monotonic())
      throw new SurfacedError(
        'E_ENROL_SESSION',
        'begin anew: the challenge was answered before, or is too old',
      );
    if (running >= mostAtOnce)
      throw new SurfacedError('E_ENROL_BUSY', `the evidence of ${running} surfaces is being judged`);
    running++;
    try {
      return await turns.take(begun.ekSha256, async () => {
        try {
          const received = await receive(parts, { session, begun, answer });
          const attested = await judge(parts, received, { unproven, logBytes });
          sendAll.delete(begun.ekSha256);
          return attested;
        } catch (problem) {
          // Only a connection with the certificate of this TPM is asked to go on: a stranger cannot make it start over.
          const isGoingOn = session.goesOnFrom !== null;
          if (isGoingOn && problem instanceof SurfacedError && problem.code === 'E_ENROL_EPOCH')
            sendAll.add(begun.ekSha256);
          throw problem;
        }
      });
    } finally {
      running--;
    }
  };
}

/** What the registry says about the surface now; what it said when the challenge was made is of no use any more. */
function bindingNow({ book }: TrustParts, { surface, ekSha256 }: Binding): Binding {
  const binding = book().bySurface.get(surface);
  if (binding?.ekSha256 !== ekSha256)
    throw new SurfacedError(
      'E_ENROL_EVIDENCE',
      `ek-approved: the key is not approved as "${surface}" any more`,
    );
  if (binding.isRevoked) throw new SurfacedError('E_SURFACE_REVOKED', `surface "${surface}" is revoked`);
  if (binding.rivals.length > 0)
    throw new SurfacedError('E_ENROL_EVIDENCE', `ek-approved: ${contestedReason(binding)}`);
  return binding;
}

/** Puts together what was sent and what was kept. */
async function receive(
  parts: TrustParts,
  { session, begun, answer }: { session: Session; begun: Challenged; answer: Answer },
): Promise<Received> {
  const { surface, ekSha256 } = bindingNow(parts, session.binding);
  const isGoingOn = session.goesOnFrom !== null;
  const whole = isGoingOn ? await parts.dossiers.read(ekSha256) : null;
  const kept = isGoingOn ? whole : await parts.dossiers.glance(ekSha256);
  const before = kept?.surface === surface ? kept : null;
  if (isGoingOn && before?.evidence !== session.goesOnFrom)
    throw new SurfacedError('E_ENROL_EPOCH', 'what was kept is not what it was; everything must be sent');
  const previous = before?.accepted?.clock ?? null;
  if (isGoingOn && (previous === null || isOtherEpoch(answer.evidence, previous)))
    throw new SurfacedError(
      'E_ENROL_EPOCH',
      'the TPM was reset since the last evidence; everything must be sent',
    );
  const { claims, secret, firmware } = session;
  const { challenge } = begun;
  const logs = wholeLogs(answer.evidence, challenge, whole);
  const subject = caseOf({ claims, challenge, secret, answer, logs, previous, isIncremental: isGoingOn });
  return {
    session,
    subject,
    dossier: {
      ekSha256,
      surface,
      firmware,
      receivedAt: parts.clock.now(),
      evidence: evidenceId(answer.evidence),
      case: subject,
      ends: allFromStart,
    },
    acceptedBefore: before?.accepted ?? null,
    monotonic: parts.clock.monotonic(),
  };
}

/** By endorsement key. */
interface Limits {
  readonly unproven: RateLimit;
  readonly logBytes: RateLimit;
}

/**
 * What one TPM may have judged, bytes of whole logs: judging keeps the one thread of the gateway busy (3 s for the longest
 * logs), and a surface with an approved TPM that somebody took over can prove itself as often as it likes. A good one
 * renews at two thirds of its certificate's life, which has to fit whatever the length of its logs. Spent only by what the
 * TPM has signed, or strangers could keep it out.
 */
function createLogBudget({ config, clock }: TrustParts): RateLimit {
  const perSecond = (2 * mostDossierLogBytes) / config.enrol.certificateTtlSeconds;
  return createRateLimit({
    burst: 64 * mebibyte,
    perSecond: Math.max((8 * mebibyte) / 60, perSecond),
    maxNames: 10_000,
    clock,
  });
}

async function judge(
  parts: TrustParts,
  received: Received,
  { unproven, logBytes }: Limits,
): Promise<Attested> {
  const { audit, ledger } = parts;
  const { session, subject, dossier } = received;
  const { ekSha256, surface, evidence } = dossier;
  const bytes = logNames.reduce((sum, name) => sum + (subject.logs[name]?.length ?? 0), 0);
  if (!logBytes.has(ekSha256, bytes))
    throw new SurfacedError(
      'E_ENROL_BUSY',
      `too much evidence of this TPM was judged lately for ${bytes} more bytes of logs; try again in a minute`,
    );
  for (let round = 0; round < mostRounds; round++) {
    const binding = bindingNow(parts, session.binding);
    const rulesNow = rulesMark(parts, surface);
    const verdict = await verdictOn(parts, subject, binding);
    // Once: that the rules change meanwhile is not the surface's doing.
    if (round === 0 && isProven(subject, verdict)) logBytes.spend(ekSha256, bytes);
    const level = acceptedLevel(verdict, ekSha256);
    const record = () =>
      audit.append({
        kind: 'verdict',
        surface,
        evidence,
        why: session.isRenewal ? 'renew' : 'enrol',
        verdict,
        quote: auditedQuote(subject),
      });
    if (level === null) {
      await refuse(parts, { received, verdict, record, unproven });
      throw new SurfacedError('E_ENROL_EVIDENCE', refusal(verdict));
    }
    await record();
    const { receivedAt: at } = dossier;
    const ends = logEnds(subject.logs, session.logs);
    await parts.dossiers.write({
      ...dossier,
      ends,
      verdict,
      accepted: { at, evidence, clock: verdict.clock },
    });
    // What follows happens at once: nothing can change in between.
    if (rulesMark(parts, surface) !== rulesNow) continue;
    bindingNow(parts, session.binding);
    ledger.apply(surface, 'accepted', {
      reason: `its evidence was accepted at level ${level}`,
      standing: {
        firmware: dossier.firmware,
        verdict,
        receivedAt: received.monotonic,
        accepted: { at, evidence, monotonic: received.monotonic },
      },
    });
    return { surface, ekSha256, level, evidence };
  }
  throw new SurfacedError('E_ENROL_BUSY', 'the policy changes faster than evidence can be judged');
}

/** Trust ends with bad evidence, even where that cannot be written down; but only with evidence of this very TPM. */
async function refuse(
  { ledger, dossiers, log }: TrustParts,
  told: {
    readonly received: Received;
    readonly verdict: Verdict;
    readonly record: () => Promise<void>;
    readonly unproven: RateLimit;
  },
): Promise<void> {
  const { received, verdict, record, unproven } = told;
  const { dossier, subject, acceptedBefore, monotonic } = received;
  const { surface, ekSha256 } = dossier;
  const reason = refusal(verdict);
  if (!isProven(subject, verdict)) {
    if (!unproven.take(ekSha256)) return;
    log.warn({ surface, reason }, 'evidence that this TPM has not signed was refused; its state stays');
    return await record();
  }
  try {
    await record();
  } catch (problem) {
    log.error({ surface, err: problem }, 'refused evidence could not be recorded');
  }
  ledger.apply(surface, 'refused', {
    reason,
    standing: {
      firmware: dossier.firmware,
      verdict,
      receivedAt: monotonic,
      accepted: ledger.get(surface)?.standing?.accepted ?? null,
    },
  });
  try {
    await dossiers.write({ ...dossier, verdict, accepted: acceptedBefore });
  } catch (problem) {
    log.warn({ surface, err: problem }, 'refused evidence cannot be kept');
    // After a restart, what was accepted before must not count either.
    await dossiers.withdraw(ekSha256).catch((error: unknown) => {
      log.error({ surface, err: error }, 'what was kept of a surface cannot be put aside');
    });
  }
}
