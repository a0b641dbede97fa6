/** Processes of a bench: what is started here is ended here, also when the bench itself is ended. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function keep(child: ChildProcess): ChildProcess {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** From source when the bench runs from source, else compiled. */
const isSource = import.meta.url.endsWith('.ts');
const fileOf = (name: string): string =>
  fileURLToPath(new URL(`${name}.${isSource ? 'ts' : 'js'}`, import.meta.url));
const loader = isSource ? ['--import=tsx'] : [];

/** Ends a process and waits until it is gone. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 3000);
  await exited;
  clearTimeout(late);
}

/** A program, with its stdout to read; what it says on stderr is shown when it fails to do its work. */
export function startProgram(command: string, args: readonly string[]): ChildProcess {
  return keep(spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** `surfaced` itself, as users start it. */
export class Surfaced {
  readonly child: ChildProcess;
  readonly #lines: Record<string, unknown>[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(...args: string[]) {
    this.child = startProgram(process.execPath, [...loader, fileOf('../daemon/main'), ...args]);
    createInterface({ input: this.child.stderr! }).on('line', (line) => {
      try {
        this.#lines.push(JSON.parse(line) as Record<string, unknown>);
      } catch {
        this.#lines.push({ msg: line });
      }
      for (const look of this.#waiting) look();
    });
    this.child.on('exit', () => {
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves with the first log line with this message. */
  async logged(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.#lines.find((line) => line.msg === message);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`surfaced ended before "${message}": ${JSON.stringify(this.#lines.at(-1))}`);
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly problem?: string;
}

/** A part of a bench in a process of its own; it answers calls over Node's own channel between processes. */
export class Part {
  readonly child: ChildProcess;
  readonly name: string;
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  /** @param nodeOptions options of Node, such as `--expose-gc` */
  constructor(name: string, nodeOptions: readonly string[] = []) {
    this.name = name;
    this.child = keep(
      fork(fileOf(`parts/${name}`), [], {
        execArgv: [...loader, ...nodeOptions],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        serialization: 'advanced',
      }),
    );
    this.child.on('message', (reply: Reply) => {
      const call = this.#calls.get(reply.id);
      this.#calls.delete(reply.id);
      if (reply.problem === undefined) call?.resolve(reply.result);
      else call?.reject(new Error(`${name}: ${reply.problem}`));
    });
    this.child.on('exit', (code, signal) => {
      for (const { reject } of this.#calls.values())
        reject(new Error(`${name} ended with ${code ?? signal}`));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Calls a function of the part by its name. */
  call<Result>(method: string, input: unknown = null): Promise<Result> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.child.send({ id, method, input });
    });
  }

  end(): Promise<void> {
    return endProcess(this.child, 'SIGKILL');
  }
}

/** The other end of {@link Part}: answers calls until the bench goes away. */
export function serve(methods: Readonly<Record<string, (input: never) => unknown>>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ id, method, input }: { id: number; method: string; input: never }) => {
    let reply: Reply;
    try {
      reply = { id, result: await methods[method]?.(input) };
    } catch (error) {
      reply = { id, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply);
  });
}

/** Milliseconds on the clock that all processes of a machine share (CLOCK_MONOTONIC). */
export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;

/** What `getconf CLK_TCK` says on every Linux. */
const ticksPerSecond = 100;

/** User and system time of a process so far, seconds (proc(5), /proc/pid/stat, fields 14 and 15). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is a name that may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/**
 * The same to the nanosecond, for processes that sleep more than a tick: the sum over the threads that it has now
 * (kernel documentation, scheduler/sched-stats, /proc/<pid>/schedstat).
 */
export function threadSeconds(pid: number): number {
  const folder = `/proc/${pid}/task`;
  const times = readdirSync(folder).map((thread) =>
    Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return times.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e9;
}

/** Resident memory of a process, MiB (proc(5), /proc/pid/status, VmRSS). */
export function residentMib(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) / 1024;
}
