/** Time as a part is given it: its pauses end with it. */
import type { PartTime } from '../chips/driver.ts';
import type { Timers } from '../panel.ts';

/** Pauses that can be cut short. */
export class CuttableTime implements PartTime {
  readonly #timers: Timers;
  readonly #pauses = new Set<() => void>();
  #isCut = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  now(): number {
    return this.#timers.monotonic();
  }

  pause(ms: number): Promise<void> {
    if (this.#isCut) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const cancel = this.#timers.after(ms, end);
      this.#pauses.add(end);
    });
  }

  /** True once pauses have ended for good. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Ends all pauses, and those to come. */
  cut(): void {
    this.#isCut = true;
    for (const end of [...this.#pauses]) end();
  }
}

/** Waits for a promise, however it ends, but no longer than a time in milliseconds; true when it ended in time. */
export function endsWithin(timers: Timers, ms: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, () => resolve(false));
    const end = (): void => {
      cancel();
      resolve(true);
    };
    promise.then(end, end);
  });
}
