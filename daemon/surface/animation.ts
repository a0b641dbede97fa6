/** How each kind of light changes in time. Every state has a cue of its own that needs no colour. */
import { cell } from './cells.ts';
import type { Millis } from './types.ts';

/** Between low and high and back, smoothly, once a period. */
export function pulse(at: Millis, periodMs: number, low: number, high: number): number {
  return low + (high - low) * (0.5 - 0.5 * Math.cos((2 * Math.PI * at) / periodMs));
}

/** On for the first part of each period. */
export function blink(at: Millis, periodMs: number, part = 0.5): boolean {
  return at % periodMs < periodMs * part;
}

/** When a {@link blink} changes next. */
export function blinkChangesAt(at: Millis, periodMs: number, part = 0.5): Millis {
  const moment = at % periodMs;
  return at - moment + (moment < periodMs * part ? periodMs * part : periodMs);
}

/** Brightness of each kind of cell, 0..1; the index is the cell code. */
export type Levels = Float32Array;

/** Room for {@link setLevels}. */
export const newLevels = (): Levels => new Float32Array(Object.keys(cell).length);

/** Live lights at one instant, written into `levels`. */
export function setLevels(levels: Levels, at: Millis): void {
  levels[cell.empty] = 0;
  levels[cell.ready] = 1;
  levels[cell.running] = pulse(at, 2400, 0.45, 0.75);
  levels[cell.pending] = pulse(at, 1200, 0.06, 0.8);
  levels[cell.crashed] = blink(at, 500) ? 1 : 0;
  levels[cell.terminating] = 0.25;
  levels[cell.hollow] = 0.08;
  levels[cell.hollowBlocked] = blink(at, 2000) ? 0.16 : 0.04;
  levels[cell.ghostMore] = pulse(at, 300, 0.2, 0.6);
  levels[cell.ghostLess] = pulse(at, 300, 0.04, 0.3);
  // White and steady would be mistaken for a ready Pod of a white service: it winks.
  levels[cell.overflow] = blink(at, 2000, 0.1) ? 0.1 : 1;
  levels[cell.off] = 0.12;
  levels[cell.missing] = 0.2;
  levels[cell.deniedEven] = blink(at, 1600) ? 0.35 : 0.03;
  levels[cell.deniedOdd] = blink(at, 1600) ? 0.03 : 0.35;
  levels[cell.waiting] = pulse(at, 3000, 0.02, 0.3);
}

/** The same lights when they may be out of date: nothing moves. */
export function setStillLevels(levels: Levels): void {
  levels.fill(0.25);
  levels[cell.empty] = 0;
  levels[cell.ready] = 1;
  levels[cell.running] = 0.6;
  levels[cell.pending] = 0.4;
  levels[cell.hollow] = 0.1;
  levels[cell.hollowBlocked] = 0.1;
  levels[cell.ghostMore] = 0;
  levels[cell.overflow] = 1;
  levels[cell.off] = 0.12;
}

/** When lights of a kind change next by themselves: at once when they breathe, null when they never do. */
export function changesAt(code: number, at: Millis): Millis | null {
  switch (code) {
    case cell.empty:
    case cell.ready:
    case cell.terminating:
    case cell.hollow:
    case cell.missing:
    case cell.off:
      return null;
    case cell.crashed:
      return blinkChangesAt(at, 500);
    case cell.hollowBlocked:
      return blinkChangesAt(at, 2000);
    case cell.overflow:
      return blinkChangesAt(at, 2000, 0.1);
    case cell.deniedEven:
    case cell.deniedOdd:
      return blinkChangesAt(at, 1600);
    default:
      return at;
  }
}
