/** After a start: what was kept of each surface, and how old it may be taken to be. */
import type { Clock } from '../../clock.ts';
import { type AcceptedAt, agedReason } from './ledger.ts';
import type { TrustParts } from './parts.ts';

/** How long evidence counts, milliseconds. */
interface Ages {
  /** Life of a certificate: no start makes evidence count for longer from now on. */
  readonly lifeMs: number;
  /** What it may be late by while the gateway runs. */
  readonly graceMs: number;
}

/** Puts what was kept into the ledger; the surfaces whose evidence must be judged anew before they are trusted. */
export async function restore(parts: TrustParts, ages: Ages): Promise<string[]> {
  const { ledger, dossiers, clock } = parts;
  const toJudge: string[] = [];
  for (const { binding, state } of ledger.list()) {
    const { surface, ekSha256 } = binding;
    const filed = state === 'pending' ? await dossiers.glance(ekSha256) : null;
    // The registry may have changed meanwhile.
    const entry = ledger.get(surface);
    if (filed?.surface !== surface || entry?.state !== 'pending') continue;
    if (entry.binding.ekSha256 !== ekSha256 || entry.standing !== null) continue;
    const { verdict, firmware, receivedAt, evidence } = filed;
    const accepted: AcceptedAt | null = filed.accepted && {
      at: filed.accepted.at,
      evidence: filed.accepted.evidence,
      monotonic: monotonicOf(filed.accepted.at, ages, clock),
    };
    const received = { at: receivedAt, evidence, monotonic: monotonicOf(receivedAt, ages, clock) };
    const standing = { firmware, verdict, receivedAt: received.monotonic, accepted };
    if (verdict.isTrusted && !ledger.isFresh(received)) {
      ledger.apply(surface, 'aged', { reason: agedReason(accepted), standing });
      continue;
    }
    const reason = 'the gateway was started, and its last evidence is judged anew';
    ledger.apply(surface, 'lost', { reason, standing });
    toJudge.push(surface);
  }
  return toJudge;
}

/**
 * When something was by the monotonic clock of this process, which did not run then. The wall clock may have been set
 * meanwhile: what would be in the future is too old, and nothing is so young that it counts for longer than a
 * certificate lives.
 */
export function monotonicOf(at: number, { lifeMs, graceMs }: Ages, clock: Clock): number {
  const age = clock.now() - at;
  return age < 0 || age >= lifeMs ? Number.NEGATIVE_INFINITY : clock.monotonic() - Math.max(age, graceMs);
}
