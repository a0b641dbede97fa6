/** Small secret files that must survive a power cut: written beside, synced, then put in place in one step. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../errors.ts';

/** Makes the folder, readable by its owner only, unless it is there. @throws SurfacedError E_STATE_DIR */
export async function makeStateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw stateError(folder, cause);
  }
}

/**
 * Writes a file with mode 0600 so that it is there as a whole or not at all.
 * @returns false when `isExclusive` and somebody else has made the file first
 * @throws SurfacedError E_STATE_DIR
 */
export async function writeStateFile(
  file: string,
  text: string,
  options: { readonly isExclusive: boolean },
): Promise<boolean> {
  const beside = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    try {
      const handle = await open(beside, 'wx', 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // link, unlike rename, fails when the name is taken.
      if (options.isExclusive) await link(beside, file);
      else await rename(beside, file);
    } finally {
      // Also after a failure: what is tried again and again on a full disk must not fill it further.
      await rm(beside, { force: true });
    }
    await syncFolder(path.dirname(file));
    return true;
  } catch (cause) {
    if (options.isExclusive && (cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw stateError(file, cause);
  }
}

/** Makes renamed and new names in a folder last. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** An error of the file system, with the words for the operator. */
export function stateError(file: string, cause: unknown): SurfacedError {
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new SurfacedError('E_STATE_DIR', `${file}: ${reason}`, { cause });
}
