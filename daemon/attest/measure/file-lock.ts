/** Locks between processes that end with the process, whatever ends it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';

/**
 * Locks an open file against all others who lock it, until it is closed (flock(2)). Node has no such call: flock(1) of
 * util-linux locks the open file that it inherits, which stays locked in this process.
 * @throws Error when others keep it for longer than `waitSeconds`, or there is no flock
 */
export async function lockFile(file: FileHandle, waitSeconds: number): Promise<void> {
  const words = ['--exclusive', '--timeout', String(waitSeconds), '3'];
  const child = spawn('flock', words, { stdio: ['ignore', 'ignore', 'ignore', file.fd] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === 1) throw new Error(`another process has it locked for more than ${waitSeconds} s`);
  if (code !== 0) throw new Error(`flock ended with ${code}`);
}
