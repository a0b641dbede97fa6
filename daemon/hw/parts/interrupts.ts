/**
 * Interrupt lines of parts. Outputs that are open drain may be wired together: such a line is opened once, and an edge on
 * it concerns every part on it. A line that is busy, or that was lost, is asked for again with jittered back-off for as
 * long as a part is on it; until it is had, its parts are polled as if they had none.
 */
import type { Log } from '../../log.ts';
import type { LineGroup, OpenLines } from '../gpio/lines.ts';
import type { Timers } from '../panel.ts';

const shortestRetryMs = 1000;
const longestRetryMs = 30_000;
/** A line that was held for so long starts its back-off over; one that comes and goes does not. */
const steadyAfterMs = 5000;
/** A line that cannot be had is said aloud so often at most. */
const loudEveryMs = 60_000;

/** What interrupt lines are made with. */
export interface InterruptLinesOptions {
  readonly openLines: OpenLines;
  readonly timers: Timers;
  /** 0..1, for the jitter of the back-off. */
  readonly random: () => number;
  readonly log: Log;
}

/** One part's share of an interrupt line. */
export interface InterruptShare {
  /** Whether the line is held and high: whoever has something to tell will make an edge. */
  isQuiet(): boolean;
  /** Leaves the line, which is given back with the last part on it; may be called twice. Never rejects. */
  leave(): Promise<void>;
}

/** All interrupt lines of a panel. */
export class InterruptLines {
  readonly #options: InterruptLinesOptions;
  readonly #lines = new Map<number, InterruptLine>();

  constructor(options: InterruptLinesOptions) {
    this.#options = options;
  }

  /**
   * Takes part in a line. `onInterrupt` is called when a part on it may have something to tell: at a falling edge, after
   * edges were lost, and when the line itself is had or lost.
   */
  join(line: number, onInterrupt: () => void): InterruptShare {
    const shared = this.#lines.get(line) ?? new InterruptLine(line, this.#options);
    this.#lines.set(line, shared);
    return shared.join(onInterrupt);
  }
}

/** One line with the parts on it, also while there are none: what was said of it aloud is remembered. */
class InterruptLine {
  readonly #line: number;
  readonly #options: InterruptLinesOptions;
  readonly #parts = new Set<{ readonly onInterrupt: () => void }>();
  #group: LineGroup | null = null;
  /** Openings and closings, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #cancelRetry = () => {};
  /** Failures in a row, for the back-off, and all of them. */
  #failuresInRow = 0;
  #failures = 0;
  #openedAt = 0;
  #loudAgainAt = Number.NEGATIVE_INFINITY;

  constructor(line: number, options: InterruptLinesOptions) {
    this.#line = line;
    this.#options = options;
  }

  join(onInterrupt: () => void): InterruptShare {
    const part = { onInterrupt };
    this.#parts.add(part);
    if (this.#parts.size === 1) this.#settle();
    return {
      isQuiet: () => this.#isQuiet(),
      leave: () => {
        if (this.#parts.delete(part) && this.#parts.size === 0) this.#settle();
        return this.#work;
      },
    };
  }

  /** Has the line when a part is on it, and gives it back when none is. */
  #settle(): void {
    this.#cancelRetry();
    this.#work = this.#work.then(async () => {
      if (this.#parts.size > 0 && this.#group === null) await this.#open();
      else if (this.#parts.size === 0 && this.#group !== null) await this.#close(this.#group);
    });
  }

  async #open(): Promise<void> {
    const { openLines, timers } = this.#options;
    let lost: Error | null = null;
    try {
      const group = await openLines(
        {
          chip: null,
          lines: [this.#line],
          // Interrupt outputs are open drain, active low; most boards have no pull-up of their own.
          bias: 'pull-up',
          isActiveLow: false,
          debounceMs: null,
          consumer: 'surfaced',
        },
        {
          onEdges: (edges) => {
            if (edges.some(({ isHigh }) => !isHigh)) this.#tell();
          },
          onMissed: () => this.#tell(),
          onLost: (problem) => {
            lost = problem;
            this.#lose(problem);
          },
        },
      );
      this.#group = group;
      this.#openedAt = timers.monotonic();
      // Lost before it was handed over.
      if (lost !== null) this.#lose(lost);
      else this.#tell();
    } catch (problem) {
      this.#retryAfter(problem);
    }
  }

  #lose(problem: Error): void {
    const group = this.#group;
    if (group === null) return;
    this.#work = this.#work.then(() => this.#close(group));
    this.#group = null;
    if (this.#options.timers.monotonic() - this.#openedAt >= steadyAfterMs) this.#failuresInRow = 0;
    this.#retryAfter(problem);
    // Polled as if there were no line, from now on.
    this.#tell();
  }

  #retryAfter(problem: unknown): void {
    const { log, random, timers } = this.#options;
    this.#failures += 1;
    const err = problem instanceof Error ? problem.message : String(problem);
    const fields = { line: this.#line, failures: this.#failures, err };
    if (timers.monotonic() < this.#loudAgainAt) {
      log.debug(fields, 'interrupt line is not used');
    } else {
      this.#loudAgainAt = timers.monotonic() + loudEveryMs;
      log.warn(fields, 'interrupt line is not used');
    }
    const ms = Math.min(longestRetryMs, shortestRetryMs * 2 ** Math.min(this.#failuresInRow, 16));
    this.#failuresInRow += 1;
    this.#cancelRetry();
    if (this.#parts.size === 0) return;
    this.#cancelRetry = timers.after(ms * (0.5 + random() / 2), () => this.#settle());
  }

  async #close(group: LineGroup): Promise<void> {
    if (this.#group === group) this.#group = null;
    try {
      await group.close();
    } catch (problem) {
      const err = problem instanceof Error ? problem.message : String(problem);
      this.#options.log.debug({ line: this.#line, err }, 'interrupt line closed badly');
    }
  }

  #isQuiet(): boolean {
    try {
      return this.#group?.levels()[0] === true;
    } catch {
      // Whatever is wrong with the line: polled as often as without one.
      return false;
    }
  }

  /** Whoever is told may leave: told are those that are on the line now. */
  #tell(): void {
    for (const { onInterrupt } of [...this.#parts]) onInterrupt();
  }
}
