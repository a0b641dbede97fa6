/**
 * What may be claimed: never more than the operator asserted, and never more than the evidence supports.
 *
 * Level 1 needs measurements above the firmware that match the policy, level 2 the same where the operator asserts that
 * only signed code boots, level 3 the firmware's event log where they assert that the boot is measured. Who asserts 3 has
 * not asserted 2, so that without the log level 1 is left.
 */
import { shown } from '../logs/log.ts';
import type { Match, Proven } from '../policy/types.ts';
import type { Level } from '../types.ts';
import { failed, passed, type Ruling, skipped } from './checks.ts';
import type { Rules } from './types.ts';

type Matched = Extract<Match, { isMatch: true }>;

/** Most reasons of sets that did not match. */
const mostReasons = 3;
const mostCharacters = 150;

/** Compares what was proven with the reference sets of the policy. */
export function referenceRuling(
  proven: Proven,
  { references, now }: Pick<Rules, 'references' | 'now'>,
): Ruling<Matched> | Ruling<null> {
  if (references === null)
    return skipped('the surface names no policy, so nothing of its software is compared');
  const match = references.match(proven, now);
  const name = shown(references.name);
  if (!match.isMatch) {
    const reasons = match.reasons.slice(0, mostReasons).map((reason) => reason.slice(0, mostCharacters));
    const more = match.reasons.length - reasons.length;
    return failed(`policy ${name}: ${reasons.join('; ')}${more > 0 ? `; and ${more} more` : ''}`);
  }
  const { reference, covers } = match;
  const covered = [
    ...(covers.files ? ['files'] : []),
    ...(covers.firmwareGap === null ? ['firmware'] : []),
    ...(covers.ima ? ['ima'] : []),
  ];
  return passed(
    `${shown(reference.name)}, version ${reference.version}, covers ${covered.join(', ') || 'nothing'}`,
    match,
  );
}

/** The highest level that holds. `match` is null where no policy was named. */
function levelHeld(assertedLevel: Level, match: Matched | null, proven: Proven): Level {
  if (match === null || assertedLevel === 0) return 0;
  const { covers } = match;
  if (assertedLevel === 3 && covers.firmwareGap === null && proven.firmware !== null) return 3;
  if (!covers.files && !covers.ima) return 0;
  return assertedLevel === 3 ? 1 : assertedLevel;
}

/** Why the evidence does not support the level that was asserted. */
function shortfall(assertedLevel: Level, match: Matched | null): string {
  if (match === null) return 'nothing of its software is compared';
  if (assertedLevel < 3) return 'the policy covers neither files nor the list of IMA';
  return match.covers.firmwareGap ?? 'there is no event log of the firmware';
}

/** Whether the level that holds is enough, and why it is less than was asserted. */
export function levelRuling(
  match: Matched | null,
  proven: Proven,
  { assertedLevel, requiredLevel }: Pick<Rules, 'assertedLevel' | 'requiredLevel'>,
): Ruling<Level> | Ruling<null> {
  const held = levelHeld(assertedLevel, match, proven);
  const less =
    held < assertedLevel
      ? `, ${assertedLevel} is asserted and not supported by the evidence: ${shortfall(assertedLevel, match)}`
      : '';
  return held >= requiredLevel
    ? passed(`level ${held} holds${less}`, held)
    : failed(`level ${held} holds, ${requiredLevel} is required${less}`);
}
