/** From the pulses of an encoder to detents. */
import type { Millis } from './types.ts';

/** Detents further apart than this are never accelerated. */
const slowMs = 150;
/** Detents closer than this are accelerated most. */
const fastMs = 60;

/** Counts one encoder's detents. */
export class Detents {
  readonly #pulsesPerDetent: number;
  readonly #isAccelerated: boolean;
  /** Pulses that do not make a detent yet. */
  #remainder = 0;
  #direction = 0;
  #lastAt: Millis | null = null;

  constructor(pulsesPerDetent: number, isAccelerated: boolean) {
    this.#pulsesPerDetent = Math.max(1, Math.trunc(pulsesPerDetent));
    this.#isAccelerated = isAccelerated;
  }

  /** Detents that these pulses complete, with sign, times the acceleration. */
  turn(pulses: number, at: Millis): number {
    const direction = Math.sign(pulses);
    if (direction === 0) return 0;
    // Half a detent forth and half a detent back is no detent: the remainder belongs to one direction.
    if (direction !== this.#direction) this.forget();
    this.#direction = direction;
    const total = this.#remainder + Math.trunc(pulses);
    const detents = Math.trunc(total / this.#pulsesPerDetent);
    this.#remainder = total - detents * this.#pulsesPerDetent;
    if (detents === 0) return 0;
    const factor = this.#factor(Math.abs(detents), at);
    this.#lastAt = at;
    return detents * factor;
  }

  /** Drops the remainder and the speed. */
  forget(): void {
    this.#remainder = 0;
    this.#direction = 0;
    this.#lastAt = null;
  }

  #factor(detents: number, at: Millis): number {
    if (!this.#isAccelerated || this.#lastAt === null) return 1;
    const gapMs = (at - this.#lastAt) / detents;
    if (gapMs > slowMs) return 1;
    return gapMs > fastMs ? 2 : 5;
  }
}
