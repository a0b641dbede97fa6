/** The second, held control that confirms what is risky. */
import type { Purpose } from './settle.ts';
import type { Guard, Millis, Roles } from './types.ts';

/** A request that nobody begins to confirm in this time lapses. */
export const armWindowMs = 5000;
/** The arm control has to be held this long. */
export const armHoldMs = 1000;
/** While it is held, the time is looked at this often. */
const lookMs = 100;
/** A look that comes later than this tells that the program stood still: a release may wait to be read. */
const mostLateMs = 100;

/** A command that waits to be confirmed. */
export interface ArmRequest {
  readonly slot: number;
  readonly want: number;
  readonly saw: number;
  readonly guards: readonly Guard[];
  readonly purpose: Purpose;
}

/** Why nothing can be confirmed, in words; null: it can. */
export function armObstacle({ arm }: Roles, missing: ReadonlySet<string>): string | null {
  if (arm === undefined) return 'Not sent: this panel has no control to confirm it with.';
  return missing.has(arm) ? 'Not sent: the control to confirm it with is missing.' : null;
}

/** At most one request waits at a time, so that it is clear what a hold confirms. */
export class Arming {
  #request: ArmRequest | null = null;
  #openedAt: Millis = 0;
  #heldSince: Millis | null = null;
  #lookedAt: Millis = 0;

  get request(): ArmRequest | null {
    return this.#request;
  }

  /** Opens a request in place of any other; a hold that began before does not count. */
  open(request: ArmRequest, at: Millis): void {
    this.#request = request;
    this.#openedAt = at;
    this.#heldSince = null;
  }

  close(): void {
    this.#request = null;
    this.#heldSince = null;
  }

  /** The arm control goes down. */
  press(at: Millis): void {
    if (this.#request !== null) this.#hold(at);
  }

  /** The arm control comes up; true when that cancels the request. */
  release(): boolean {
    const isCancelled = this.#heldSince !== null;
    if (isCancelled) this.close();
    return isCancelled;
  }

  /** The hold is interrupted by something else than the operator. */
  interrupt(): void {
    this.#heldSince = null;
  }

  /**
   * A hold that began in time may finish; otherwise the request lapses. A hold is known by the absence of a release: when
   * none could be noticed for a while, it begins again.
   */
  tick(at: Millis): 'confirmed' | 'lapsed' | null {
    const wakeAt = this.nextWakeAt();
    if (wakeAt === null || at < wakeAt) return null;
    if (this.#heldSince === null) return 'lapsed';
    if (at > wakeAt + mostLateMs) {
      this.#hold(at);
      return null;
    }
    this.#lookedAt = at;
    return at < this.#heldSince + armHoldMs ? null : 'confirmed';
  }

  nextWakeAt(): Millis | null {
    if (this.#request === null) return null;
    if (this.#heldSince === null) return this.#openedAt + armWindowMs;
    return Math.min(this.#heldSince + armHoldMs, this.#lookedAt + lookMs);
  }

  remainingMs(at: Millis): number {
    return this.#request === null ? 0 : Math.max(0, this.#openedAt + armWindowMs - at);
  }

  /** How much of the hold is done, 0..1. */
  held(at: Millis): number {
    return this.#heldSince === null ? 0 : Math.min(1, Math.max(0, (at - this.#heldSince) / armHoldMs));
  }

  #hold(at: Millis): void {
    this.#heldSince = at;
    this.#lookedAt = at;
  }
}
