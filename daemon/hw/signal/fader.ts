/** Steady positions out of the noisy levels of one fader. Pure: it counts samples and knows no time. */
import type { FaderEnds } from '../../config/calibration.ts';

/**
 * One step of a 12-bit converter, in which the noise of real faders was measured: 16 to 19 steps in the middle of the
 * travel and 1 to 2 at its ends (ATOVproject/faderpunk, pull request 556).
 */
const step12 = 1 / 4095;
/** The noise of a fader that rests in the middle of its travel, peak to peak, as a part of the full scale. */
const noise = 19 * step12;
/** A position is reported when it has moved this far from the one reported before, as a part of the full scale. */
export const emitDistance = 25 * step12;
/**
 * So near an end is the end. Leaving it takes `emitDistance`: the gap between the two is the noise, so that a fader at
 * rest does not go to and fro.
 */
const endDistance = emitDistance - noise;
/** Weight of a new sample in the moving average, near it. */
const newWeight = 1 / 4;
/**
 * Farther from the average than this is no noise but a hand: the average goes there at once, whatever the rate of the
 * samples, so that a fader does not lag behind the hand.
 */
const nearDistance = 2 * emitDistance;

/**
 * A move has ended when so many samples made no further report; then where it ended is reported. Otherwise noise would
 * do so at some later time, and a replica would change under a fader that nobody touches.
 */
export const restSamples = 16;
/** After so many samples a jump over the whole travel is reported; to an end as exactly 0 or 1. */
export const followSamples = 3;

/** The median of the last five samples: up to two of them may be anything. */
export class Median5 {
  readonly #samples: number[] = [];

  /** Takes a sample; null until there are five. */
  push(sample: number): number | null {
    this.#samples.push(sample);
    if (this.#samples.length < 5) return null;
    if (this.#samples.length > 5) this.#samples.shift();
    return this.#samples.toSorted((a, b) => a - b)[2]!;
  }

  reset(): void {
    this.#samples.length = 0;
  }
}

const limit = (value: number): number => Math.min(1, Math.max(0, value));
const isEnd = (position: number): boolean => position === 0 || position === 1;

/**
 * One fader: median of five, moving average, calibration, then reports only when it has really moved, and one more of
 * where it came to rest. It needs every sample, equal ones too. The first report comes with the fifth sample.
 */
export class FaderChain {
  readonly #median = new Median5();
  readonly #low: number;
  readonly #span: number;
  #average: number | null = null;
  #reported: number | null = null;
  /** Samples since the last report of a move; null: at rest. */
  #restedFor: number | null = null;

  /** @param ends where its travel ends on the scale of the converter; null: at 0 and 1 */
  constructor(ends: FaderEnds | null) {
    this.#low = ends?.low ?? 0;
    this.#span = (ends?.high ?? 1) - this.#low;
  }

  /**
   * Takes a sample, 0..1 of the full scale; one that is no number is left out.
   * @returns the position to report, 0..1 of the travel; null: nothing new
   */
  push(sample: number): number | null {
    if (!Number.isFinite(sample)) return null;
    const median = this.#median.push(limit(sample));
    if (median === null) return null;
    const away = this.#average === null ? Number.POSITIVE_INFINITY : median - this.#average;
    this.#average =
      this.#average === null || Math.abs(away) > nearDistance ? median : this.#average + away * newWeight;
    const position = this.#atEnd(limit((this.#average - this.#low) / this.#span));
    if (!this.#isNews(position)) return null;
    this.#reported = position;
    return position;
  }

  /** The next sample is a first one. */
  reset(): void {
    this.#median.reset();
    this.#average = null;
    this.#reported = null;
    this.#restedFor = null;
  }

  #isNews(position: number): boolean {
    const last = this.#reported;
    if (last === null) return true;
    const isAtOtherEnd = isEnd(position) && position !== last;
    // Noise is the converter's: a fader that uses a part of the scale only has more of it on its travel.
    if (isAtOtherEnd || Math.abs(position - last) >= emitDistance / Math.abs(this.#span)) {
      this.#restedFor = 0;
      return true;
    }
    if (this.#restedFor === null || ++this.#restedFor < restSamples) return false;
    this.#restedFor = null;
    return position !== last && !isEnd(last);
  }

  #atEnd(position: number): number {
    const distance = endDistance / Math.abs(this.#span);
    if (position <= distance) return 0;
    return position >= 1 - distance ? 1 : position;
  }
}
