import type { LineEvent } from './uapi.ts';

/** What one reading of the queue comes to. */
export interface SequencedEvents {
  /** Events without a gap before them, in the order in which the edges happened. */
  readonly events: readonly LineEvent[];
  /**
   * Edges that happened and are not among the events. Not 0: the queue overflowed, and what followed the gap was left
   * out too, as the levels that it started from are not known.
   */
  readonly lostCount: number;
}

/** Follows the sequence numbers of one request, so that each edge is either reported or counted as lost, once. */
export class EventSequence {
  /** The kernel starts at 1 (gpiolib-cdev.c, atomic_inc_return on 0). */
  #next = 1;

  /** Takes everything that was in the queue. */
  take(queue: readonly LineEvent[]): SequencedEvents {
    // Each line has an interrupt thread of its own: on several processors their events can change places in the queue.
    const ordered = queue
      .map((event) => ({ event, ahead: this.#ahead(event.sequence) }))
      // Older than what was reported or counted as lost before: counted then.
      .filter(({ ahead }) => ahead >= 0)
      .sort((one, other) => one.ahead - other.ahead);
    const events: LineEvent[] = [];
    for (const { event, ahead } of ordered) {
      if (ahead === events.length) events.push(event);
    }
    const last = ordered.at(-1);
    const happened = last === undefined ? 0 : last.ahead + 1;
    this.#next = (this.#next + happened) >>> 0;
    return { events, lostCount: happened - events.length };
  }

  /** How far a number is ahead of the next one, negative when behind; numbers wrap at 2^32. */
  #ahead(sequence: number): number {
    return (sequence - this.#next) | 0;
  }
}
