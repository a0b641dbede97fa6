/** The version of this program, from its package, and how versions are compared. */
import { createRequire } from 'node:module';

/** As in package.json; the compiled program is one folder deeper. */
export const { version } = createRequire(import.meta.url)(
  import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json',
) as { readonly version: string };

/** A version as bundles, slots and rollouts name it: that of semver without build metadata; safe as a file name. */
export const versionPattern =
  /^(?:0|[1-9]\d{0,5})\.(?:0|[1-9]\d{0,5})\.(?:0|[1-9]\d{0,5})(?:-[0-9A-Za-z-]{1,20}(?:\.[0-9A-Za-z-]{1,20}){0,5})?$/;

/**
 * Which of two versions is newer, by semver's precedence (semver.org, item 11): above 0 when the first is, below 0 when
 * the second is.
 * @throws RangeError for what is no version
 */
export function compareVersions(one: string, other: string): number {
  const [first, second] = [partsOf(one), partsOf(other)];
  for (const [index, number] of first.numbers.entries()) {
    const difference = number - (second.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  // A version without a pre-release comes after all of its pre-releases.
  if (first.before.length === 0 || second.before.length === 0)
    return second.before.length - first.before.length;
  for (const [index, identifier] of first.before.entries()) {
    const difference = compareIdentifiers(identifier, second.before[index]);
    if (difference !== 0) return difference;
  }
  return first.before.length - second.before.length;
}

function partsOf(text: string): { readonly numbers: readonly number[]; readonly before: readonly string[] } {
  if (!versionPattern.test(text)) throw new RangeError(`not a version: ${JSON.stringify(text.slice(0, 64))}`);
  const dash = text.indexOf('-');
  const [core, before] = dash < 0 ? [text, null] : [text.slice(0, dash), text.slice(dash + 1)];
  return { numbers: core.split('.').map(Number), before: before?.split('.') ?? [] };
}

/** Numbers come before words and by their value; an identifier comes after none at all. */
function compareIdentifiers(one: string, other: string | undefined): number {
  if (other === undefined) return 1;
  const isNumber = (text: string): boolean => /^\d+$/.test(text);
  if (isNumber(one) && isNumber(other)) return Number(one) - Number(other);
  if (isNumber(one) !== isNumber(other)) return isNumber(one) ? -1 : 1;
  return one < other ? -1 : one > other ? 1 : 0;
}
