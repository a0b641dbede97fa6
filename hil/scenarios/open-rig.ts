/** The rig that a scenario runs on, and the program under test beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { openBench } from '../bench/rig.ts';
import { openVirtualRig } from '../rig/virtual.ts';
import type { Rig } from './rig.ts';

/** The bench that SURFACED_BENCH names, else the virtual rig. */
export function openRig(): Promise<Rig> {
  const { SURFACED_BENCH: bench } = process.env;
  return bench === undefined ? openVirtualRig(process.env) : openBench(bench);
}

/** One line of `surfaced monitor -o json`. */
export type MonitorLine = Readonly<Record<string, unknown>>;

/** Longest wait for a line: a program that starts on a busy machine, a part that was away for long. */
const untilMs = 60_000;

/** `surfaced monitor` on the panel of a rig. */
export class Monitor {
  readonly lines: MonitorLine[] = [];
  readonly #child: ChildProcess;
  #onNews = () => {};

  constructor(rig: Rig) {
    const [program = '', ...rest] = rig.surfaced('monitor', '--config', rig.panelConfig, '-o', 'json');
    this.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as MonitorLine);
      this.#onNews();
    });
    this.#child.on('exit', () => this.#onNews());
  }

  /** Resolves when what was told since `from` is enough; rejects with the last lines when the time is over. */
  async until(
    isEnough: (lines: readonly MonitorLine[]) => boolean,
    from = 0,
  ): Promise<readonly MonitorLine[]> {
    const deadline = performance.now() + untilMs;
    while (!isEnough(this.lines.slice(from))) {
      if (this.#isOver) throw new Error('surfaced monitor has ended');
      await this.#news(deadline - performance.now());
    }
    return this.lines.slice(from);
  }

  /** Resolves with the next line, or the end. */
  #news(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        const last = this.lines.slice(-8).map((line) => JSON.stringify(line));
        reject(new Error(`what was awaited did not come; the last lines:\n${last.join('\n')}`));
      }, timeoutMs);
      this.#onNews = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  get #isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Ends it as an operator would; resolves to its exit code. */
  async stop(): Promise<number | null> {
    if (this.#isOver) return this.#child.exitCode;
    this.#child.kill('SIGTERM');
    const [code] = (await once(this.#child, 'exit')) as [number | null];
    return code;
  }
}

/** What is wrong with the panel, as it was told last; null: nothing, or nothing was told yet. */
export function problemIn(lines: readonly MonitorLine[]): string | null {
  return (lines.findLast(({ type }) => type === 'panel')?.problem ?? null) as string | null;
}

/** Names of the controls that are missing, as they were told last. */
export function missingIn(lines: readonly MonitorLine[]): readonly string[] {
  return (lines.findLast(({ type }) => type === 'missing')?.controls ?? []) as readonly string[];
}

/** Whether the panel is open and nothing of it is missing. */
export function isWhole(lines: readonly MonitorLine[]): boolean {
  const isOpen = lines.findLast(({ type }) => type === 'panel')?.isOpen === true;
  return isOpen && problemIn(lines) === null && missingIn(lines).length === 0;
}

/** Sum of the pulses that a control reported. */
export function pulsesOf(lines: readonly MonitorLine[], control: string): number {
  return lines
    .filter((line) => line.type === 'turn' && line.control === control)
    .reduce((sum, line) => sum + Number(line.pulses), 0);
}
