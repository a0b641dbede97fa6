/**
 * The log of `surfaced measure` on disk, while one process alone may change it.
 *
 * What is about to be extended is written first, under a mark beside the log: whoever finds the mark knows that the records
 * behind it may not all be in the PCRs yet. Log and mark are in /run, which goes with the power as the PCRs do, so nothing
 * is synced.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { LogPosition } from '../logs/log.ts';
import { measureLogLimits } from '../logs/measure-log.ts';
import { measureError } from './content.ts';
import { lockFile } from './file-lock.ts';

/** Longest time that another measurement is waited for, seconds. */
const waitSeconds = 60;

const markSchema = z.strictObject({
  from: z.strictObject({ bytes: z.int().min(0), records: z.int().min(0) }),
  resetCount: z.int().min(0),
  restartCount: z.int().min(0),
});

/** Says where records begin that may not be in the PCRs yet, and since which start of the TPM. */
export interface Mark {
  readonly from: LogPosition;
  readonly resetCount: number;
  readonly restartCount: number;
}

/** The log, locked. */
export class LogFile {
  readonly path: string;
  #file: FileHandle;

  private constructor(name: string, file: FileHandle) {
    this.path = name;
    this.#file = file;
  }

  /**
   * Makes it where it is not there, readable by all, and waits for its turn.
   * @throws SurfacedError E_MEASURE
   */
  static async open(name: string): Promise<LogFile> {
    let file: FileHandle | null = null;
    try {
      await mkdir(path.dirname(name), { recursive: true, mode: 0o755 });
      for (;;) {
        const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
        file = await open(name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o644);
        const status = await file.stat();
        if (!status.isFile()) throw new Error('not a file');
        if (status.size === 0) await file.chmod(0o644);
        await lockFile(file, waitSeconds);
        if (await isAt(name, file)) return new LogFile(name, file);
        // Who had the lock has put another file in its place.
        await file.close();
      }
    } catch (cause) {
      await file?.close();
      throw measureError(name, `cannot be used as a log: ${wordsOf(cause)}`, cause);
    }
  }

  /** @throws SurfacedError E_MEASURE */
  async read(): Promise<Buffer> {
    return this.#doing('read', async () => {
      const { size } = await this.#file.stat();
      if (size > measureLogLimits.mostBytes) throw new Error(`${size} bytes are too many`);
      const bytes = Buffer.alloc(size);
      const { bytesRead } = await this.#file.read(bytes, 0, size, 0);
      if (bytesRead !== size) throw new Error('it was cut meanwhile');
      return bytes;
    });
  }

  /** What is written in part is taken away again. @throws SurfacedError E_MEASURE */
  async append(bytes: Uint8Array, from: LogPosition): Promise<void> {
    await this.#doing('written', async () => {
      try {
        await this.#file.appendFile(bytes);
      } catch (problem) {
        await this.#file.truncate(from.bytes);
        throw problem;
      }
    });
  }

  /** Puts another log in its place: the old one is there or the new one, whenever this ends. @throws SurfacedError E_MEASURE */
  async replace(bytes: Uint8Array): Promise<void> {
    await this.#doing('replaced', async () => {
      const beside = `${this.path}.new`;
      const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_TRUNC } = constants;
      const file = await open(beside, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_TRUNC, 0o644);
      try {
        await file.chmod(0o644);
        await file.appendFile(bytes);
        // Nobody can have it before it has its name.
        await lockFile(file, waitSeconds);
        await rename(beside, this.path);
      } catch (problem) {
        await file.close();
        throw problem;
      }
      const before = this.#file;
      this.#file = file;
      await before.close();
    });
  }

  /** Keeps so many bytes. @throws SurfacedError E_MEASURE */
  async cut(bytes: number): Promise<void> {
    await this.#doing('written', () => this.#file.truncate(bytes));
  }

  /** Null: there is none, or one that was not written to its end, when nothing was appended yet. */
  async mark(): Promise<Mark | null> {
    const text = await readFile(this.#markPath, 'utf8').catch((problem: NodeJS.ErrnoException) => {
      if (problem.code === 'ENOENT') return '';
      throw measureError(this.#markPath, `cannot be read (${problem.code})`, problem);
    });
    try {
      return markSchema.parse(JSON.parse(text));
    } catch {
      // Reading goes on as if it were not there: then the log must be that of the PCRs.
      return null;
    }
  }

  /** @throws SurfacedError E_MEASURE */
  async setMark(mark: Mark): Promise<void> {
    await this.#doing('marked', () => writeFile(this.#markPath, JSON.stringify(mark), { mode: 0o644 }));
  }

  /** @throws SurfacedError E_MEASURE */
  async removeMark(): Promise<void> {
    await this.#doing('unmarked', () =>
      unlink(this.#markPath).catch((problem: NodeJS.ErrnoException) => {
        if (problem.code !== 'ENOENT') throw problem;
      }),
    );
  }

  /** Lets others in. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  get #markPath(): string {
    return `${this.path}.incomplete`;
  }

  async #doing<Value>(done: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (cause) {
      throw measureError(this.path, `the log cannot be ${done}: ${wordsOf(cause)}`, cause);
    }
  }
}

/** Whether a name is still that of an open file. */
async function isAt(name: string, file: FileHandle): Promise<boolean> {
  const own = await file.stat({ bigint: true });
  const named = await stat(name, { bigint: true }).catch((problem: NodeJS.ErrnoException) => {
    if (problem.code === 'ENOENT') return null;
    throw problem;
  });
  return named?.ino === own.ino && named.dev === own.dev;
}

const wordsOf = (problem: unknown): string =>
  (problem as NodeJS.ErrnoException).code ?? (problem instanceof Error ? problem.message : String(problem));
