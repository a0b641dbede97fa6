/**
 * A fader whose readings jump: a bad contact of its wiper or its wire, or a part that answers anything. The median of five
 * hides what is short; what goes on must not become numbers of replicas. Pure: time is an argument, and never runs back.
 */
import type { Millis } from '../../surface/types.ts';
import { Median5 } from './fader.ts';

/** Farther than noise and wear, as a part of the full scale: a way back that is shorter is no turn. */
const farBack = 0.05;
/** A hand does not turn a fader round three times in so long: that is to and fro five times a second. */
const handMs = 200;
const mostTurns = 2;
/** Slow converters give few readings in that time: turns count together within so many readings as well. */
const handReadings = 9;
/** A fader that did not turn round for so long, and for so many readings, is at rest or moved by a hand again. */
const restMs = 500;
const restReadings = 20;

interface Turn {
  readonly at: Millis;
  readonly count: number;
}

/** Watches the readings of one fader. */
export class JumpWatch {
  readonly #median = new Median5();
  #turns: Turn[] = [];
  #direction: 'up' | 'down' = 'up';
  /** Farthest in the direction; null: nothing yet. */
  #farthest: number | null = null;
  #count = 0;
  #isJumping = false;

  /** Its readings are not to be believed. */
  get isJumping(): boolean {
    return this.#isJumping;
  }

  /** Takes a reading, 0..1 of the full scale. */
  push(sample: number, at: Millis): void {
    this.#count += 1;
    const level = this.#median.push(sample);
    if (level === null) return;
    if (this.#hasTurned(level))
      this.#turns = [...this.#turns, { at, count: this.#count }].slice(-mostTurns - 1);
    const [first] = this.#turns;
    const last = this.#turns.at(-1);
    if (first === undefined || last === undefined) return;
    if (this.#isWithin(last, at, restMs, restReadings)) {
      const isFull = this.#turns.length > mostTurns;
      if (isFull && this.#isWithin(first, at, handMs, handReadings)) this.#isJumping = true;
    } else {
      this.#turns = [];
      this.#isJumping = false;
    }
  }

  /** Begins anew. */
  reset(): void {
    this.#median.reset();
    this.#turns = [];
    this.#direction = 'up';
    this.#farthest = null;
    this.#isJumping = false;
  }

  #isWithin(turn: Turn, at: Millis, ms: number, readings: number): boolean {
    return at - turn.at <= ms || this.#count - turn.count <= readings;
  }

  #hasTurned(level: number): boolean {
    const farthest = this.#farthest ?? level;
    const ahead = this.#direction === 'up' ? level - farthest : farthest - level;
    const isTurn = ahead < -farBack;
    if (isTurn) this.#direction = this.#direction === 'up' ? 'down' : 'up';
    this.#farthest = isTurn || ahead > 0 ? level : farthest;
    return isTurn;
  }
}
