/**
 * Judges the last evidence of surfaces anew: when reference values change, when the registry says something else about a
 * surface, and after a start of the gateway. What is not good enough any more is told at once.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AuditEvent } from '../audit/types.ts';
import type { Verdict } from '../verifier/verdict.ts';
import type { Dossier } from './dossier.ts';
import { type AcceptedAt, agedReason, type Standing } from './ledger.ts';
import { rulesMark, type TrustParts } from './parts.ts';
import { acceptedLevel, refusal, verdictOn } from './verdicts.ts';

/** Surfaces at a time: while one is read or recorded, the next is judged. Each has its logs in memory. */
const mostAtOnce = 4;

export interface JudgeAnew {
  /** Judges these, behind what is to be judged already. */
  ask(surfaces: readonly string[]): void;
  /** Resolves when nothing is left to judge. */
  idle(): Promise<void>;
  /** Judges nothing more; resolves when what is being judged is done. */
  close(): Promise<void>;
}

export function createJudgeAnew(parts: TrustParts): JudgeAnew {
  const { ledger, turns, log } = parts;
  const waiting = new Set<string>();
  const workers = new Set<Promise<void>>();
  const toKeep = new Map<string, Judged>();

  async function work(): Promise<void> {
    for (const surface of waiting) {
      waiting.delete(surface);
      const entry = ledger.get(surface);
      if (!entry?.standing) continue;
      const { ekSha256 } = entry.binding;
      try {
        const judged = await turns.take(ekSha256, () => judgeOne(parts, surface));
        if (judged) toKeep.set(ekSha256, judged);
      } catch (error) {
        log.error({ surface, err: error }, 'evidence could not be judged anew');
        lose(parts, surface, 'its last evidence could not be judged anew');
      }
    }
    // Nobody waits for what is written now: everybody has been told before.
    for (const [ekSha256, judged] of toKeep) {
      if (waiting.size > 0) break;
      toKeep.delete(ekSha256);
      await turns.take(ekSha256, () => keep(parts, judged));
    }
  }
  const employ = (): void => {
    while (waiting.size + toKeep.size > 0 && workers.size < mostAtOnce) {
      const worker = work().finally(() => {
        workers.delete(worker);
        employ();
      });
      workers.add(worker);
    }
  };
  return {
    ask: (surfaces) => {
      for (const surface of surfaces) waiting.add(surface);
      employ();
    },
    idle: async () => {
      while (workers.size > 0) await Promise.all(workers);
    },
    close: async () => {
      waiting.clear();
      toKeep.clear();
      while (workers.size > 0) await Promise.all(workers);
    },
  };
}

/** A dossier whose logs are not held any more. */
type Kept = Omit<Dossier, 'case'>;

interface Judged {
  readonly dossier: Kept;
  readonly verdict: Verdict;
  readonly isAccepted: boolean;
}

/** Evidence that cannot be judged is no ground for trust. */
const lose = ({ ledger }: TrustParts, surface: string, reason: string): void =>
  ledger.apply(surface, 'lost', { reason, standing: null });

/** Judges, records, and tells at once what follows. Null: there was nothing to judge. */
async function judgeOne(parts: TrustParts, surface: string): Promise<Judged | null> {
  const { ledger, config, audit, log } = parts;
  const entry = ledger.get(surface);
  if (!entry?.standing || entry.binding.isRevoked || entry.binding.rivals.length > 0) return null;
  const { binding, standing } = entry;
  const rulesNow = rulesMark(parts, surface);
  const kept = await parts.dossiers.read(binding.ekSha256);
  if (kept?.surface !== surface || kept.case.expected.bank !== config.policy.bank) {
    lose(parts, surface, 'its last evidence is not kept, or not of the PCR bank that is asked for');
    return null;
  }
  const { case: subject, ...dossier } = kept;
  const verdict = await verdictOn(parts, subject, binding);
  const event: AuditEvent = {
    kind: 'verdict',
    surface,
    evidence: dossier.evidence,
    why: 'policy',
    verdict,
    quote: null,
  };
  let isRecorded = true;
  try {
    await audit.append(event);
  } catch (error) {
    isRecorded = false;
    log.error({ surface, err: error }, 'a verdict could not be recorded');
  }
  const level = acceptedLevel(verdict, binding.ekSha256);
  if (level === null)
    ledger.apply(surface, 'refused', { reason: refusal(verdict), standing: { ...standing, verdict } });
  // Trust is never given by rules that have changed meanwhile (then it is asked for again), nor without a record.
  else if (isRecorded && rulesMark(parts, surface) === rulesNow)
    accept(parts, surface, { standing, dossier, verdict, level });
  return { dossier, verdict, isAccepted: level !== null };
}

/** The same evidence, accepted now: but it is as old as it is. */
function accept(
  { ledger }: TrustParts,
  surface: string,
  given: { standing: Standing; dossier: Kept; verdict: Verdict; level: number },
): void {
  const { standing, dossier, verdict, level } = given;
  const { receivedAt: at, evidence } = dossier;
  const accepted: AcceptedAt = { at, evidence, monotonic: standing.receivedAt };
  const after = { ...standing, verdict, accepted };
  if (ledger.isFresh(accepted))
    ledger.apply(surface, 'accepted', {
      reason: `its evidence was judged anew and accepted at level ${level}`,
      standing: after,
    });
  else ledger.apply(surface, 'aged', { reason: agedReason(accepted), standing: after });
}

/** Writes what is different now. */
async function keep({ dossiers, log }: TrustParts, { dossier, verdict, isAccepted }: Judged): Promise<void> {
  const { receivedAt: at, evidence, ekSha256 } = dossier;
  const accepted = isAccepted ? { at, evidence, clock: verdict.clock } : dossier.accepted;
  if (isDeepStrictEqual([verdict, accepted], [dossier.verdict, dossier.accepted])) return;
  const filed = await dossiers.glance(ekSha256);
  if (filed?.evidence !== evidence) return;
  try {
    await dossiers.rewrite({ ...filed, verdict, accepted });
  } catch (error) {
    // It is judged anew after every start.
    log.warn({ ekSha256, err: error }, 'a verdict cannot be kept');
  }
}
