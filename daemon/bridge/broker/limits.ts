/** Bounds on what one client may cost: token buckets, and a log that a hostile client cannot fill. */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';

/** So many at once, so many a second. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** Lets through what a {@link Rate} allows. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.burst;
    this.#filledAt = clock.monotonic();
  }

  /** Takes `count` tokens; false, and none taken, when there are not as many. */
  take(count = 1): boolean {
    const now = this.#clock.monotonic();
    const earned = ((now - this.#filledAt) / 1000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
    this.#filledAt = now;
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** True when nothing was taken lately: the bucket may be forgotten. */
  get isFull(): boolean {
    const earned = ((this.#clock.monotonic() - this.#filledAt) / 1000) * this.#rate.perSecond;
    return this.#tokens + earned >= this.#rate.burst;
  }
}

/** Entries kept at most; a full table is swept, then emptied, so that its size never follows an attacker. */
const maxEntries = 4096;

/** One bucket for each key, bounded in number. */
export class TokenBuckets {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #rate: Rate;
  readonly #clock: Clock;

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Keys remembered now. */
  get size(): number {
    return this.#buckets.size;
  }

  take(key: string): boolean {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= maxEntries) this.#sweep();
      bucket = new TokenBucket(this.#rate, this.#clock);
      this.#buckets.set(key, bucket);
    }
    return bucket.take();
  }

  #sweep(): void {
    for (const [key, bucket] of this.#buckets) if (bucket.isFull) this.#buckets.delete(key);
    if (this.#buckets.size >= maxEntries) this.#buckets.clear();
  }
}

const quietMs = 60_000;

/** Warns once a source and minute; the next warning says how many were left out. */
export class ComplaintLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #sources = new Map<string, { until: number; leftOut: number }>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Sources remembered now. */
  get size(): number {
    return this.#sources.size;
  }

  warn(source: string, reason: string): void {
    const now = this.#clock.monotonic();
    const known = this.#sources.get(source);
    if (known !== undefined && now < known.until) {
      known.leftOut += 1;
      return;
    }
    if (known === undefined && this.#sources.size >= maxEntries) {
      for (const [key, entry] of this.#sources) if (entry.until <= now) this.#sources.delete(key);
      if (this.#sources.size >= maxEntries) return;
    }
    this.#sources.set(source, { until: now + quietMs, leftOut: 0 });
    this.#log.warn({ source, reason, leftOut: known?.leftOut ?? 0 }, 'client refused');
  }
}
