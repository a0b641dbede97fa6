/** The file with the digests of images that may run, watched for changes. While it is broken, none may. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readBounded } from '../../config/read-bounded.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { fileStamp, watchFolder } from '../../watch-folder.ts';

/** Some 50,000 digests. */
const mostBytes = 4 * 1024 * 1024;
const debounceMs = 100;

/** The list as it is now. */
export interface ImageList {
  /** @param digest `sha256:` and 64 hex digits in lower case */
  has(digest: string): boolean;
  /** Why the list cannot be used, null: it can. */
  problem(): string | null;
}

/** The same, from a file. */
export interface ImageFile extends ImageList {
  readonly count: number;
  close(): Promise<void>;
}

/** Reads the file and watches it. A file that cannot be used is told by `problem`, at the start too. */
export async function openImageList(options: {
  readonly file: string;
  readonly log: Log;
}): Promise<ImageFile> {
  const { file, log } = options;
  const none: ReadonlySet<string> = new Set();
  let digests = none;
  let problem: string | null = null;
  let stamp = '';
  async function look(): Promise<void> {
    try {
      const found = await stat(file);
      // Opening a pipe would wait for somebody to write to it.
      if (!found.isFile()) throw new SurfacedError('E_CFG_READ', `${file}: not a file`);
      const next = fileStamp(found);
      if (problem === null && next !== '' && next === stamp) return;
      digests = readImages((await readBounded(file, mostBytes)).toString('latin1'), file);
      stamp = next;
      if (problem !== null) log.info({ file, images: digests.size }, 'list of images can be used again');
      problem = null;
    } catch (error) {
      const { message } = error as Error;
      digests = none;
      stamp = '';
      if (problem !== message) log.error({ file, problem: message }, 'list of images cannot be used');
      problem = message;
    }
  }
  await look();
  // `look` catches what is thrown; a defect in it is told, too.
  const onError = (error: unknown): void => log.error({ err: error }, 'list of images not read');
  const watching = watchFolder({ folder: path.dirname(file), debounceMs, look, onError });
  return {
    has: (digest) => digests.has(digest),
    problem: () => problem,
    get count() {
      return digests.size;
    },
    close: () => watching.close(),
  };
}

/**
 * Digests, one a line; empty lines and what follows a `#` do not count.
 * @throws SurfacedError E_ADMISSION naming the first line that is wrong
 */
export function readImages(text: string, file: string): ReadonlySet<string> {
  const digests = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const entry = line.replace(/#.*/, '').trim();
    if (entry === '') continue;
    if (!/^sha256:[0-9a-f]{64}$/.test(entry))
      throw new SurfacedError(
        'E_ADMISSION',
        `${file}:${index + 1}: expected sha256: and 64 hex digits in lower case`,
      );
    digests.add(entry);
  }
  return digests;
}
