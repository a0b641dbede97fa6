/** Keeps one bus open: opens it, and again after a loss, with jittered back-off, until it is closed. */
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Timers } from '../panel.ts';
import type { I2cTransport, OpenI2c } from './bus.ts';

const shortestRetryMs = 250;
const longestRetryMs = 2000;
/** The first opening loads a package, from an SD card maybe. */
const openTimeoutMs = 5000;
/**
 * So many transfers may hang in the kernel at once, over all buses of the process: each holds one of the four threads that
 * libuv has for everything (files and names of hosts too).
 */
const maxHanging = 2;

/** All keepers of the process; each adds itself. */
export type BusNeighbours = Set<BusKeeper>;

/** Those of this process. */
export const processBuses: BusNeighbours = new Set();

/** What a bus is kept open with. */
export interface BusKeeperOptions {
  /** As in `/dev/i2c-1`. */
  readonly bus: number;
  readonly open: OpenI2c;
  /** {@link processBuses}, but for tests. */
  readonly neighbours: BusNeighbours;
  readonly timers: Timers;
  /** 0..1, for the jitter of the back-off. */
  readonly random: () => number;
  readonly log: Log;
  /** How long `close` waits for the kernel, milliseconds. */
  readonly closeTimeoutMs: number;
  /** The bus has been opened: the first time, or again. */
  readonly onOpened: () => void;
  /** The bus was open and is lost; it is opened again by itself. */
  readonly onLost: (problem: SurfacedError) => void;
}

/** Whether a bus can be used, and what is wrong with it. */
export interface BusState {
  readonly isOpen: boolean;
  /** With what to do about it; null when all is well. After a loss it stays until a transfer has gone well. */
  readonly problem: string | null;
}

/**
 * The life of one bus. A transfer that hangs in the kernel cannot be called off: what is lost with it is closed when the
 * kernel gives it back. The bus is opened anew meanwhile, if with its next transfer no more than {@link maxHanging} can
 * hang in the whole process; one of which nothing hangs is always opened.
 */
export class BusKeeper {
  readonly #options: BusKeeperOptions;
  #transport: I2cTransport | null = null;
  #problem: SurfacedError | null = null;
  /** The bus was lost in use and has not done anything well since. */
  #isDoubtful = false;
  #failures = 0;
  #hanging = 0;
  #openings = 0;
  #losses = 0;
  #opening: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #cancelRetry = () => {};

  constructor(options: BusKeeperOptions) {
    this.#options = options;
    options.neighbours.add(this);
  }

  /** How many threads hang in the kernel for this bus, or hang with its next transfer. */
  get threads(): number {
    return this.#hanging + (this.#transport === null ? 0 : 1);
  }

  /** The open bus; null when there is none. */
  get transport(): I2cTransport | null {
    return this.#closing === null ? this.#transport : null;
  }

  get state(): BusState {
    const problem = this.#problem;
    return {
      isOpen: this.transport !== null,
      problem: problem === null ? null : `${problem.message}. ${problem.remedy}`,
    };
  }

  /** What is wrong, as an error; null when all is well. */
  get problem(): SurfacedError | null {
    return this.#problem;
  }

  get openings(): number {
    return this.#openings;
  }

  get losses(): number {
    return this.#losses;
  }

  /** Resolves when the first try has ended, well or not. */
  start(): Promise<void> {
    if (this.#closing === null) this.#opening = this.#open();
    return this.#opening;
  }

  /** The open bus does not work: gives it up and opens it anew. */
  lose(problem: SurfacedError): void {
    const transport = this.#transport;
    if (transport === null) return;
    this.#transport = null;
    this.#isDoubtful = true;
    this.#losses += 1;
    this.#outlive(transport.close());
    this.#retryAfter(problem);
    this.#options.onLost(problem);
  }

  /** A transfer went over the bus as it should: what was wrong is over. */
  prove(): void {
    if (!this.#isDoubtful) return;
    this.#isDoubtful = false;
    this.#recover();
  }

  /** Waits for the kernel for `closeTimeoutMs` at most; may be called twice. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#cancelRetry();
    const transport = this.#transport;
    this.#transport = null;
    const closing = transport === null ? this.#opening : transport.close();
    closing.catch((error: unknown) => this.#logClosing(error));
    await endsWithin(this.#options.timers, this.#options.closeTimeoutMs, closing);
    if (this.threads === 0) this.#options.neighbours.delete(this);
  }

  async #open(): Promise<void> {
    const { bus, open, timers, onOpened } = this.#options;
    const opening = open(bus);
    if (!(await endsWithin(timers, openTimeoutMs, opening))) {
      this.#outlive(opening.then((late) => late.close()));
      this.#retryAfter(
        new SurfacedError('E_HW_BUS_OPEN', `bus ${bus}: not opened within ${openTimeoutMs} ms`),
      );
      return;
    }
    let transport: I2cTransport;
    try {
      transport = await opening;
    } catch (error) {
      this.#retryAfter(
        error instanceof SurfacedError
          ? error
          : new SurfacedError('E_HW_BUS_OPEN', `bus ${bus} cannot be opened`, { cause: error }),
      );
      return;
    }
    if (this.#closing !== null) {
      await transport.close();
      return;
    }
    this.#transport = transport;
    this.#openings += 1;
    if (!this.#isDoubtful) this.#recover();
    onOpened();
  }

  #recover(): void {
    this.#failures = 0;
    this.#problem = null;
    this.#options.log.info({ bus: this.#options.bus }, 'I2C bus works');
  }

  #retryAfter(problem: SurfacedError): void {
    const { bus, log, random, timers } = this.#options;
    this.#problem = problem;
    const fields = { bus, code: problem.code, err: problem.message };
    // Once aloud; a bus that stays away for days fills no log.
    if (this.#failures === 0) log.warn(fields, 'I2C bus does not work');
    else log.debug(fields, 'I2C bus still does not work');
    this.#failures += 1;
    if (this.#closing !== null || problem.class !== 'retry') return;
    const backOffMs = Math.min(longestRetryMs, shortestRetryMs * 2 ** (this.#failures - 1));
    this.#cancelRetry = timers.after(backOffMs * (0.5 + random() / 2), () => {
      if (this.#mayOpen()) this.#opening = this.#open();
      else this.#retryAfter(problem);
    });
  }

  #mayOpen(): boolean {
    const threads = [...this.#options.neighbours].reduce((sum, bus) => sum + bus.threads, 0);
    return this.#hanging === 0 || threads < maxHanging;
  }

  /** Counts what still hangs in the kernel. */
  #outlive(work: Promise<void>): void {
    this.#hanging += 1;
    work
      .catch((error: unknown) => this.#logClosing(error))
      .finally(() => {
        this.#hanging -= 1;
      });
  }

  #logClosing(error: unknown): void {
    const { bus, log } = this.#options;
    log.debug({ bus, err: error instanceof Error ? error.message : String(error) }, 'I2C bus closed badly');
  }
}

/** Whether the work ends within the time, well or not; what it ends with is the caller's to look at. */
function endsWithin(timers: Timers, limitMs: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = timers.after(limitMs, () => resolve(false));
    const end = () => {
      cancel();
      resolve(true);
    };
    work.then(end, end);
  });
}
