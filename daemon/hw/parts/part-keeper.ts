/** Keeps one part of a panel open: opens it, notices its loss, opens it again with jittered back-off. */
import { SurfacedError } from '../../errors.ts';
import type { PartPicture } from '../chips/driver.ts';
import type { ComposedPart } from './compose.ts';
import { PartRun, type PartRunOptions } from './part-run.ts';

const shortestRetryMs = 250;
const longestRetryMs = 5000;
/** A part that was open for so long starts its back-off over; one that comes and goes does not. */
const steadyAfterMs = 5000;

/** What a keeper needs. */
export interface PartKeeperOptions extends PartRunOptions {
  /** 0..1, for the jitter of the back-off. */
  readonly random: () => number;
  /** The part has been opened, the first time or anew: called before its first reading. */
  readonly onOpened: () => void;
  /** The part was open and is lost; no reading comes any more. */
  readonly onLost: () => void;
  /** The part could not be opened. */
  readonly onFailed: () => void;
}

/** One part through all its openings. */
export class PartKeeper {
  readonly #options: PartKeeperOptions;
  #run: PartRun | null = null;
  #isOpen = false;
  #problem: Error | null = null;
  /** Why its bus cannot be used; null: it can, or the part is on none. */
  #busProblem: Error | null = null;
  #failures = 0;
  #openedAt = 0;
  #isStopping = false;
  /** The last loss of its bus, and whether the part was open then. */
  #loss: { readonly problem: Error; readonly wasOpen: boolean } | null = null;
  #isWaitingForBus = false;
  #wake: () => void = () => {};
  #life: Promise<void> | null = null;
  #latest: PartPicture | null = null;
  #endFirstTry: () => void = () => {};
  readonly #firstTry: Promise<void>;

  constructor(options: PartKeeperOptions) {
    this.#options = options;
    this.#firstTry = new Promise((resolve) => {
      this.#endFirstTry = resolve;
    });
  }

  get part(): ComposedPart {
    return this.#options.part;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Why it is not open; null while it is, or before the first try has ended. */
  get problem(): Error | null {
    return this.#isOpen ? null : this.#problem;
  }

  /** Begins; resolves when the part was opened or could not be, for the first time. */
  start(): Promise<void> {
    this.#life ??= this.#live();
    return this.#firstTry;
  }

  /** Shows a picture as soon as the part can; again in full whenever it is opened anew. */
  show(picture: PartPicture): void {
    this.#latest = picture;
    if (this.#isOpen) this.#run?.show(picture);
  }

  /** The bus of the part cannot be used. */
  busLost(problem: Error): void {
    this.#busProblem = problem;
    this.#loss = { problem, wasOpen: this.#isOpen };
    // A part that is being opened finds out by itself, and its error tells whether it is to blame.
    if (this.#isOpen) this.#run?.lose(problem);
  }

  /** The bus of the part can be used (again). */
  busBack(): void {
    this.#busProblem = null;
    if (this.#isWaitingForBus) this.#wake();
  }

  /** Makes the part dark and lets go of it; may be called twice. Takes less than a second. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#endFirstTry();
    this.#wake();
    await this.#run?.close();
    await this.#life;
  }

  async #live(): Promise<void> {
    while (!this.#isStopping) {
      if (this.#busProblem !== null) {
        this.#problem = this.#busProblem;
        this.#options.onFailed();
        this.#endFirstTry();
        this.#isWaitingForBus = true;
        await this.#wait(null);
        this.#isWaitingForBus = false;
        continue;
      }
      const problem = await this.#runOnce();
      if (this.#isStopping) return;
      const isInnocent = this.#isInnocent(problem);
      this.#loss = null;
      this.#fail(problem, isInnocent);
      if (!isInnocent) await this.#wait(this.#backOffMs(problem));
    }
  }

  /** One opening, from the attempt to the loss. */
  async #runOnce(): Promise<Error> {
    const { timers, log, part, onOpened, onLost } = this.#options;
    const run = new PartRun(this.#options);
    this.#run = run;
    let problem: Error;
    try {
      await Promise.race([run.open(), run.ended.then((reason) => Promise.reject(reason))]);
      this.#isOpen = !this.#isStopping;
      if (this.#isOpen) {
        this.#openedAt = timers.monotonic();
        this.#problem = null;
        this.#endFirstTry();
        const fields = { panelPart: part.label };
        if (this.#failures > 1) log.debug(fields, 'part opened');
        else log.info(fields, 'part opened');
        onOpened();
        if (this.#latest !== null) run.show(this.#latest);
        run.begin();
      }
      problem = await run.ended;
    } catch (error) {
      problem = error instanceof Error ? error : new Error(String(error));
    }
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    this.#problem = problem;
    if (wasOpen && timers.monotonic() - this.#openedAt >= steadyAfterMs) this.#failures = 0;
    if (wasOpen && !this.#isStopping) onLost();
    await run.close();
    this.#run = null;
    return problem;
  }

  /**
   * Whether the part was only hit by the loss of its bus, and may be opened as soon as the bus is back. One that hangs
   * while it is opened may be what holds the bus: it keeps its back-off, so that the others can work. The owner of the bus
   * names the loss as the cause to those whose transfers did not begin.
   */
  #isInnocent(problem: Error): boolean {
    if (this.#loss === null) return false;
    return this.#loss.wasOpen || problem.cause === this.#loss.problem;
  }

  #fail(problem: Error, isInnocent: boolean): void {
    const { log, part, onFailed } = this.#options;
    const code = problem instanceof SurfacedError ? problem.code : undefined;
    const fields = { panelPart: part.label, code, err: problem.message };
    // Once aloud; a part that stays away for days fills no log, and of its bus the bus itself tells.
    if (this.#failures === 0 && !isInnocent) log.warn(fields, 'part is not open');
    else log.debug(fields, 'part is still not open');
    if (!isInnocent) this.#failures += 1;
    onFailed();
    this.#endFirstTry();
  }

  /** Milliseconds until the next try; null: trying again will not help. */
  #backOffMs(problem: Error): number | null {
    if (problem instanceof SurfacedError && problem.class !== 'retry') return null;
    const ms = Math.min(longestRetryMs, shortestRetryMs * 2 ** Math.min(this.#failures - 1, 16));
    return ms * (0.5 + this.#options.random() / 2);
  }

  /** Waits for a time, or until it is woken. */
  async #wait(ms: number | null): Promise<void> {
    if (this.#isStopping) return;
    await new Promise<void>((resolve) => {
      const cancel = ms === null ? () => {} : this.#options.timers.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = () => {};
  }
}
