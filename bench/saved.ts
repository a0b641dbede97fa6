/** Results that are kept from run to run. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { BenchResult, Report } from './types.ts';

/** Numbers of a row, which JSON writes as null when they are none. */
const rowNumbers: ReadonlySet<string> = new Set(['ours', 'theirs', 'ratio', 'ratioLow', 'ratioHigh']);

/** The report in a file; an empty one when there is no file. */
export async function readReport(file: string): Promise<Report> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { results: [] };
  }
  return JSON.parse(text, (key, value: unknown) =>
    value === null && rowNumbers.has(key) ? Number.NaN : value,
  ) as Report;
}

/** Writes it, with its folder when that is missing. */
export async function writeReport(file: string, report: Report): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

/**
 * The last result of each bench, in the order of the names: a new one in place of the kept one, unless it was not
 * measured and the kept one was. What has another name is dropped.
 */
export function mergedResults(
  names: readonly string[],
  kept: readonly BenchResult[],
  fresh: readonly BenchResult[],
): BenchResult[] {
  return names.flatMap((name) => {
    const before = kept.find((result) => result.name === name);
    const now = fresh.find((result) => result.name === name);
    const isBetterBefore = now?.findings === null && before !== undefined && before.findings !== null;
    return (isBetterBefore ? before : (now ?? before)) ?? [];
  });
}
