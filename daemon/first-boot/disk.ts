/** The few things that first boot does to files, one by one: between any two of them the power may go. */
import { mkdir, open, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../errors.ts';

/** Who may read a file. */
export interface Access {
  /** Null: what the file system gives; FAT has no modes. */
  readonly mode: number | null;
  /** Number of its group; null: that of this process. */
  readonly group: number | null;
}

/** Steps on a disk; each rejects with the error of the file system. */
export interface Disk {
  /** Null: there is no such file. Rejects when it is longer. */
  read(file: string, mostBytes: number): Promise<Buffer | null>;
  /** Names in a folder; none when it is not there. */
  list(folder: string): Promise<string[]>;
  makeFolder(folder: string, mode: number): Promise<void>;
  /** A whole file, synced. */
  write(file: string, bytes: Uint8Array, access: Access): Promise<void>;
  /** Writes over the bytes that a file has, in their place, synced; the file does not get shorter. */
  overwrite(file: string, bytes: Uint8Array): Promise<void>;
  link(target: string, file: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Makes names in a folder last. */
  syncFolder(folder: string): Promise<void>;
}

/** The disk of this machine. */
export const systemDisk: Disk = {
  read: async (file, mostBytes) => {
    const handle = await open(file, 'r').catch(orNull);
    if (handle === null) return null;
    try {
      const buffer = Buffer.alloc(mostBytes + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      if (bytesRead > mostBytes)
        throw new SurfacedError('E_CFG_INVALID', `${path.basename(file)}: larger than ${mostBytes} bytes`);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  },
  list: async (folder) => (await readdir(folder).catch(orNull)) ?? [],
  makeFolder: async (folder, mode) => {
    await mkdir(folder, { recursive: true, mode });
  },
  write: async (file, bytes, { mode, group }) => {
    // What a start before this one left half-written may have other rights.
    await rm(file, { force: true });
    const handle = await open(file, 'wx', mode ?? 0o600);
    try {
      if (group !== null) await handle.chown(0, group);
      // Whatever the mask of the process is.
      if (mode !== null) await handle.chmod(mode);
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  overwrite: async (file, bytes) => {
    const handle = await open(file, 'r+');
    try {
      await handle.write(bytes, 0, bytes.length, 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  link: (target, file) => symlink(target, file),
  rename: (from, to) => rename(from, to),
  remove: (file) => rm(file, { force: true }),
  syncFolder: async (folder) => {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

function orNull(problem: NodeJS.ErrnoException): null {
  if (problem.code === 'ENOENT' || problem.code === 'ENOTDIR') return null;
  throw problem;
}

/** Readable by root alone. */
export const forRoot: Access = { mode: 0o600, group: null };
/** Readable by all. */
export const forAll: Access = { mode: 0o644, group: null };
/** On FAT. */
export const onCard: Access = { mode: null, group: null };

/**
 * Puts a file in place as a whole; one that has these bytes already is left alone.
 * @throws SurfacedError E_FIRST_BOOT
 */
export async function replaceFile(
  disk: Disk,
  file: string,
  content: Uint8Array | string,
  access: Access,
): Promise<void> {
  const bytes = Buffer.from(content);
  await doing(file, async () => {
    const before = await disk.read(file, mostOwnBytes);
    if (before?.equals(bytes)) return;
    await disk.makeFolder(path.dirname(file), 0o755);
    await disk.write(`${file}.new`, bytes, access);
    await disk.rename(`${file}.new`, file);
    await disk.syncFolder(path.dirname(file));
  });
}

/** Largest file of our own that is read back, bytes. */
export const mostOwnBytes = 2 * 1024 * 1024;

/** Removes a file for good; one that is not there is well. @throws SurfacedError E_FIRST_BOOT */
export async function removeFile(disk: Disk, file: string): Promise<void> {
  await doing(file, async () => {
    if (!(await disk.list(path.dirname(file))).includes(path.basename(file))) return;
    await disk.remove(file);
    await disk.syncFolder(path.dirname(file));
  });
}

/** Gives errors of the file system the words for the maker. @throws SurfacedError E_FIRST_BOOT */
export async function doing<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof SurfacedError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new SurfacedError('E_FIRST_BOOT', `${file}: ${code}`, { cause });
  }
}
