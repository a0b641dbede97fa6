/** Boots the rig's kernel on this checkout and runs one program in it. */
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));
const checkout = path.resolve(here, '../..');
/** Memory of the guest, its written files included; the host gives only what is touched. */
const memory = '1G';
/** Enough of the kernel's own messages to see why it died. */
const kernelLinesKept = 40;

/**
 * Node as it runs best in the guest, whose only processor no thread gives up before its time is over: threads that compile
 * and collect hold everything up by 100 ms and more, which the program takes for a bus that is stuck.
 */
export const guestNode: readonly [string, ...string[]] = [process.execPath, '--single-threaded', '--no-opt'];

/** One run of a program in the rig. */
export interface RigProgram {
  /** Path of the kernel, from `ensureKernel()`. */
  readonly kernel: string;
  /** Command and arguments, run in the checkout as root of the guest. Paths are those of the host. */
  readonly program: readonly [string, ...string[]];
  /** All that the program's environment has beside PATH, HOME, LANG and SURFACED_RIG. */
  readonly environment: Readonly<Record<string, string>>;
  /** From the start of the kernel to its end, milliseconds. */
  readonly timeoutMs: number;
  /** Each line that the program writes, to stdout or stderr, as it comes. */
  readonly onOutput: (line: string) => void;
  /** Ends the rig early; null: nothing does. */
  readonly signal: AbortSignal | null;
}

/** How a program in the rig ended. */
export interface RigOutcome {
  /** 0 to 255; 128 + n after signal n, as a shell says it. */
  readonly exitCode: number;
  /** Every line that it wrote. */
  readonly output: string;
}

/** A word as /bin/sh reads it back. */
export const shellQuote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** The script that the guest's first process runs; environment names that are no shell names are an error. */
export function programScript({ program, environment }: Pick<RigProgram, 'program' | 'environment'>): string {
  const lines = [`cd ${shellQuote(checkout)}`];
  const all = { SURFACED_RIG: '1', ...environment };
  for (const [name, value] of Object.entries(all)) {
    if (!/^[A-Za-z_]\w*$/.test(name))
      throw new Error(`\`${name}\` cannot be the name of an environment variable`);
    lines.push(`export ${name}=${shellQuote(value)}`);
  }
  // Programs of node_modules/.bin ask the path for node.
  lines.push(`export PATH=${shellQuote(path.dirname(process.execPath))}:"$PATH"`);
  lines.push(`exec ${program.map(shellQuote).join(' ')}`);
  return `${lines.join('\n')}\n`;
}

/**
 * Boots, runs the program, powers off. The guest sees the host's files and cannot change them. Rejects when the kernel
 * dies, when the time is over or when the signal fires; nothing of the rig is left running in any case.
 */
export async function bootRig(run: RigProgram): Promise<RigOutcome> {
  const exchange = await mkdtemp(path.join(tmpdir(), 'surfaced-rig-'));
  try {
    const tree = path.join(exchange, 'panel.dtb');
    await promisify(execFile)('dtc', ['-q', '-O', 'dtb', '-o', tree, path.join(here, 'panel.dts')]);
    await writeFile(path.join(exchange, 'program'), programScript(run));
    await mkdir(path.join(exchange, 'uml'));
    const { output, kernelLines } = await runKernel(run, [
      `mem=${memory}`,
      'rootfstype=hostfs',
      'ro',
      'quiet',
      // Only two consoles are connected: the kernel's own to stderr, the program's to stdout.
      'con=null',
      'con0=null,fd:2',
      'con1=null,fd:1',
      'dummy_hcd.num=4',
      // Two virtual MIDI ports; each stays open by its number, so fewer are easier to read.
      'snd-virmidi.midi_devs=2',
      `uml_dir=${path.join(exchange, 'uml')}`,
      `dtb=${tree}`,
      `rig=${exchange}`,
      `init=${path.join(here, 'init.sh')}`,
    ]);
    // The kernel's own exit code says nothing of the program.
    const status = await readFile(path.join(exchange, 'status'), 'utf8').catch((cause: unknown) => {
      throw new Error(`The rig's kernel ended before the program did:\n${kernelLines.join('\n')}`, { cause });
    });
    return { exitCode: Number(status), output };
  } finally {
    await rm(exchange, { recursive: true, force: true });
  }
}

function runKernel(
  { kernel, timeoutMs, onOutput, signal }: RigProgram,
  kernelArguments: readonly string[],
): Promise<{ output: string; kernelLines: string[] }> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const lines: string[] = [];
    const kernelLines: string[] = [];
    // A process group of its own, because every process of the guest is one of the host; setpriv ends it with us.
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', kernel, ...kernelArguments], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const group = child.pid;
    let early: Error | null = null;

    const killGroup = () => {
      try {
        if (group !== undefined) process.kill(-group, 'SIGKILL');
      } catch (cause) {
        // Nothing left of it is what is wanted.
        if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
      }
    };
    const end = (reason: Error) => {
      early ??= reason;
      killGroup();
    };
    const timer = setTimeout(() => {
      const last = [...lines.slice(-10), ...kernelLines.slice(-10)].join('\n');
      end(new Error(`The rig did not end within ${timeoutMs / 1000} s. Its last lines:\n${last}`));
    }, timeoutMs);
    const onAbort = () => end(new Error('The rig was ended early', { cause: signal?.reason }));
    signal?.addEventListener('abort', onAbort, { once: true });
    process.once('exit', killGroup);

    createInterface({ input: child.stdout }).on('line', (line) => {
      const text = line.replace(/\r$/, '');
      lines.push(text);
      onOutput(text);
    });
    createInterface({ input: child.stderr }).on('line', (line) => {
      kernelLines.push(line);
      if (kernelLines.length > kernelLinesKept) kernelLines.shift();
    });
    child.once('error', (cause) => {
      early ??= new Error(`The rig's kernel cannot be started: ${cause.message}`, { cause });
    });
    child.once('close', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      process.off('exit', killGroup);
      // Those of the guest go with the kernel that traces them; whatever else it started does not.
      killGroup();
      if (early === null) resolve({ output: lines.join('\n'), kernelLines });
      else reject(early);
    });
  });
}
