/**
 * The copy of the log that survives a restart of the machine, for TPMs that are not reset by one. It is believed in nothing:
 * it counts where PCRs are exactly what it says, and whoever spoils it has the surface refused until its power is cut.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder } from '../state-files.ts';
import { measureError } from './content.ts';

/** Most bytes that are saved: about a hundred starts of the SD-card image. */
export const mostSavedBytes = 1024 * 1024;

/**
 * What was saved; null: nothing was.
 * @throws SurfacedError E_MEASURE for what cannot be read, is no file, or is too large
 */
export async function readSavedLog(name: string): Promise<Buffer | null> {
  let file: FileHandle | null = null;
  try {
    // Neither a pipe is waited for, nor is a link followed.
    file = await open(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = await file.stat();
    if (!status.isFile()) throw new Error('not a file');
    const bytes = Buffer.alloc(Math.min(status.size, mostSavedBytes) + 1);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) return bytes.subarray(0, length);
      length += bytesRead;
    }
    throw new Error(`more than ${mostSavedBytes} bytes`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw measureError(name, `the saved log cannot be read: ${wordsOf(cause)}`, cause);
  } finally {
    await file?.close();
  }
}

/**
 * Saves a log so that it is there as a whole, or as it was before, whenever the power is cut. What is saved already is not
 * written again.
 * @throws SurfacedError E_MEASURE
 */
export async function saveLog(name: string, bytes: Uint8Array): Promise<void> {
  if (bytes.length > mostSavedBytes)
    throw measureError(
      name,
      `the log has ${bytes.length} bytes, of which at most ${mostSavedBytes} are saved: cut the power for a moment instead of the next restart, and it begins anew`,
    );
  const before = await readSavedLog(name).catch(() => null);
  if (before?.equals(bytes) === true) return;
  try {
    const folder = path.dirname(name);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await open(`${name}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${name}.new`, name);
    await syncFolder(folder);
  } catch (cause) {
    const why = `the log cannot be saved (${wordsOf(cause)}): what was measured counts until the machine is restarted, then its power must be cut`;
    throw measureError(name, why, cause);
  }
}

/** The same; gives what went wrong, null: nothing. @param name null: nothing is to be saved */
export async function trySave(name: string | null, bytes: Uint8Array): Promise<unknown> {
  try {
    if (name !== null) await saveLog(name, bytes);
    return null;
  } catch (problem) {
    return problem;
  }
}

const wordsOf = (problem: unknown): string =>
  (problem as NodeJS.ErrnoException).code ?? (problem instanceof Error ? problem.message : String(problem));
