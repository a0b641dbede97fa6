/** Programs of others, one after the other in one shell, as a script runs them. */
import { once } from 'node:events';
import { endProcess, startProgram } from './processes.ts';

const mostMs = 120_000;

/** Runs the lines in a folder. @throws Error with what they said, when one of them does not end with 0 */
export async function runShell(folder: string, lines: readonly string[]): Promise<void> {
  const shell = startProgram('sh', ['-c', ['set -e', `cd '${folder}'`, ...lines].join('\n')]);
  let said = '';
  shell.stdout?.resume();
  shell.stderr?.on('data', (data: Buffer) => {
    said = (said + data.toString()).slice(-2000);
  });
  const late = setTimeout(() => void endProcess(shell), mostMs);
  const [code, signal] = (await once(shell, 'close')) as [number | null, string | null];
  clearTimeout(late);
  if (code !== 0) throw new Error(`a script ended with ${signal ?? code}: ${said}`);
}
