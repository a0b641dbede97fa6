/** The second, held control that confirms what is risky. */
import type { Purpose } from './settle.ts';
import type { Guard, Millis } from './types.ts';

/** A request that nobody begins to confirm in this time lapses. */
export const armWindowMs = 5000;
/** The arm control has to be held this long. */
export const armHoldMs = 1000;

/** A command that waits to be confirmed. */
export interface ArmRequest {
  readonly slot: number;
  readonly want: number;
  readonly saw: number;
  readonly guards: readonly Guard[];
  readonly purpose: Purpose;
}

/** At most one request waits at a time, so that it is clear what a hold confirms. */
export class Arming {
  #request: ArmRequest | null = null;
  #openedAt: Millis = 0;
  #heldSince: Millis | null = null;

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
    if (this.#request !== null) this.#heldSince = at;
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

  /** A hold that began in time may finish; otherwise the request lapses. */
  tick(at: Millis): 'confirmed' | 'lapsed' | null {
    const wakeAt = this.nextWakeAt();
    if (wakeAt === null || at < wakeAt) return null;
    return this.#heldSince === null ? 'lapsed' : 'confirmed';
  }

  nextWakeAt(): Millis | null {
    if (this.#request === null) return null;
    return this.#heldSince === null ? this.#openedAt + armWindowMs : this.#heldSince + armHoldMs;
  }

  remainingMs(at: Millis): number {
    return this.#request === null ? 0 : Math.max(0, this.#openedAt + armWindowMs - at);
  }

  /** How much of the hold is done, 0..1. */
  held(at: Millis): number {
    return this.#heldSince === null ? 0 : Math.min(1, Math.max(0, (at - this.#heldSince) / armHoldMs));
  }
}
