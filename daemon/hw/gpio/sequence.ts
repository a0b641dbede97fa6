import type { LineEvent } from './uapi.ts';

/** Events that follow one another without a gap, in the order in which the edges happened. */
export interface EventRun {
  /** Edges that happened before them and were neither told nor counted: the queue overflowed. */
  readonly lostBefore: number;
  readonly events: readonly LineEvent[];
}

/** Follows the sequence numbers of one request, so that each edge is either reported or counted as lost, once. */
export class EventSequence {
  /** The kernel starts at 1 (gpiolib-cdev.c, atomic_inc_return on 0). */
  #next = 1;

  /** Takes everything that was in the queue; gives nothing when nothing was new. */
  take(queue: readonly LineEvent[]): readonly EventRun[] {
    // Each line has an interrupt thread of its own: on several processors their events can change places in the queue.
    const ordered = queue
      .map((event) => ({ event, ahead: this.#ahead(event.sequence) }))
      // Older than what was reported or counted as lost before: counted then.
      .filter(({ ahead }) => ahead >= 0)
      .sort((one, other) => one.ahead - other.ahead);
    const runs: { lostBefore: number; events: LineEvent[] }[] = [];
    let happened = 0;
    for (const { event, ahead } of ordered) {
      const lostBefore = ahead - happened;
      if (lostBefore < 0) continue; // A number that was there before.
      const run = runs.at(-1);
      if (run === undefined || lostBefore > 0) runs.push({ lostBefore, events: [event] });
      else run.events.push(event);
      happened = ahead + 1;
    }
    this.#next = (this.#next + happened) >>> 0;
    return runs;
  }

  /** How far a number is ahead of the next one, negative when behind; numbers wrap at 2^32. */
  #ahead(sequence: number): number {
    return (sequence - this.#next) | 0;
  }
}
