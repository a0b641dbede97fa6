// Where the rig keeps what it builds: outside the tree, so that a clean checkout and `npm ci` keep it. Plain
// JavaScript without packages, because it runs before anything is installed.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import path from 'node:path';

/** The folder of everything that the rig has built; not made here. */
export function cacheFolder(environment = process.env) {
  const base = environment.XDG_CACHE_HOME;
  // XDG Base Directory Specification: a relative path is invalid and ignored.
  const isUsable = base !== undefined && path.isAbsolute(base);
  return path.join(isUsable ? base : path.join(homedir(), '.cache'), 'surfaced', 'rig');
}

/** Folder name for a thing built from these inputs: another order, another split or another byte gives another name. */
export function keyOf(inputs) {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(`${Buffer.byteLength(input)}:`).update(input);
  return hash.digest('hex').slice(0, 32);
}
