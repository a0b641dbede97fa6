/** The steps by which a folder of the state changes, each of them lasting once it is done. */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { readBounded } from '../../config/read-bounded.ts';
import { stateError, syncFolder, writeStateFile } from '../state-files.ts';

/** Steps that change the disk. A power cut may leave any of them half done, but never a text. */
export interface Disk {
  makeFolder(folder: string): Promise<void>;
  /** A new file with these bytes. */
  create(file: string, bytes: Uint8Array): Promise<void>;
  /** Writes into a file from `at` on; what it may have had behind that counts for nothing. */
  extend(file: string, at: number, bytes: Uint8Array): Promise<void>;
  /** Puts a text in place, as a whole or not at all. */
  replace(file: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
}

const told = async (file: string, work: () => Promise<void>): Promise<void> => {
  try {
    await work();
  } catch (cause) {
    throw stateError(file, cause);
  }
};

/** The real one. Every step throws SurfacedError E_STATE_DIR. */
export const disk: Disk = {
  makeFolder: (folder) =>
    told(folder, async () => {
      if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined)
        await syncFolder(path.dirname(folder));
    }),
  create: (file, bytes) => told(file, () => write(file, { flags: 'wx', at: 0, bytes })),
  extend: (file, at, bytes) => told(file, () => write(file, { flags: 'r+', at, bytes })),
  replace: async (file, text) => {
    await writeStateFile(file, text, { isExclusive: false });
  },
  rename: (from, to) =>
    told(from, async () => {
      await rename(from, to);
      await syncFolder(path.dirname(to));
    }),
  remove: (file) => told(file, () => rm(file, { recursive: true, force: true })),
};

async function write(
  file: string,
  { flags, at, bytes }: { readonly flags: string; readonly at: number; readonly bytes: Uint8Array },
): Promise<void> {
  const handle = await open(file, flags, 0o600);
  try {
    let done = 0;
    while (done < bytes.length)
      done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Names in a folder; none when it is not there. @throws SurfacedError E_STATE_DIR */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw stateError(folder, cause);
  }
}

/** Bytes of a file, at most `most` of them; null when it is not there. @throws Error when it is larger or cannot be read */
export async function readIfThere(file: string, most: number): Promise<Buffer | null> {
  try {
    return await readBounded(file, most);
  } catch (problem) {
    if (((problem as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return null;
    throw problem;
  }
}

/** Size in bytes and Unix milliseconds of the last change; null when it is not there. @throws SurfacedError E_STATE_DIR */
export async function statOf(
  file: string,
): Promise<{ readonly size: number; readonly mtimeMs: number } | null> {
  try {
    return await stat(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw stateError(file, cause);
  }
}
