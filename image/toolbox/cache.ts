/** Where the build of the image keeps what takes long to make: outside the tree, so that a clean checkout keeps it. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

const dayMs = 24 * 3_600_000;
/** What a process that was cut has left is removed by the next one after this time. */
const abandonedAfterMs = dayMs;
/** An older thing of the same kind, by its last use. */
const unusedAfterMs = 30 * dayMs;
const unfinished = '.unfinished-';

/**
 * The folder of everything that the build keeps; not made here. `SURFACED_CACHE` names another one than
 * `~/.cache/surfaced`, as does `XDG_CACHE_HOME`, of which a relative path is ignored (XDG Base Directory Specification).
 */
export function imageCacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const own = environment.SURFACED_CACHE;
  if (own) return path.join(path.resolve(own), 'image');
  const base = environment.XDG_CACHE_HOME;
  const isUsable = base !== undefined && path.isAbsolute(base);
  return path.join(isUsable ? base : path.join(homedir(), '.cache'), 'surfaced', 'image');
}

/** A short name for a thing made from these inputs: another order, another split or another byte gives another name. */
export function keyOf(inputs: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(`${Buffer.byteLength(input)}:`).update(input);
  return hash.digest('hex').slice(0, 16);
}

const exists = async (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );

/** Of the kind of `name`: all up to its last hyphen. */
async function removeOld(cache: string, name: string): Promise<void> {
  const kind = name.slice(0, name.lastIndexOf('-') + 1);
  for (const other of await readdir(cache)) {
    const isUnfinished = other.startsWith(unfinished);
    if (!isUnfinished && (kind === '' || !other.startsWith(kind))) continue;
    const folder = path.join(cache, other);
    const { mtimeMs } = await stat(folder);
    if (Date.now() - mtimeMs > (isUnfinished ? abandonedAfterMs : unusedAfterMs))
      await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The folder `name` of the cache; when it is not there, `make` fills an empty one that then gets the name in one step.
 * A cut leaves nothing that looks finished; of two processes at once, the first one's stays. Others of its kind (the same
 * name up to the last hyphen) go when they were not used for a month. Rejects as `make` does.
 */
export async function keptFolder(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const cache = imageCacheFolder(process.env);
  const kept = path.join(cache, name);
  if (await exists(kept)) {
    const now = new Date();
    await utimes(kept, now, now);
    return kept;
  }
  await mkdir(cache, { recursive: true });
  await removeOld(cache, name);
  const folder = await mkdtemp(path.join(cache, unfinished));
  try {
    const content = path.join(folder, 'content');
    await mkdir(content);
    await make(content);
    await rename(content, kept).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return kept;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
