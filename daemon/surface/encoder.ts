/** From the pulses of an encoder to detents. */
import type { Millis } from './types.ts';

/** Detents further apart than this are never accelerated. */
const slowMs = 150;
/** Detents closer than this are accelerated most. */
const fastMs = 60;

/** A knob that rests so long has come to rest in a detent, so that what is left of its pulses is an error. */
const restMs = 300;

/**
 * Counts one encoder's detents: one for every full number of pulses to either side, so that a hand that jogs, or a contact
 * that bounces, to and fro takes back what it gave.
 */
export class Detents {
  readonly #pulsesPerDetent: number;
  readonly #isAccelerated: boolean;
  /** Pulses that do not make a detent yet, with sign. */
  #remainder = 0;
  /** When the last pulses came. */
  #movedAt: Millis = Number.NEGATIVE_INFINITY;
  /** The last detent: its direction and when it was; null: none from which a speed could be told. */
  #last: { readonly direction: number; readonly at: Millis } | null = null;

  constructor(pulsesPerDetent: number, isAccelerated: boolean) {
    this.#pulsesPerDetent = Math.max(1, Math.trunc(pulsesPerDetent));
    this.#isAccelerated = isAccelerated;
  }

  /** Detents that these pulses complete, with sign, times the acceleration. */
  turn(pulses: number, at: Millis): number {
    if (pulses === 0) return 0;
    // A lost edge would shift every detent that follows by one pulse, for ever.
    if (at - this.#movedAt >= restMs) this.#remainder = 0;
    this.#movedAt = at;
    const total = this.#remainder + Math.trunc(pulses);
    const detents = Math.trunc(total / this.#pulsesPerDetent);
    this.#remainder = total - detents * this.#pulsesPerDetent;
    if (detents === 0) return 0;
    const factor = this.#factor(detents, at);
    this.#last = { direction: Math.sign(detents), at };
    return detents * factor;
  }

  /** Drops the remainder and the speed. */
  forget(): void {
    this.#remainder = 0;
    this.#last = null;
  }

  #factor(detents: number, at: Millis): number {
    const last = this.#last;
    if (!this.#isAccelerated || last === null || last.direction !== Math.sign(detents)) return 1;
    const gapMs = (at - last.at) / Math.abs(detents);
    if (gapMs > slowMs) return 1;
    return gapMs > fastMs ? 2 : 5;
  }
}
