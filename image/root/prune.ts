/** Takes away what no surface needs, from a tree that was just unpacked. */
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import type { Toolbox } from '../toolbox/toolbox.ts';
import { modulesToKeep } from './modules.ts';
import { keptFiles, keptModules, unneededPaths } from './packages.ts';

/** Paths below `folder` of all that is no folder. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

/** The one folder that `pattern` fits, of which the last part may end with `*`. */
async function folderOf(root: string, pattern: string): Promise<string> {
  const [parent, start] = [path.dirname(pattern), path.basename(pattern).replace('*', '')];
  const found = (await readdir(path.join(root, parent))).filter((name) =>
    pattern.endsWith('*') ? name.startsWith(start) : name === start,
  );
  const [name] = found;
  if (name === undefined || found.length > 1)
    throw new SurfacedError('E_IMAGE_STEP', `One folder /${pattern} is wanted, there are ${found.length}`);
  return path.join(root, parent, name);
}

async function pruneFolders(root: string): Promise<void> {
  for (const [pattern, kept] of Object.entries(keptFiles)) {
    const folder = await folderOf(root, pattern);
    const files = await filesBelow(folder);
    const isKept = (name: string): boolean => kept.some((item) => item.test(name));
    if (!files.some(isKept)) throw new SurfacedError('E_IMAGE_STEP', `Nothing of /${pattern} would be kept`);
    for (const name of files) if (!isKept(name)) await rm(path.join(folder, name));
  }
}

async function pruneModules(toolbox: Toolbox, root: string): Promise<void> {
  const folder = await folderOf(root, 'usr/lib/modules/*');
  await toolbox.run('depmod', ['--basedir', root, path.basename(folder)], { binds: [root] });
  const kept = modulesToKeep(await readFile(path.join(folder, 'modules.dep'), 'utf8'), keptModules);
  for (const name of await filesBelow(path.join(folder, 'kernel')))
    if (!kept.has(`kernel/${name}`)) await rm(path.join(folder, 'kernel', name));
}

/**
 * Removes what the lists of packages.ts name, and folders that are empty then. Rejects with E_IMAGE_STEP when a list does
 * not fit what is there: Debian has moved something.
 */
export async function pruneRoot(toolbox: Toolbox, root: string): Promise<void> {
  const remove = 'cd "$1"; shift; for pattern; do rm -rf -- $pattern; done';
  await toolbox.run('sh', ['-euc', remove, 'sh', root, ...unneededPaths], { binds: [root] });
  await pruneFolders(root);
  await pruneModules(toolbox, root);
  const emptied = ['modules', 'firmware', 'linux-image-*'].map((name) => path.join(root, 'usr/lib', name));
  const removeEmpty = 'for pattern; do find $pattern -depth -type d -empty -delete; done';
  await toolbox.run('sh', ['-euc', removeEmpty, 'sh', ...emptied], { binds: [root] });
}
