/** What updates use of the system that they run on; tests have one of their own. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What came of a program. */
export interface Ran {
  /** Exit code; null: a signal ended it, or it could not be started. */
  readonly code: number | null;
  readonly stdout: string;
  /** All lines of both outputs as they came, and why it could not be started. */
  readonly text: string;
}

/** The system. */
export interface Host {
  /** Before every path, `''` for the system's own root. */
  readonly root: string;
  /** Runs a program; never rejects but with the reason of the signal. `onLine` is given each line of both outputs. */
  run(
    command: readonly [string, ...string[]],
    options: { readonly onLine: ((line: string) => void) | null; readonly signal: AbortSignal },
  ): Promise<Ran>;
  /** Milliseconds that only go forward. */
  monotonic(): number;
  /** Rejects with the reason of the signal. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Of what a program says at most, characters; the end counts. */
const mostTextCharacters = 256 * 1024;

/** This system. */
export const systemHost: Host = {
  root: '',
  run: runProgram,
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, null, { signal }).catch((problem: unknown) => {
      signal.throwIfAborted();
      throw problem;
    });
  },
};

async function runProgram(
  [command, ...args]: readonly [string, ...string[]],
  { onLine, signal }: Parameters<Host['run']>[1],
): Promise<Ran> {
  signal.throwIfAborted();
  // Programs that are read here must say what they say in one language.
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGINT');
  signal.addEventListener('abort', kill);
  let stdout = '';
  let text = '';
  const take = (isResult: boolean) => {
    let line = '';
    return (piece: string): void => {
      if (isResult) stdout = (stdout + piece).slice(-mostTextCharacters);
      text = (text + piece).slice(-mostTextCharacters);
      const lines = (line + piece).split('\n');
      line = lines.pop() ?? '';
      for (const one of lines) onLine?.(one);
    };
  };
  child.stdout.setEncoding('utf8').on('data', take(true));
  child.stderr.setEncoding('utf8').on('data', take(false));
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (problem) => {
      text += `${command} cannot be started: ${problem.message}\n`;
      resolve(null);
    });
    child.once('close', resolve);
  });
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  return { code, stdout, text };
}

/** The text of a file; null: there is none. Only for files of root. */
export async function textOrNull(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((problem: NodeJS.ErrnoException) => {
    if (problem.code === 'ENOENT') return null;
    throw problem;
  });
}

/** Writes a file that everybody may read; it appears whole, and lasts when this resolves. A link in its place is replaced. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(beside, 'wx', 0o644);
    try {
      // Whatever the umask of a service is.
      await handle.chmod(0o644);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } finally {
    await rm(beside, { force: true });
  }
}
