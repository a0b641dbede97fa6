/** Compares measurements with all versions of a policy that are valid now, in one pass over the logs. */
import { SurfacedError } from '../../errors.ts';
import { Comparison } from './comparison.ts';
import type { Reference } from './reference-set.ts';
import type { Match, Proven, References } from './types.ts';

/** Whether a set counts at this time, Unix milliseconds: from `notBefore` on, until before `notAfter`. */
export const isValidAt = ({ notBefore, notAfter }: Pick<Reference, 'notBefore' | 'notAfter'>, now: number) =>
  (notBefore === null || notBefore <= now) && (notAfter === null || now < notAfter);

/** A policy from its versions, which all have its name. */
export function createReferences(name: string, versions: readonly Reference[]): References {
  const newestFirst = versions.toSorted((one, other) => other.version - one.version);
  return {
    name,
    match(proven, now): Match {
      const valid = newestFirst.filter((version) => isValidAt(version, now));
      if (valid.length === 0) return { isMatch: false, reasons: [noneValid(name, newestFirst, now)] };
      const comparisons = valid.map((version) => new Comparison(version, proven));
      const failure = compareAll(comparisons, proven);
      if (failure !== null) return { isMatch: false, reasons: [failure] };
      for (const comparison of comparisons) {
        const covers = comparison.finish();
        if (covers === null) continue;
        const { version, sha256 } = comparison.reference;
        return { isMatch: true, reference: { name, version, sha256 }, covers };
      }
      const reasons = comparisons.map(({ reference, reason }) => `version ${reference.version}: ${reason}`);
      return { isMatch: false, reasons };
    },
  };
}

/** Gives every log once to the comparisons that want it. Returns why it could not be read to its end. */
function compareAll(comparisons: readonly Comparison[], proven: Proven): string | null {
  function give<T>(
    log: Parameters<Comparison['wants']>[0],
    records: Iterable<T> | null,
    take: (comparison: Comparison, record: T) => void,
  ): void {
    let wanting = comparisons.filter((comparison) => comparison.wants(log));
    if (records === null || wanting.length === 0) return;
    for (const record of records) {
      for (const comparison of wanting) take(comparison, record);
      if (wanting.every(({ reason }) => reason === null)) continue;
      wanting = wanting.filter(({ reason }) => reason === null);
      if (wanting.length === 0) return;
    }
  }
  try {
    give('firmware', proven.firmware, (comparison, record) => comparison.event(record));
    give('measured', proven.measured, (comparison, record) => comparison.measured(record));
    give('systemd', proven.systemd, (comparison, record) => comparison.systemd(record));
    give('ima', proven.ima, (comparison, entry) => comparison.ima(entry));
    return null;
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_ATTEST_LOG') return error.message;
    throw error;
  }
}

function noneValid(name: string, versions: readonly Reference[], now: number): string {
  const windows = versions
    .slice(0, 3)
    .map(({ version, notBefore, notAfter }) =>
      notBefore !== null && now < notBefore
        ? `version ${version} begins ${new Date(notBefore).toISOString()}`
        : `version ${version} ended ${new Date(notAfter ?? 0).toISOString()}`,
    );
  return `no version of ${name} is valid now: ${windows.join(', ')}`;
}
