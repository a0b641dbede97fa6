/** A work queue of keys, as controllers have: many reasons to look at an object become one look. */
import type { Timers } from '../timers.ts';

interface Waiting {
  readonly dueAt: number;
  readonly cancel: () => void;
}

/** Calls `sync` with each key once, after the shortest delay that was asked for. */
export class WorkQueue {
  private readonly waiting = new Map<string, Waiting>();
  private readonly timers: Timers;
  private readonly sync: (key: string) => void;

  constructor(timers: Timers, sync: (key: string) => void) {
    this.timers = timers;
    this.sync = sync;
  }

  add(key: string, delayMs: number): void {
    const dueAt = performance.now() + delayMs;
    const before = this.waiting.get(key);
    if (before !== undefined) {
      if (before.dueAt <= dueAt) return;
      before.cancel();
    }
    const cancel = this.timers.after(delayMs, () => {
      this.waiting.delete(key);
      this.sync(key);
    });
    this.waiting.set(key, { dueAt, cancel });
  }
}

/** The two halves of a queue key. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
