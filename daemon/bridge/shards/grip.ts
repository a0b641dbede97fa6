/**
 * What one gateway holds, and how long it may act on it. A Lease counts from the moment at which its writing was begun, so
 * that whoever sees the writing counts later; the holder stops after two thirds of the duration, the others wait for all of it.
 * Only differences of the own clock are used, so it does not matter what time other machines believe it is.
 */
import type { Clock } from '../../clock.ts';
import type { LeaseRecord } from './types.ts';

/** A moment by both clocks; mostly when a writing that succeeded was begun. */
export interface Sent {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Unix milliseconds: a monotonic clock may stand still while a machine is suspended, this one does not. */
  readonly wall: number;
}

interface Hold {
  record: LeaseRecord;
  sent: Sent;
  /** Monotonic milliseconds; later than now for a Lease that was made anew: there may have been one before it. */
  readonly actsFrom: number;
  /** When it was taken, or may be acted on. */
  readonly since: Sent;
  isLeaving: boolean;
}

/** Shards by number, and the Lease by which this gateway shows that it lives. */
export class Grip {
  readonly #clock: Clock;
  readonly #actMs: number;
  readonly #holds = new Map<number, Hold>();
  #own: { record: LeaseRecord; sent: Sent } | null = null;

  constructor(clock: Clock, durationMs: number) {
    this.#clock = clock;
    this.#actMs = (durationMs * 2) / 3;
  }

  /** The own Lease; null: none that is known to stand. */
  get own(): { readonly record: LeaseRecord; readonly sent: Sent } | null {
    return this.#own;
  }

  /** Null also takes every shard away: whoever removed it may have given them to others. */
  setOwn(own: { record: LeaseRecord; sent: Sent } | null): void {
    this.#own = own;
    if (own === null) this.#holds.clear();
  }

  /** Shards that are held and not about to be given back. */
  get kept(): readonly number[] {
    return [...this.#holds].filter(([, { isLeaving }]) => !isLeaving).map(([shard]) => shard);
  }

  get(shard: number): Readonly<Hold> | null {
    return this.#holds.get(shard) ?? null;
  }

  take(shard: number, hold: Omit<Hold, 'isLeaving' | 'since'>): void {
    const now = this.#clock.monotonic();
    const at = Math.max(now, hold.actsFrom);
    const since = { at, wall: this.#clock.now() + at - now };
    this.#holds.set(shard, { ...hold, since, isLeaving: false });
  }

  renewed(shard: number, record: LeaseRecord, sent: Sent): void {
    const hold = this.#holds.get(shard);
    if (hold) Object.assign(hold, { record, sent });
  }

  /** The same holder in a newer version: of a writing whose answer was lost. */
  seen(shard: number, record: LeaseRecord): void {
    const hold = this.#holds.get(shard);
    if (hold) hold.record = record;
  }

  /** From now on nothing is started for it; it stays held until it is given back. */
  leave(shard: number): void {
    const hold = this.#holds.get(shard);
    if (hold) hold.isLeaving = true;
  }

  drop(shard: number): void {
    this.#holds.delete(shard);
  }

  /** Monotonic milliseconds until which the Lease is sure; 0 when it is not even now. */
  sureUntil(shard: number): number {
    const hold = this.#holds.get(shard);
    if (!hold || !this.#own) return 0;
    const until = Math.min(hold.sent.at, this.#own.sent.at) + this.#actMs;
    const wallUntil = Math.min(hold.sent.wall, this.#own.sent.wall) + this.#actMs;
    return this.#clock.monotonic() < until && this.#clock.now() < wallUntil ? until : 0;
  }

  /** The same for acting; 0 too for a shard that is being given back or was made only just now. */
  actsUntil(shard: number): number {
    const hold = this.#holds.get(shard);
    if (!hold || hold.isLeaving || this.#clock.monotonic() < hold.actsFrom) return 0;
    return this.sureUntil(shard);
  }

  /** Monotonic milliseconds at which `actsUntil` of some shard changes by itself; null: it does not. */
  get nextChange(): number | null {
    const now = this.#clock.monotonic();
    const times = [...this.#holds].flatMap(([shard, { actsFrom }]) => [actsFrom, this.sureUntil(shard)]);
    const next = Math.min(...times.filter((at) => at > now));
    return Number.isFinite(next) ? next : null;
  }
}
