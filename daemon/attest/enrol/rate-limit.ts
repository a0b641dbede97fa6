/** A bucket of permits for each name: full at first, refilled at a steady rate. */
import type { Clock } from '../../clock.ts';

export interface RateLimit {
  /** Takes a permit; false when there is none. */
  take(name: string): boolean;
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
  return {
    take: (name) => {
      const now = clock.monotonic();
      const bucket = buckets.get(name) ?? { permits: burst, at: now };
      const permits = Math.min(burst, bucket.permits + ((now - bucket.at) / 1000) * perSecond);
      // Set anew, so that the order of the map is the order of use.
      buckets.delete(name);
      buckets.set(name, { permits: permits >= 1 ? permits - 1 : permits, at: now });
      if (buckets.size > maxNames) buckets.delete(buckets.keys().next().value ?? '');
      return permits >= 1;
    },
  };
}
