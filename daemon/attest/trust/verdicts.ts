/** What a verdict is worth here, whoever gave it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SurfacedError } from '../../errors.ts';
import type { Level } from '../types.ts';
import type { Case } from '../verifier/types.ts';
import { checkNames, firstFailure, type Verdict } from '../verifier/verdict.ts';
import type { Binding } from './book.ts';
import type { TrustParts } from './parts.ts';
import { evidenceRules } from './rules.ts';

/**
 * The verdict under the rules of now; everything else that waits has its turn first.
 * @throws SurfacedError E_ENROL_FAILED when the verifier itself fails, which says nothing about the surface
 */
export async function verdictOn(parts: TrustParts, subject: Case, binding: Binding): Promise<Verdict> {
  await nextTurn();
  try {
    return parts.verifier.verify(subject, evidenceRules(parts, binding, parts.clock.now()));
  } catch (cause) {
    throw new SurfacedError('E_ENROL_FAILED', 'the evidence could not be judged', { cause });
  }
}

/**
 * The level at which evidence of this key is accepted, null: it is not. A verdict that contradicts itself, misses a check
 * or is about another key is none.
 */
export function acceptedLevel(verdict: Verdict, ekSha256: string): Level | null {
  const isWhole = checkNames.every((name) => verdict.checks.some((check) => check.name === name));
  const isGood = verdict.isTrusted && isWhole && firstFailure(verdict) === null;
  return isGood && verdict.ekSha256 === ekSha256 && verdict.akName !== null ? verdict.level : null;
}

/** Why evidence is refused, one sentence that begins with the name of the check. */
export function refusal(verdict: Verdict): string {
  const failed = firstFailure(verdict);
  return failed
    ? `${failed.name}: ${failed.reason}`
    : 'level: the verdict says nothing that can be relied on';
}
