/**
 * A file beside the folder of the log that says: its head was signed. Whoever takes `head.json` away, and has only the
 * folder, cannot make the log one whose first head was never written.
 */
import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { stateError, writeStateFile } from '../state-files.ts';

/** Path of the mark: `audit-signed` for the folder `audit`. */
export const markFile = (folder: string): string => `${path.resolve(folder)}-signed`;

/** Notes that a head of this log is on the disk, as often as one likes. @throws SurfacedError E_STATE_DIR */
export async function markSigned(folder: string): Promise<void> {
  const text = 'The audit log has a signed head: without head.json it is not whole.\n';
  await writeStateFile(markFile(folder), text, { isExclusive: true });
}

/** Whether a head of this log was on the disk. @throws SurfacedError E_STATE_DIR */
export async function isMarked(folder: string): Promise<boolean> {
  try {
    await access(markFile(folder));
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw stateError(markFile(folder), cause);
  }
}

/** Forgets it, when another log begins in the folder. @throws SurfacedError E_STATE_DIR */
export async function removeMark(folder: string): Promise<void> {
  try {
    await rm(markFile(folder), { force: true });
  } catch (cause) {
    throw stateError(markFile(folder), cause);
  }
}
