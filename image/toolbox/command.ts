/** Running a command of the build. */
import { spawn } from 'node:child_process';
import { SurfacedError } from '../../daemon/errors.ts';

/** So much of what a command said is part of the error. */
const tailCharacters = 2_000;

/** What a command gets. */
export interface CommandOptions {
  /** Its standard input; null: nothing to read. */
  readonly input: string | Uint8Array | null;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/**
 * Runs one command and resolves with its standard output as text. Rejects with E_IMAGE_STEP when it cannot be started
 * or ends with anything but 0; the message has `title` and the end of its standard error.
 */
export async function runCommand(
  title: string,
  [command, ...args]: readonly [string, ...string[]],
  { input, env, cwd }: CommandOptions,
): Promise<string> {
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  let tail = '';
  child.stdout.on('data', (data: Buffer) => output.push(data));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-tailCharacters);
  });
  // A command need not read all of its input; whether it did well is what its exit code says.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input ?? '');
  const failed = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(`cannot be started: ${error.message}`));
    child.once('close', (code, signal) => resolve(code === 0 ? null : `ended with ${signal ?? code}`));
  });
  if (failed !== null) throw new SurfacedError('E_IMAGE_STEP', `${title} ${failed}. ${tail.trim()}`.trim());
  return Buffer.concat(output).toString('utf8');
}

/** Says on standard error what a long step does. */
export const say = (text: string): void => {
  process.stderr.write(`surfaced: ${text}\n`);
};
