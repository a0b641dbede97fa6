/**
 * Compares measurements with all versions of a policy that are valid now, in one pass over the logs.
 *
 * Where a machine was restarted and its TPM was not, each of its starts must match a version, as an update lies between them.
 * The verdict is of the version that the last one matches: that is what runs.
 */
import { SurfacedError } from '../../errors.ts';
import { type Compared, Comparison } from './comparison.ts';
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
      const compared = comparisons.map((comparison) => ({
        ...comparison.finish(),
        set: comparison.reference,
      }));
      return matchOf(compared);
    },
  };
}

type Finished = Compared & { readonly set: Reference };
type Covers = Extract<Match, { isMatch: true }>['covers'];

/** @param compared the newest version first */
function matchOf(compared: readonly Finished[]): Match {
  const counting = compared.filter(({ reason }) => reason === null);
  const starts = counting[0]?.starts.length ?? 1;
  let covers: Covers | null = null;
  let last: Finished | null = null;
  for (let start = 0; start < starts; start++) {
    const found = counting.find((one) => one.starts[start]?.reason === null);
    if (found === undefined) return { isMatch: false, reasons: reasonsOf(compared, { start, starts }) };
    covers = both(covers, coversOf(found, start));
    last = found;
  }
  if (last === null || covers === null) return { isMatch: false, reasons: ['nothing was compared'] };
  const { name, version, sha256 } = last.set;
  return { isMatch: true, reference: { name, version, sha256 }, covers };
}

function coversOf({ starts, hasFixedFiles, firmwareGap, ima }: Finished, start: number): Covers {
  return { files: hasFixedFiles || starts[start]?.hasFiles === true, firmwareGap, ima };
}

/** What is covered in both: a level is claimed for all that ran since the TPM was reset. */
const both = (one: Covers | null, other: Covers): Covers =>
  one === null
    ? other
    : {
        files: one.files && other.files,
        firmwareGap: one.firmwareGap ?? other.firmwareGap,
        ima: one.ima && other.ima,
      };

/** Why no version matches this start of the machine. */
function reasonsOf(
  compared: readonly Finished[],
  at: { readonly start: number; readonly starts: number },
): string[] {
  const which = at.starts === 1 ? '' : `start ${at.start + 1} of ${at.starts} since the TPM was reset: `;
  return compared.map(({ set, reason, starts }) => {
    const ofStart = starts[at.start]?.reason ?? reason;
    return `version ${set.version}: ${ofStart === reason ? '' : which}${ofStart}`;
  });
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
