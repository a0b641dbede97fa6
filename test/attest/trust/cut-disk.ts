/** A disk whose power is cut: before, in the middle of or behind one of its steps. Nothing is done from then on. */
import { appendFile } from 'node:fs/promises';
import { stateError } from '../../../daemon/attest/state-files.ts';
import { type Disk, disk } from '../../../daemon/attest/trust/disk.ts';

export type Cut = 'before' | 'within' | 'behind';

/** @param at number of the step, from 0; infinity counts the steps only */
export function cutDisk(at: number, cut: Cut): Disk & { readonly steps: () => number } {
  let step = 0;
  const guarded = async (file: string, work: () => Promise<void>, half: () => Promise<void>) => {
    const now = step++;
    const off = () => stateError(file, Object.assign(new Error('power'), { code: 'EIO' }));
    if (now > at) throw off();
    if (now < at) return await work();
    if (cut === 'within') await half();
    if (cut === 'behind') await work();
    throw off();
  };
  const nothing = async () => {};
  return {
    steps: () => step,
    makeFolder: (folder) => guarded(folder, () => disk.makeFolder(folder), nothing),
    create: (file, bytes) =>
      guarded(
        file,
        () => disk.create(file, bytes),
        () => disk.create(file, bytes.subarray(0, bytes.length / 2)),
      ),
    extend: (file, at, bytes) =>
      guarded(
        file,
        () => disk.extend(file, at, bytes),
        () => disk.extend(file, at, bytes.subarray(0, bytes.length / 2)),
      ),
    // Half of a file beside, as a writer leaves it that never came to the renaming.
    replace: (file, text) =>
      guarded(
        file,
        () => disk.replace(file, text),
        () => appendFile(`${file}.0123.tmp`, text.slice(0, text.length / 2)),
      ),
    rename: (from, to) => guarded(from, () => disk.rename(from, to), nothing),
    remove: (file) => guarded(file, () => disk.remove(file), nothing),
  };
}
