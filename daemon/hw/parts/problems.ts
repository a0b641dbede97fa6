/** What is wrong with a panel made of parts, in words for people. Pure. */
import { SurfacedError } from '../../errors.ts';
import type { ComposedPart } from './compose.ts';

/** A part that is not open, and why. */
export interface Missing {
  readonly part: ComposedPart;
  /** Names of its controls, as the panel calls them. */
  readonly controls: readonly string[];
  readonly problem: Error;
}

/** More names than these are counted only. */
const maxNames = 6;

function list(names: readonly string[]): string {
  const shown = names.slice(0, maxNames).join(', ');
  return names.length > maxNames ? `${shown} and ${names.length - maxNames} more` : shown;
}

/** What a missing part takes with it; empty when nobody will miss it. */
function loss(missing: readonly Missing[]): string {
  const controls = [...new Set(missing.flatMap((one) => one.controls))];
  const hasLights = missing.some(({ part }) => part.spec.lights !== null);
  const lost = [
    ...(controls.length > 0 ? [`${list(controls)} ${controls.length > 1 ? 'are' : 'is'} missing`] : []),
    ...(hasLights ? ['its lights are dark'] : []),
  ];
  return lost.length > 0 ? `; ${lost.join(', ')}` : '';
}

/** Why a part is not open, in a few words that name it. */
function reason({ part, problem }: Missing): string {
  const code = problem instanceof SurfacedError ? problem.code : null;
  if (code === 'E_HW_NO_ACK') return `${part.label} does not answer`;
  if (problem.message.includes(part.label)) return problem.message;
  return `${part.label}: ${problem.message}`;
}

/** What comes from an error with its remedy ends a sentence that goes on here. */
const withoutStop = (text: string): string => text.replace(/\.$/, '');

/** One sentence about all that is wrong, null when nothing is; `jumping` are faders whose readings jump. */
export function problemOf(missing: readonly Missing[], jumping: readonly string[]): string | null {
  const told = [
    ...missingProblems(missing),
    ...jumping.map((name) => `${name} jumps: bad contact of its wiper or its wires, or garbled answers`),
  ];
  return told.length === 0 ? null : told.join('; ');
}

/**
 * What is missing, each with why. Parts that are missing for one and the same reason (their bus) are named together.
 */
function missingProblems(missing: readonly Missing[]): readonly string[] {
  const groups = new Map<Error, Missing[]>();
  for (const one of missing) groups.set(one.problem, [...(groups.get(one.problem) ?? []), one]);
  return [...groups.values()].map((group) => {
    const [first] = group;
    if (first === undefined) return '';
    const why =
      group.length === 1
        ? withoutStop(reason(first))
        : `${withoutStop(first.problem.message)}: ${list(group.map(({ part }) => part.label))}`;
    return `${why}${loss(group)}`;
  });
}
