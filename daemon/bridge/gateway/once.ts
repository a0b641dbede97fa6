/** The once-only window: an id that was seen is answered with what it was answered before, and never acts again. */

import type { AckMessage } from '../wire/messages.ts';
import { maxTtlMs } from '../wire/messages.ts';
import { maxSlots } from '../wire/topics.ts';

/** Ids of one surface that are kept; more come only from a surface that ignores the rate limit by far. */
export const windowSize = 4096;

/**
 * How long an id is kept after its end, monotonic milliseconds. Beyond the longest time to live, plus what a
 * clock may be ahead, the same command is late anyway; the rest is for late repeats to get their answer.
 */
export const keepMs = maxTtlMs + 2000 + 60_000;

interface Entry {
  lastAck: AckMessage | null;
  /** Monotonic; null while the command has no end. */
  endedAt: number | null;
}

/** Ids that one surface has sent lately, each with the latest ack that it was given. */
export class OnceWindow {
  readonly #entries = new Map<string, Entry>();

  /** What the id was told last; undefined when it was never seen, null when it has not been told anything yet. */
  recall(id: string): AckMessage | null | undefined {
    return this.#entries.get(id)?.lastAck;
  }

  /** Takes note of a new id; false when there is no room, and then the command must not act. */
  remember(id: string, now: number): boolean {
    this.#forgetOld(now);
    if (this.#entries.size >= windowSize) return false;
    this.#entries.set(id, { lastAck: null, endedAt: null });
    return true;
  }

  /** Keeps the ack that a repeat of the id will be given. */
  answered(ack: AckMessage, now: number): void {
    const entry = this.#entries.get(ack.id);
    if (!entry) return;
    entry.lastAck = ack;
    if (ack.phase !== 'received' && ack.phase !== 'accepted') entry.endedAt = now;
  }

  /**
   * What the latest commands were told last, in their order: those without an end and those that ended lately.
   * @param since monotonic milliseconds: what ended before is left out
   */
  latest(since: number): readonly AckMessage[] {
    return [...this.#entries.values()]
      .filter(({ endedAt }) => endedAt === null || endedAt >= since)
      .flatMap(({ lastAck }) => lastAck ?? [])
      .slice(-maxSlots);
  }

  /** Ids come in order of arrival, so the old ones are at the front. */
  #forgetOld(now: number): void {
    for (const [id, entry] of this.#entries) {
      if (entry.endedAt === null) continue;
      if (now - entry.endedAt < keepMs) return;
      this.#entries.delete(id);
    }
  }
}
