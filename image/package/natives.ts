/** The packages that cannot be bundled: which they are, by the lock file, and what of them is needed on the Pi. */
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import type { Architecture, PackagePin } from './architectures.ts';
import { architectures } from './architectures.ts';
import { fetchPackages, unpack } from './registry.ts';

/** A package where it lies, such as `node_modules/serialport/node_modules/debug`. */
export interface InstalledPackage extends PackagePin {
  readonly path: string;
}

/** What is read of `package-lock.json` (lockfileVersion 3). */
export interface LockFile {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly version?: string;
        readonly integrity?: string;
        readonly dependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
}

/** Needed to compile packages with native code, not to run them. */
const buildOnly: readonly string[] = ['nan', 'node-addon-api'];

/**
 * The named packages and all that they need, in the places where the lock file has them.
 * @throws SurfacedError E_IMAGE_STEP when the lock file does not have one
 */
export function closureOf(lock: LockFile, names: readonly string[]): InstalledPackage[] {
  const found = new Map<string, InstalledPackage>();
  const visit = (name: string, from: string): void => {
    const place = placeOf(lock, name, from);
    if (buildOnly.includes(name) || found.has(place)) return;
    found.set(place, { path: place, ...pinAt(lock, name, place) });
    for (const needed of Object.keys(lock.packages[place]?.dependencies ?? {})) visit(needed, place);
  };
  for (const name of names) visit(name, '');
  return [...found.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** A package at the top of `node_modules`. @throws SurfacedError E_IMAGE_STEP when the lock file does not have it */
export function lockedPin(lock: LockFile, name: string): PackagePin {
  return pinAt(lock, name, placeOf(lock, name, ''));
}

function pinAt(lock: LockFile, name: string, place: string): PackagePin {
  const { version, integrity } = lock.packages[place] ?? {};
  if (version === undefined || integrity === undefined || !/^sha512-/.test(integrity))
    throw new SurfacedError(
      'E_IMAGE_STEP',
      `package-lock.json: ${place} has no version or no sha512 integrity`,
    );
  return { name, version, integrity };
}

/** Looks for a package as Node does: from its user's folder upwards. */
function placeOf(lock: LockFile, name: string, from: string): string {
  const place = path.posix.join(from, 'node_modules', name);
  if (lock.packages[place] !== undefined) return place;
  if (from === '') throw new SurfacedError('E_IMAGE_STEP', `package-lock.json: ${name} is not there`);
  const above = from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1));
  return placeOf(lock, name, above);
}

const unusedFolders = /(?:^|\/)(?:test|tests|example|examples|integration-test|doc|docs|benchmark|vendor)\//;

/** Whether a file of a package is of use where it runs: scripts, licences, and the native code of this architecture. */
export function isKept(file: string, architecture: Architecture): boolean {
  const { koffi, prebuild } = architectures[architecture];
  if (unusedFolders.test(file)) return false;
  if (file.endsWith('.node')) return prebuild.test(`/${file}`) || file === `build/koffi/${koffi}/koffi.node`;
  if (/(?:^|\/)(?:licen[cs]e|copying|notice)[^/]*$/i.test(file)) return true;
  return /\.(?:[cm]?js|json)$/.test(file) && !/(?:^|\/)(?:tsconfig|package-lock)[^/]*\.json$/.test(file);
}

/** Puts packages into a folder as the lock file has them, without what is not needed there. */
export async function installNatives(options: {
  readonly packages: readonly InstalledPackage[];
  readonly architecture: Architecture;
  /** Folder that `node_modules` is put into. */
  readonly folder: string;
}): Promise<void> {
  const { packages, architecture, folder } = options;
  const tarballs = await fetchPackages(distinct(packages));
  const names = distinct(packages).map(keyOfPin);
  for (const installed of packages) {
    const target = path.join(folder, installed.path);
    await mkdir(target, { recursive: true });
    await unpack(tarballs[names.indexOf(keyOfPin(installed))] ?? '', target);
    await prune(target, (file) => isKept(file, architecture));
  }
}

const keyOfPin = ({ name, version }: PackagePin): string => `${name}@${version}`;

/** Each package once, though it may lie in several places. */
function distinct(packages: readonly InstalledPackage[]): PackagePin[] {
  return [...new Map(packages.map((pin) => [keyOfPin(pin), pin])).values()];
}

/** Removes files that are not kept, and the folders that are empty then; nested packages are not there yet. */
async function prune(folder: string, isWanted: (file: string) => boolean): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((item) => !item.isDirectory())) {
    const file = path.join(entry.parentPath, entry.name);
    if (!isWanted(path.relative(folder, file))) await rm(file);
  }
  const folders = entries.filter((item) => item.isDirectory());
  const deepestFirst = folders
    .map((item) => path.join(item.parentPath, item.name))
    .sort()
    .reverse();
  for (const each of deepestFirst) {
    if ((await readdir(each)).length === 0) await rmdir(each);
  }
}

/** The project's lock file. */
export async function readLockFile(root: string): Promise<LockFile> {
  return JSON.parse(await readFile(path.join(root, 'package-lock.json'), 'utf8')) as LockFile;
}
