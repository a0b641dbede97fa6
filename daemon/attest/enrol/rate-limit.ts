/** A bucket of permits for each name: full at first, refilled at a steady rate. */
import type { Clock } from '../../clock.ts';

export interface RateLimit {
  /** Takes a permit; false when there is none. */
  take(name: string): boolean;
  /** Whether so many permits are there; none is taken. */
  has(name: string, permits: number): boolean;
  /** Takes so many permits; false when they are not there, then none is taken. */
  spend(name: string, permits: number): boolean;
}

/** @param options.maxNames names that are remembered at most; the longest unused are forgotten first */
export function createRateLimit(options: {
  readonly burst: number;
  readonly perSecond: number;
  readonly maxNames: number;
  readonly clock: Clock;
}): RateLimit {
  const { burst, perSecond, maxNames, clock } = options;
  const buckets = new Map<string, { permits: number; at: number }>();
  const permitsOf = (name: string, now: number): number => {
    const bucket = buckets.get(name);
    if (!bucket) return burst;
    // A clock that is set back takes nothing away.
    const seconds = Math.max(0, now - bucket.at) / 1000;
    return Math.min(burst, bucket.permits + seconds * perSecond);
  };
  const spend = (name: string, permits: number): boolean => {
    const now = clock.monotonic();
    const there = permitsOf(name, now);
    const isEnough = there >= permits;
    // Set anew, so that the order of the map is the order of use.
    buckets.delete(name);
    buckets.set(name, { permits: isEnough ? there - permits : there, at: now });
    if (buckets.size > maxNames) buckets.delete(buckets.keys().next().value ?? '');
    return isEnough;
  };
  return {
    take: (name) => spend(name, 1),
    has: (name, permits) => permitsOf(name, clock.monotonic()) >= permits,
    spend,
  };
}
