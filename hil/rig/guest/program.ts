/** A program under test as a process of the guest, with its log to wait for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** One line of its log; a line that is not JSON has only `msg`. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A running program that logs JSON lines to stderr, as every role of `surfaced` does. */
export class Program {
  readonly lines: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();

  /** @param command the program first, then its arguments */
  constructor([program = '', ...args]: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      this.lines.push(parsed(line));
      for (const look of this.#waiting) look();
    });
    this.#child.on('exit', () => {
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves with the first line that has this message, told or to come; rejects when the program has ended. */
  logged(message: string): Promise<LogLine> {
    return this.loggedTimes(message, 1);
  }

  /** The same for the line that has it for the second time, or any. */
  async loggedTimes(message: string, times: number): Promise<LogLine> {
    for (;;) {
      const found = this.lines.filter(({ msg }) => msg === message)[times - 1];
      if (found !== undefined) return found;
      if (this.#isOver) throw new Error(`ended before "${message}":\n${this.log()}`);
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }

  /** All that it has logged. */
  log(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }

  /** Ends it; resolves to its exit code, or null after a signal that it did not handle. May be called twice. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.#isOver) return this.#child.exitCode;
    const exit = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exit;
    return this.#child.exitCode;
  }

  get #isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { msg: line };
  }
}
