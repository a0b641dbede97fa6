/** What is built: version, commit and time of the sources. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SurfacedError } from '../../daemon/errors.ts';

/** The state of the sources that an image is built of. */
export interface SourceState {
  /** Null: these sources are no checkout of git. */
  readonly commit: string | null;
  /** Files differ from those of the commit. */
  readonly isDirty: boolean;
  /** Seconds: SOURCE_DATE_EPOCH if it is set, else the time of the commit. Every time in the image is this one. */
  readonly epoch: number;
}

/**
 * Looks at the checkout `folder`. Rejects with E_IMAGE_ORDER when neither git nor SOURCE_DATE_EPOCH says what time it is, or
 * SOURCE_DATE_EPOCH is no number of seconds since 1980.
 */
export async function sourceState(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<SourceState> {
  // The owner of the checkout need not be root, who builds.
  const git = async (...args: string[]): Promise<string | null> => {
    const all = ['-c', `safe.directory=${folder}`, '-C', folder, ...args];
    return promisify(execFile)('git', all, { env: { ...environment, LC_ALL: 'C' }, maxBuffer: 2 ** 26 }).then(
      ({ stdout }) => stdout.trim(),
      () => null,
    );
  };
  const commit = await git('rev-parse', 'HEAD');
  const given = environment.SOURCE_DATE_EPOCH;
  const text = given ?? (commit === null ? null : await git('log', '-1', '--format=%ct'));
  if (text === null)
    throw new SurfacedError(
      'E_IMAGE_ORDER',
      `${folder} is no checkout of git with a commit; say with SOURCE_DATE_EPOCH (seconds) what time the files of the image get`,
    );
  const epoch = Number(text);
  // FAT begins in 1980, and the MBR of nothing ends before 2100.
  if (!/^\d+$/.test(text) || epoch < 315_532_800 || epoch > 4_102_444_800)
    throw new SurfacedError(
      'E_IMAGE_ORDER',
      `SOURCE_DATE_EPOCH is ${text}, not seconds between 1980 and 2100`,
    );
  return { commit, isDirty: commit !== null && (await git('status', '--porcelain')) !== '', epoch };
}
