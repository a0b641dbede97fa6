/** Waiting that ends early: by a signal, by a wake-up, by a deadline. */

/** One waiting place for a loop; `wake` ends the wait, also one that begins right after. */
export class Pause {
  #wake: (() => void) | null = null;
  #isWoken = false;

  /** Ends the present wait, or the next one if none is under way. */
  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  /** Forgets a wake-up that came while nobody waited. */
  forget(): void {
    this.#isWoken = false;
  }

  /** Resolves after the time, when woken or when the signal fires, whichever is first. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!signal.aborted && !this.#isWoken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        const end = (): void => {
          clearTimeout(timer);
          resolve();
        };
        this.#wake = end;
        signal.addEventListener('abort', end, { once: true });
        this.#release = () => signal.removeEventListener('abort', end);
      });
      this.#release();
    }
    this.#wake = null;
    this.#isWoken = false;
  }

  #release: () => void = () => {};
}

/** A signal that follows another one and fires by itself when its time is over. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #follow = (): void => this.#controller.abort(this.#parent.reason);
  /** True when the time was over, false when the parent fired or nothing did. */
  isLate = false;

  // Not AbortSignal.any: its composites stay linked to a long-lived parent (nodejs/node issue 54614).
  constructor(ms: number, parent: AbortSignal) {
    this.#parent = parent;
    this.#timer = setTimeout(() => {
      this.isLate = true;
      this.#controller.abort(new Error('deadline'));
    }, ms);
    parent.addEventListener('abort', this.#follow, { once: true });
    if (parent.aborted) this.#follow();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it early, as if the parent had fired. */
  abort(): void {
    this.#controller.abort(new Error('ended'));
  }

  /** Must be called when the work is over. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener('abort', this.#follow);
  }
}

/** Rejects as soon as the signal fires, although the work itself cannot be stopped. */
export async function orAbort<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  // Nobody waits for it any more after an abort: its failure then is no unhandled rejection.
  work.catch(() => {});
  signal.throwIfAborted();
  let stop: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Lets a fixed number of works run at once, the others in their order. */
export class Limiter {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  async run<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** Half of the time up to all of it. */
export function jittered(ms: number, random: () => number): number {
  return ms * (0.5 + random() / 2);
}
