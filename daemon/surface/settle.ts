/** When a number that an operator is setting is due. */
import type { Millis } from './types.ts';

/** How long a value has to rest, and how long a moving one may go unsent. */
export interface SettleTimes {
  /** A value counts when it has rested this long. */
  readonly settleMs: number;
  /** A moving value is sent this often at the latest. */
  readonly longestMoveMs: number;
}

/** `jump` needs a confirmation because its fader has not picked up; `undo` is not undone again. */
export type Purpose = 'set' | 'jump' | 'undo';

/** What a move shows without acting stays for this long after the last change. */
export const rehearsalMs = 1500;

interface MoveStart {
  readonly want: number;
  /** The number that was shown when the operator began. */
  readonly saw: number;
  readonly purpose: Purpose;
  /** Shown, never sent: the surface is locked. */
  readonly isRehearsal: boolean;
  /** A hand is on the control: not due before it lets go. */
  readonly isHeld: boolean;
}

/** A number on its way from the operator's hand to a command; the newest replaces what was before. */
export class Move {
  readonly purpose: Purpose;
  readonly isRehearsal: boolean;
  saw: number;
  readonly #times: SettleTimes;
  #want: number;
  #isHeld: boolean;
  #beganAt: Millis;
  #changedAt: Millis;

  constructor(start: MoveStart, times: SettleTimes, at: Millis) {
    this.purpose = start.purpose;
    this.isRehearsal = start.isRehearsal;
    this.saw = start.saw;
    this.#times = times;
    this.#want = start.want;
    this.#isHeld = start.isHeld;
    this.#beganAt = at;
    this.#changedAt = at;
  }

  get want(): number {
    return this.#want;
  }

  /** Takes a newer number; noise that does not change the number does not put it off. */
  change(want: number, at: Millis): void {
    if (want === this.#want) return;
    this.#want = want;
    this.#changedAt = at;
  }

  /** A hand is on the control again. */
  hold(): void {
    this.#isHeld = true;
  }

  /** The hand has let go: the number counts when it has rested from now on. */
  release(at: Millis): void {
    this.#isHeld = false;
    this.#beganAt = at;
    this.#changedAt = at;
  }

  /** When it is due, or for a rehearsal when it is over; null while a hand holds it. */
  dueAt(): Millis | null {
    if (this.#isHeld) return null;
    if (this.isRehearsal) return this.#changedAt + rehearsalMs;
    return Math.min(this.#changedAt + this.#times.settleMs, this.#beganAt + this.#times.longestMoveMs);
  }
}
