/** Times of the link in one place, so that tests can shorten them. */
import { beatIntervalMs, defaultTtlMs } from '../wire/messages.ts';

/** Milliseconds unless named otherwise. */
export interface LinkTiming {
  readonly backOffMinMs: number;
  /** Longest wait of the first {@link eagerAttempts}, so that a gateway that restarts has its surfaces back soon. */
  readonly backOffEagerMs: number;
  readonly backOffMaxMs: number;
  readonly connectDeadlineMs: number;
  readonly keepaliveSeconds: number;
  /** The gateway's own; three missed ones make the surface stale. */
  readonly beatIntervalMs: number;
  /** A connection on which nothing at all has come for so long is given up, whatever its keepalive says. */
  readonly silenceMs: number;
  readonly ttlMs: number;
  /** From the end of the time to live until an answer is given up. */
  readonly answerGraceMs: number;
  /** Longest time from an answer to the end of a command. */
  readonly longestCommandMs: number;
  /** The same after a lost connection, when the end may have passed unheard. */
  readonly uncertainMs: number;
  readonly teleIntervalMs: number;
  /** How long the surface stays online between two connections when certificates change. */
  readonly handoverMs: number;
  readonly tickMs: number;
}

export const defaultTiming: LinkTiming = {
  backOffMinMs: 1000,
  backOffEagerMs: 3000,
  backOffMaxMs: 30_000,
  connectDeadlineMs: 10_000,
  keepaliveSeconds: 15,
  beatIntervalMs,
  silenceMs: 60_000,
  ttlMs: defaultTtlMs,
  answerGraceMs: 3000,
  longestCommandMs: 900_000,
  uncertainMs: 60_000,
  teleIntervalMs: 30_000,
  handoverMs: 2000,
  tickMs: 250,
};

/** About half a minute of them: a restart takes no longer, and what does may wait. */
export const eagerAttempts = 12;

/**
 * Waiting time before an attempt: doubles up to a few seconds, after half a minute to half a minute; half of it by
 * chance, so that a site does not return at once.
 */
export function backOffMs(
  attempt: number,
  timing: Pick<LinkTiming, 'backOffMinMs' | 'backOffEagerMs' | 'backOffMaxMs'>,
  random: () => number,
): number {
  const isEager = attempt < eagerAttempts;
  const doublings = isEager ? attempt + 1 : Math.min(attempt - eagerAttempts + 2, 20);
  const longest = isEager ? Math.min(timing.backOffEagerMs, timing.backOffMaxMs) : timing.backOffMaxMs;
  const most = Math.min(longest, timing.backOffMinMs * 2 ** doublings);
  return Math.max(timing.backOffMinMs, most / 2 + (random() * most) / 2);
}
