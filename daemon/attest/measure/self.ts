/** What this program itself is made of, for `surfaced measure --self`. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { measureError } from './content.ts';

/** Where systemd looks for units that are installed or overridden (systemd.unit(5)). */
export const unitFolders = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
] as const;

/** Units of the project with their drop-ins, and the drop-ins that all services take. */
const unitNames =
  /^surfaced[^/]*\.(?:service|socket|timer|path|target|mount|conf|d|wants|requires)$|^service\.d$/;

/**
 * Node, the folder that this program runs from with its `package.json`, the packages that it loads, and the systemd units
 * that are named after it; in an order that does not change.
 * @throws SurfacedError E_MEASURE when a folder cannot be read
 */
export const ownFiles = (folders: readonly string[]): Promise<string[]> =>
  filesOf({ node: process.execPath, module: here, unitFolders: folders });

/**
 * The same of a program that is installed somewhere, for instance in a file system that does not run.
 * @param program.module any file of its code
 * @throws SurfacedError E_MEASURE when a folder cannot be read
 */
export async function filesOf(program: {
  readonly node: string;
  readonly module: string;
  readonly unitFolders: readonly string[];
}): Promise<string[]> {
  const { node, module, unitFolders: folders } = program;
  const root = await packageRoot(module);
  return [node, ...(await bundleOf(module)), await packagesOf(root), ...(await unitsIn(folders))];
}

/**
 * The folder that this program runs from, and its `package.json`: what is the project's own.
 * @throws SurfacedError E_MEASURE when a folder cannot be read
 */
export const ownBundle = (): Promise<string[]> => bundleOf(here);

async function bundleOf(module: string): Promise<string[]> {
  const root = await packageRoot(module);
  const bundle = path.relative(root, module).split(path.sep)[0] ?? '';
  return [path.join(root, bundle), path.join(root, 'package.json')];
}

const here = fileURLToPath(import.meta.url);

/** The nearest folder above a file with a `package.json`. */
async function packageRoot(file: string): Promise<string> {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    if (await isThere(path.join(folder, 'package.json'))) return folder;
    if (folder === path.dirname(folder)) throw measureError(file, 'no package.json is above it');
  }
}

/** Packages are within the package, or beside it where npm has put them all in one folder. */
async function packagesOf(root: string): Promise<string> {
  const within = path.join(root, 'node_modules');
  if (await isThere(path.join(within, 'zod'))) return within;
  const [around] = root.split(`${path.sep}node_modules${path.sep}`);
  const beside = path.join(around ?? root, 'node_modules');
  if (await isThere(path.join(beside, 'zod'))) return beside;
  // The Debian package: what is plain JavaScript is in the bundle, what has native code is in its own folder.
  if (beside === within && (await isThere(within))) return within;
  throw measureError(root, 'the folder of its packages is not found');
}

async function unitsIn(folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    const names = await readdir(folder).catch((problem: NodeJS.ErrnoException) => {
      if (problem.code === 'ENOENT') return [];
      throw measureError(folder, `cannot be read (${problem.code})`, problem);
    });
    const own = names.filter((name) => unitNames.test(name)).sort();
    found.push(...own.map((name) => path.join(folder, name)));
  }
  return found;
}

const isThere = (name: string): Promise<boolean> =>
  stat(name).then(
    () => true,
    () => false,
  );
