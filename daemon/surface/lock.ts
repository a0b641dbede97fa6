/** The lock of a surface: by hand, and by itself after a time without use. */
import type { Millis } from './types.ts';

/** Locked or not, and when it locks by itself. */
export class Lock {
  readonly #idleMs: number;
  #isLocked: boolean;
  /** Null until the first use or tick tells the time. */
  #usedAt: Millis | null = null;

  /** @param idleMs time without use after which it locks; 0: never */
  constructor(isLocked: boolean, idleMs: number) {
    this.#isLocked = isLocked;
    this.#idleMs = idleMs;
  }

  get isLocked(): boolean {
    return this.#isLocked;
  }

  /** The panel is in use: the time without use starts anew. */
  use(at: Millis): void {
    this.#usedAt = at;
  }

  toggle(at: Millis): void {
    this.#isLocked = !this.#isLocked;
    this.#usedAt = at;
  }

  /** True when it has just locked by itself. */
  tick(at: Millis): boolean {
    this.#usedAt ??= at;
    const wakeAt = this.nextWakeAt();
    if (wakeAt === null || at < wakeAt) return false;
    this.#isLocked = true;
    return true;
  }

  nextWakeAt(): Millis | null {
    if (this.#isLocked || this.#idleMs <= 0 || this.#usedAt === null) return null;
    return this.#usedAt + this.#idleMs;
  }
}
