/** A row of pads: each is an absolute choice, taken by holding it. */
import { clamp, type Limits } from './scale.ts';
import type { Millis } from './types.ts';

/** A pad held this long is meant. */
export const padHoldMs = 500;

/** The number that a pad stands for: the first is one replica, within the limits. */
export function countOfPad(limits: Limits, index: number): number {
  return clamp(limits, index + 1);
}

interface Held {
  readonly index: number;
  readonly count: number;
  /** Shown, never taken: the surface is locked. */
  readonly isRehearsal: boolean;
  readonly since: Millis;
}

/** The pad of one row that is held, if any. */
export class PadHold {
  #held: Held | null = null;

  /** The number that is being chosen. */
  get count(): number | null {
    return this.#held === null ? null : this.#held.count;
  }

  press(index: number, count: number, isRehearsal: boolean, at: Millis): void {
    this.#held = { index, count, isRehearsal, since: at };
  }

  /** Letting go early cancels. */
  release(index: number): void {
    if (this.#held?.index === index) this.#held = null;
  }

  forget(): void {
    this.#held = null;
  }

  /** The number chosen when the hold is long enough, once. */
  tick(at: Millis): number | null {
    const wakeAt = this.nextWakeAt();
    if (this.#held === null || wakeAt === null || at < wakeAt) return null;
    const { count } = this.#held;
    this.#held = null;
    return count;
  }

  nextWakeAt(): Millis | null {
    return this.#held === null || this.#held.isRehearsal ? null : this.#held.since + padHoldMs;
  }
}
