/** Who moves a motor fader: the motor, or the operator's hand on it. */
import type { Millis } from './types.ts';

/** A touch without movement for this long is a stuck sensor or a lost release. */
export const stuckTouchMs = 10_000;

/** A motor without a touch sensor may travel for this long after it was told to. */
const motorTravelMs = 1000;

/** Ownership of one motor fader. */
export class Hand {
  readonly #hasTouch: boolean;
  #isTouched = false;
  #isOwner = false;
  #lastMovedAt = 0;
  #motorUntil = 0;

  constructor(hasTouch: boolean) {
    this.#hasTouch = hasTouch;
  }

  /** A finger is on it, so the motor must not pull. */
  get isTouched(): boolean {
    return this.#isTouched;
  }

  /** Takes a touch or a release; a touch owns only when it begins while the surface may act. */
  touch(isTouched: boolean, canOwn: boolean, at: Millis): void {
    this.#isTouched = isTouched;
    this.#isOwner = isTouched && canOwn;
    this.#lastMovedAt = at;
  }

  /** The operator has moved it. */
  move(at: Millis): void {
    this.#lastMovedAt = at;
  }

  /** The motor is told to go somewhere else; without a touch sensor its movement looks like a hand. */
  drive(at: Millis): void {
    this.#motorUntil = at + motorTravelMs;
  }

  /** Readings are the operator's. */
  owns(at: Millis): boolean {
    return this.#hasTouch ? this.#isOwner : at >= this.#motorUntil;
  }

  /** The hand loses the fader until it is touched anew. */
  disown(): void {
    this.#isOwner = false;
  }

  /** Ends a stuck touch; true when it was one. */
  tick(at: Millis): boolean {
    const wakeAt = this.nextWakeAt();
    if (wakeAt === null || at < wakeAt) return false;
    this.#isTouched = false;
    this.#isOwner = false;
    return true;
  }

  nextWakeAt(): Millis | null {
    return this.#isTouched ? this.#lastMovedAt + stuckTouchMs : null;
  }
}
