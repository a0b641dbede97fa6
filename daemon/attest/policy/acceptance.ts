/**
 * Whether a policy will take a version that no surface runs yet, by the reference set that came with that version. A surface
 * that is asked to run what its policy does not take would be locked out.
 */
import { SurfacedError } from '../../errors.ts';
import { isMeasurablePcr } from '../logs/measure-log.ts';
import { parseReferenceSet, type Reference, reference } from './reference-set.ts';

/**
 * The set that is signed with a version, ready for comparisons.
 * @param text YAML of a ReferenceSet
 * @param source named in errors
 * @throws SurfacedError E_CFG_INVALID, E_POLICY_SET
 */
export function referenceOfVersion(text: string, source: string): Reference {
  const bytes = Buffer.from(text);
  const set = parseReferenceSet(bytes, source);
  if (set.spec.ima !== undefined)
    throw new SurfacedError(
      'E_POLICY_SET',
      `${source}: spec.ima: a bundle has no list of IMA beside its set`,
    );
  return reference(set, { file: source, bytes, signer: null, contents: null });
}

/** Whether a set takes what `next` says that the version measures. A file that `next` does not require proves nothing here. */
export function takes(set: Reference, next: Reference): boolean {
  if (set.sha256 === next.sha256) return true;
  for (const [pcr, values] of set.pcrs) {
    const expected = next.pcrs.get(pcr);
    // What is measured into it changes with the version, and the set has values of an older one.
    if (expected === undefined ? isMeasurablePcr(pcr) : !shares(values, expected)) return false;
  }
  // The log of what was measured is not looked at.
  if (set.files.size === 0) return set.ima === null;
  return [...next.files].every(([path, file]) => {
    const known = set.files.get(path);
    if (known !== undefined) return shares(known.sha256, file.sha256);
    return set.mayHaveOtherFiles || !file.isRequired;
  });
}

const shares = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean =>
  [...one].some((value) => other.has(value));
