/** A FAT32 file system made of a folder, without mounting anything: the same folder gives the same bytes. */
import { lutimes, readdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';

/** What runs the programs; the toolbox, or the host in tests. */
export type Tools = Pick<Toolbox, 'run'>;

/** FAT counts from 1980 in steps of two seconds. */
const firstTime = Date.UTC(1980, 0, 1) / 1_000;

/** Paths of the files and folders below `folder`, a folder before what is in it, names sorted by their bytes. */
export async function sortedPaths(folder: string): Promise<{ folders: string[]; files: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const relative = (entry: (typeof entries)[number]): string =>
    path.relative(folder, path.join(entry.parentPath, entry.name));
  const odd = entries.find((entry) => !entry.isFile() && !entry.isDirectory());
  if (odd !== undefined)
    throw new SurfacedError(
      'E_IMAGE_STEP',
      `${relative(odd)} is neither file nor folder: FAT cannot hold it`,
    );
  return {
    folders: entries
      .filter((entry) => entry.isDirectory())
      .map(relative)
      .toSorted(),
    files: entries
      .filter((entry) => entry.isFile())
      .map(relative)
      .toSorted(),
  };
}

/**
 * Writes a FAT32 file system of `bytes` bytes with everything below `folder` to `output`. All times are `epoch`
 * (seconds), and so are those of the folder itself afterwards. `volumeId` is of eight hexadecimal digits. Rejects with
 * E_IMAGE_STEP when the files do not fit.
 */
export async function makeFat({
  tools,
  folder,
  output,
  bytes,
  label,
  volumeId,
  epoch,
}: {
  readonly tools: Tools;
  readonly folder: string;
  readonly output: string;
  readonly bytes: number;
  readonly label: string;
  readonly volumeId: string;
  readonly epoch: number;
}): Promise<void> {
  const time = Math.max(epoch, firstTime);
  const binds = [folder, path.dirname(output)];
  // SOURCE_DATE_EPOCH is what mtools takes for "now"; MTOOLSRC keeps settings of the user out.
  const env = { SOURCE_DATE_EPOCH: String(time), TZ: 'UTC', MTOOLSRC: '/dev/null' };
  const run = (command: string, args: readonly string[]): Promise<string> =>
    tools.run(command, args, { binds, env });
  const { folders, files } = await sortedPaths(folder);
  for (const name of [...files, ...folders]) await lutimes(path.join(folder, name), time, time);

  await writeFile(output, '');
  await truncate(output, bytes);
  await run('mkfs.vfat', ['--invariant', '-F', '32', '-i', volumeId, '-n', label, output]);
  for (const name of folders) await run('mmd', ['-i', output, `::/${name}`]);
  // Order of the arguments is order on the disk. One call for each folder.
  for (const parent of ['.', ...folders]) {
    const inside = files
      .filter((name) => path.dirname(name) === parent)
      .map((name) => path.join(folder, name));
    const target = parent === '.' ? '::/' : `::/${parent}/`;
    if (inside.length > 0) await run('mcopy', ['-m', '-i', output, ...inside, target]);
  }
}
