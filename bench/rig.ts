/** Benches on real kernel interfaces: a part that runs in the virtual rig, a Linux kernel with the panel's devices. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { resultMark } from './parts/in-rig.ts';
import { endProcess, startProgram } from './processes.ts';
import type { BenchContext } from './types.ts';

/** What the rig needs of this machine to boot; the rest is for the kernel's build, which looks for it itself. */
export const rigNeeds: readonly string[] = ['dtc', 'setpriv', 'ip'];

/** The program, when the bench runs as compiled code: from source it takes seconds to start in the rig. */
const compiledMain = import.meta.url.endsWith('.ts')
  ? ''
  : fileURLToPath(new URL('../daemon/main.js', import.meta.url));

/** One boot of the rig. */
export interface RigRun {
  /** File that runs in it, from the root: `bench/parts/NAME.ts`. It calls `rigInput` and `giveResult` of in-rig.ts. */
  readonly file: string;
  /** Anything that JSON can carry. */
  readonly input: unknown;
  /** From the kernel's start to its end, milliseconds; a first build of the kernel does not count. */
  readonly timeoutMs: number;
}

/**
 * Boots the rig, runs the file in it and resolves with what it gave to `giveResult`. Its other lines are shown as
 * progress. Rejects when it ends without a result or with an exit code, or when the time is over.
 */
export async function runInRig<Result>(
  context: Pick<BenchContext, 'defer' | 'say'>,
  { file, input, timeoutMs }: RigRun,
): Promise<Result> {
  // From source and in the root, however the bench itself runs: the rig's scripts and tables are not compiled.
  const child = startProgram(process.execPath, [
    '--import=tsx',
    'bench/parts/boot-rig.ts',
    file,
    String(timeoutMs),
    JSON.stringify(input),
    compiledMain,
  ]);
  context.defer(() => endProcess(child));
  child.stderr?.pipe(process.stderr, { end: false });
  const results: Result[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (line.startsWith(resultMark)) results.push(JSON.parse(line.slice(resultMark.length)) as Result);
    else context.say(`  ${line}`);
  });
  // After `close` all of its output was read.
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const [result] = results;
  if (code === 0 && result !== undefined) return result;
  const end = code === 0 ? 'without a result' : `with ${signal ?? `exit code ${code}`}`;
  throw new Error(`${file} ended ${end} in the virtual rig; its last words are above`);
}
