/** The boot partition is read-only but for the moments in which something is written to it. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { SurfacedError } from '../errors.ts';

/** Far more than a remount takes, milliseconds. */
const mountMs = 30_000;

/** Lets the boot partition be written while the work is done. */
export type WhileWritable = <T>(work: () => Promise<T>) => Promise<T>;

/** On the image: mounted anew, and read-only again whatever came of the work. Rejects with E_FIRST_BOOT. */
export function remounting(folder: string): WhileWritable {
  const remount = async (how: 'rw' | 'ro'): Promise<void> => {
    try {
      await promisify(execFile)('mount', ['-o', `remount,${how}`, folder], { timeout: mountMs });
    } catch (cause) {
      const { stderr = '' } = cause as { stderr?: string };
      const why = stderr.trim().split('\n')[0] || String(cause);
      throw new SurfacedError('E_FIRST_BOOT', `${folder} cannot be made ${how}: ${why}`, { cause });
    }
  };
  return async (work) => {
    await remount('rw');
    try {
      return await work();
    } finally {
      await remount('ro');
    }
  };
}

/** For a folder that is writable as it is. */
export const asItIs: WhileWritable = (work) => work();

/**
 * Makes sure that this is the image.
 * @param root `/` but in tests
 * @throws SurfacedError E_NOT_IMAGE
 */
export async function checkImage(root: string): Promise<void> {
  const slot = path.join(root, '/run/surfaced/boot/slot');
  const isThere = await stat(slot).then(
    () => true,
    () => false,
  );
  if (!isThere) throw new SurfacedError('E_NOT_IMAGE', `there is no ${slot}`);
}
