/** Take-over of a fader without a motor: it acts only after it has met the value that is in force. */

/** Pickup state of one fader, in replicas that are not rounded. */
export class Pickup {
  #isLatched = false;
  #last: number | null = null;

  get isLatched(): boolean {
    return this.#isLatched;
  }

  /**
   * Takes a reading; latches silently when the fader is at the target or has crossed it since the last one.
   * @param tolerance how near counts as met
   */
  read(amount: number, target: number, tolerance: number): void {
    const last = this.#last;
    this.#last = amount;
    if (this.#isLatched) return;
    const hasCrossed = last !== null && (last - target) * (amount - target) < 0;
    this.#isLatched = hasCrossed || Math.abs(amount - target) <= tolerance;
  }

  /** Takes a reading while no target is known. */
  note(amount: number): void {
    this.#last = amount;
  }

  /** Latches where the fader stands: its value has become the value in force. */
  latch(): void {
    this.#isLatched = true;
  }

  /** The value has changed without the fader. */
  unlatch(): void {
    this.#isLatched = false;
  }

  /** The next reading is a first reading. */
  forget(): void {
    this.#isLatched = false;
    this.#last = null;
  }

  /** Which way to go to meet the target; null when latched, there already, or before the first reading. */
  direction(target: number): 'up' | 'down' | null {
    if (this.#isLatched || this.#last === null || this.#last === target) return null;
    return this.#last < target ? 'up' : 'down';
  }
}
