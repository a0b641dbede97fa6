/** Arithmetic on wake-up times. */
import type { Millis } from './types.ts';

/** The earliest of some times; null when there is none. */
export function earliest(...times: readonly (Millis | null)[]): Millis | null {
  let first: Millis | null = null;
  for (const time of times) if (time !== null && (first === null || time < first)) first = time;
  return first;
}
