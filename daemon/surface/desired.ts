/** Which number of replicas is in force, told apart by who changed it. */
import type { Millis } from './types.ts';

/** Views that still show the number before an accepted command are late, not a change, for this long. */
const lateViewMs = 5000;

/** `own`: a command of this surface did it. `elsewhere`: somebody else. */
export type Change = 'none' | 'own' | 'elsewhere';

/** What is believed about spec.replicas of one target, from views and answers. */
export class Desired {
  #value: number | null = null;
  #lastSeen: number | null = null;
  /** Numbers that were in force before accepted commands and that a late view may still show. */
  #before: number[] = [];
  #trustViewsAt: Millis = 0;

  get value(): number | null {
    return this.#value;
  }

  /**
   * Takes the number of a view.
   * @param inFlight the number that a command under way asks for, null: none
   */
  observe(seen: number | null, inFlight: number | null, at: Millis): Change {
    this.#lastSeen = seen;
    if (seen === this.#value) {
      this.#before = [];
      return 'none';
    }
    if (seen !== null && at < this.#trustViewsAt && this.#before.includes(seen)) return 'none';
    this.#set(seen);
    return seen !== null && seen === inFlight ? 'own' : 'elsewhere';
  }

  /** A command was accepted and made this the number. */
  accept(now: number, at: Millis): void {
    if (now === this.#value) return;
    const before = this.#value === null ? this.#before : [...this.#before, this.#value];
    this.#set(now);
    this.#before = before;
    this.#trustViewsAt = at + lateViewMs;
  }

  /** An end of a command says what the number is now. */
  correct(now: number, at: Millis): Change {
    if (now === this.#value) return 'none';
    this.accept(now, at);
    return 'elsewhere';
  }

  /** After the wait for late views the last view counts. */
  tick(at: Millis): Change {
    if (this.#before.length === 0 || at < this.#trustViewsAt) return 'none';
    this.#before = [];
    if (this.#lastSeen === this.#value) return 'none';
    this.#set(this.#lastSeen);
    return 'elsewhere';
  }

  nextWakeAt(): Millis | null {
    return this.#before.length === 0 ? null : this.#trustViewsAt;
  }

  /** Nothing is known any more. */
  forget(): void {
    this.#set(null);
    this.#lastSeen = null;
  }

  #set(value: number | null): void {
    this.#value = value;
    this.#before = [];
  }
}
