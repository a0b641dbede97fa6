/** One switch without its bounces. Pure: time is an argument, and never runs back. */
import type { Millis, Roles } from '../../surface/types.ts';

/** A switch that has not changed for so long has come to rest (tttapa/Control-Surface debounces for as long). */
export const debounceMs = 25;

/** A change of a switch that is meant. */
export type SwitchChange = 'press' | 'release';

/**
 * Controls whose presses are reported only when they have come to rest, because a disturbance on the line must not
 * confirm anything: the one that arms. Everything else is eager: the surface acts on other risky things after a long
 * hold or a second control anyway.
 */
export function deferredControls(roles: Roles): ReadonlySet<string> {
  return new Set(roles.arm === undefined ? [] : [roles.arm]);
}

/**
 * One switch. A press is reported at once, or deferred until it has rested; a release always when it has rested, so that
 * a worn contact that opens for a moment while it is held makes no second press.
 *
 * The first reading says how the switch stands and reports nothing: one that is down then has to come up before it can
 * be pressed.
 */
export class Debounce {
  readonly #isDeferred: boolean;
  /** Null before the first reading. */
  #isDown: boolean | null = null;
  /** It was down at the first reading, of which nobody was told. */
  #isUntold = false;
  /** Since when the switch reads otherwise than `#isDown`. */
  #changedAt: Millis | null = null;
  #now: Millis = Number.NEGATIVE_INFINITY;

  constructor(isDeferred: boolean) {
    this.#isDeferred = isDeferred;
  }

  /** Takes a reading; what had come to rest before it is reported as well. */
  push(isDown: boolean, at: Millis): readonly SwitchChange[] {
    const changes = [...this.tick(at)];
    if (this.#isDown === null) {
      this.#isDown = isDown;
      this.#isUntold = isDown;
    } else if (this.#isDown === isDown) {
      this.#changedAt = null;
    } else if (isDown && !this.#isDeferred) {
      changes.push(...this.#change(isDown));
    } else {
      this.#changedAt ??= this.#now;
    }
    return changes;
  }

  /** Lets time pass. */
  tick(at: Millis): readonly SwitchChange[] {
    if (at > this.#now) this.#now = at;
    const wakeAt = this.nextWakeAt();
    return wakeAt === null || this.#now < wakeAt ? [] : this.#change(this.#isDown === false);
  }

  /** When `tick` has something to report; null: not before the next reading. */
  nextWakeAt(): Millis | null {
    return this.#changedAt === null ? null : this.#changedAt + debounceMs;
  }

  /** The next reading is a first one. */
  reset(): void {
    this.#isDown = null;
    this.#isUntold = false;
    this.#changedAt = null;
  }

  #change(isDown: boolean): readonly SwitchChange[] {
    const isTold = !this.#isUntold;
    this.#isDown = isDown;
    this.#isUntold = false;
    this.#changedAt = null;
    if (isDown) return ['press'];
    return isTold ? ['release'] : [];
  }
}
