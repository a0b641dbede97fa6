/**
 * What is measured: a file by the SHA-256 of its content, a folder by that of the list of everything below it. Nothing is
 * held in memory but a piece of one file and the names of one folder.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import { shown } from '../logs/log.ts';

/** What is read at most; more is an error, never cut. */
export const contentLimits = {
  /** Of one argument: a file, or all files of a folder. */
  mostBytes: 8 * 1024 ** 3,
  mostEntries: 200_000,
  mostDepth: 64,
} as const;

/** Something that can be measured. */
export interface Content {
  /** Absolute, as it was named: a link that leads to it stays in it. A folder ends with `/`. */
  readonly path: string;
  /** 32 bytes. */
  readonly sha256: Buffer;
}

const pieceBytes = 1024 * 1024;

/**
 * The digest of a file, or of a folder with everything below it: SHA-256 over `<SHA-256 in hex>  <path below it>` and a
 * line feed for each file, as sha256sum(1) writes them, then `link`, a tab, path, a tab, target and a line feed for each
 * symbolic link, which is not followed; both sorted by the bytes of the paths. A link that is named itself is followed.
 * @throws SurfacedError E_MEASURE for what cannot be read, is neither file nor folder, or is too much; the reason of the
 *   signal
 */
export async function contentOf(name: string, signal: AbortSignal): Promise<Content> {
  const absolute = path.resolve(name);
  const budget = { bytes: contentLimits.mostBytes };
  const handle = await opened(absolute, 0);
  try {
    if (!(await handle.stat()).isDirectory())
      return { path: absolute, sha256: await fileDigest(handle, absolute, budget, signal) };
  } finally {
    await handle.close();
  }
  const { files, links } = await below(absolute, signal);
  const list = createHash('sha256');
  for (const file of files.sort(byBytes)) {
    const inside = await opened(path.join(absolute, file), constants.O_NOFOLLOW);
    try {
      const digest = await fileDigest(inside, path.join(absolute, file), budget, signal);
      list.update(`${digest.toString('hex')}  ${file}\n`);
    } finally {
      await inside.close();
    }
  }
  for (const link of links.sort(byBytes)) {
    const target = plain(await read(absolute, () => readlink(path.join(absolute, link))), absolute);
    list.update(`link\t${link}\t${target}\n`);
  }
  return { path: absolute.endsWith('/') ? absolute : `${absolute}/`, sha256: list.digest() };
}

const byBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));

/** All that is below a folder, by paths from there. */
async function below(folder: string, signal: AbortSignal) {
  const files: string[] = [];
  const links: string[] = [];
  const left = [{ inside: '', depth: 0 }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { inside, depth } = next;
    signal.throwIfAborted();
    const here = path.join(folder, inside);
    const entries = await read(here, () => readdir(here, { withFileTypes: true }));
    for (const entry of entries) {
      const one = inside === '' ? plain(entry.name, here) : `${inside}/${plain(entry.name, here)}`;
      if (entry.isFile()) files.push(one);
      else if (entry.isSymbolicLink()) links.push(one);
      else if (!entry.isDirectory()) throw measureError(path.join(folder, one), 'neither file nor folder');
      else if (depth >= contentLimits.mostDepth) throw measureError(folder, 'too many folders in folders');
      else left.push({ inside: one, depth: depth + 1 });
      if (files.length + links.length + left.length > contentLimits.mostEntries)
        throw measureError(folder, `more than ${contentLimits.mostEntries} files`);
    }
  }
  return { files, links };
}

/** Refuses names that could be read as more than one line of the list, or that sha256sum would write in another way. */
function plain(name: string, folder: string): string {
  for (const unit of name)
    if (unit < ' ' || unit === '\\' || unit === '\ufffd')
      throw measureError(folder, `the name "${shown(name)}" has a character that lists cannot have`);
  return name;
}

async function fileDigest(
  handle: FileHandle,
  name: string,
  budget: { bytes: number },
  signal: AbortSignal,
): Promise<Buffer> {
  if (!(await handle.stat()).isFile()) throw measureError(name, 'neither file nor folder');
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(pieceBytes);
  while (true) {
    signal.throwIfAborted();
    const { bytesRead } = await read(name, () => handle.read(piece, 0, pieceBytes, null));
    if (bytesRead === 0) return hash.digest();
    budget.bytes -= bytesRead;
    if (budget.bytes < 0) throw measureError(name, `more than ${contentLimits.mostBytes} bytes`);
    hash.update(piece.subarray(0, bytesRead));
  }
}

/** Without waiting for who writes into a pipe. */
const opened = (name: string, flags: number): Promise<FileHandle> =>
  read(name, () => open(name, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | flags));

async function read<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (cause) {
    throw measureError(name, `cannot be read (${(cause as NodeJS.ErrnoException).code ?? cause})`, cause);
  }
}

/** The error of this folder, with the name of what it is about. */
export const measureError = (name: string, what: string, cause?: unknown): SurfacedError =>
  new SurfacedError('E_MEASURE', `${shown(name, 4096)}: ${what}`, cause === undefined ? {} : { cause });
