/** `surfaced monitor` as a process that is watched from outside: what it tells, what it logs, what memory it takes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { MonitorLine } from '../../scenarios/open-rig.ts';
import type { Rig } from '../../scenarios/rig.ts';

/** How a process ended: one of the two is null. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** So many last lines are in the message when something does not come. */
const linesTold = 15;

/** A monitor whose turns are counted and not kept, so that it can be watched for long. */
export class WatchedMonitor {
  /** What it told, in its order, but for turns. */
  readonly lines: MonitorLine[] = [];
  /** What it logged, parsed; a line that is not JSON is `{ msg: <line> }`. */
  readonly logs: MonitorLine[] = [];
  /** Resolves when the process is over and all that it wrote was read. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #pulses = new Map<string, number>();
  readonly #lookers = new Set<() => void>();

  /** @param words more for the command line, before the command */
  constructor(rig: Pick<Rig, 'surfaced'>, config: string, words: readonly string[]) {
    const command = rig.surfaced(...words, 'monitor', '--config', config, '-o', 'json');
    const [program = '', ...rest] = command;
    this.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#take(JSON.parse(line)));
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      this.logs.push(line.startsWith('{') ? JSON.parse(line) : { msg: line });
      this.#look();
    });
    this.ended = once(this.#child, 'close').then(([code, signal]) => ({ code, signal }) as Ending);
    void this.ended.then(() => this.#look());
  }

  /** Sum of the pulses that a control told since the start. */
  pulsesOf(control: string): number {
    return this.#pulses.get(control) ?? 0;
  }

  /** The same of all controls that told any. */
  get turned(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#pulses);
  }

  /** The lines since an index of {@link lines} that say that a hand did something; positions left out. */
  touches(from: number): MonitorLine[] {
    return this.lines.slice(from).filter(({ type }) => type === 'press' || type === 'touch');
  }

  /** Positions that a fader told since an index of {@link lines}. */
  positions(control: string, from: number): number[] {
    return this.lines
      .slice(from)
      .filter((line) => line.type === 'position' && line.control === control)
      .map(({ value }) => Number(value));
  }

  /** Controls that are missing, as told last. */
  get missing(): readonly string[] {
    return (this.lines.findLast(({ type }) => type === 'missing')?.controls ?? []) as string[];
  }

  /** What is wrong with the panel, as told last; null when nothing is. */
  get problem(): string | null {
    return (this.lines.findLast(({ type }) => type === 'panel')?.problem ?? null) as string | null;
  }

  /** Resolves when it is true, looked at after each line; rejects with the last lines after the time. */
  async until(what: string, limitMs: number, isTrue: () => boolean): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!isTrue()) {
      if (this.isOver) throw new Error(`${what} did not come: the monitor has ended.\n${this.#last()}`);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`${what} did not come within ${limitMs / 1000} s.\n${this.#last()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => look(), leftMs);
        const look = (): void => {
          clearTimeout(timer);
          this.#lookers.delete(look);
          resolve();
        };
        this.#lookers.add(look);
      });
    }
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Memory of the process that is in use, bytes; of a process on this machine only. */
  memoryBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Sends a signal and waits for the end; may be called when it is over. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<Ending> {
    this.#child.kill(signal);
    return this.ended;
  }

  #take(line: MonitorLine): void {
    if (line.type === 'turn') {
      const control = String(line.control);
      this.#pulses.set(control, this.pulsesOf(control) + Number(line.pulses));
    } else this.lines.push(line);
    this.#look();
  }

  #look(): void {
    for (const look of [...this.#lookers]) look();
  }

  #last(): string {
    return [...this.lines.slice(-linesTold), ...this.logs.slice(-linesTold)]
      .map((line) => JSON.stringify(line))
      .join('\n');
  }
}
