/** Waiting that counts only the time in which this process runs. */
import type { Timers } from '../panel.ts';

/** A wait is cut into so many pieces. */
const pieces = 4;

/**
 * Runs once when `ms` milliseconds have passed piece by piece. A process that was not given the processor for longer than
 * a piece finds its timers due before it has read what came meanwhile; here that counts as one piece, whatever it lasted.
 * The returned function calls it off.
 */
export function afterAwake(timers: Timers, ms: number, run: () => void): () => void {
  let left = pieces;
  const wait = (): (() => void) =>
    timers.after(ms / pieces, () => {
      left -= 1;
      if (left === 0) run();
      else cancel = wait();
    });
  let cancel = wait();
  return () => cancel();
}
