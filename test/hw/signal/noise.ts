/** Noise of faders as it was measured, from a seed: 16 to 19 steps of 4095 in the middle of the travel, 1 to 2 at its ends. */

/** Random numbers, 0..1, always the same for a seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** -0.5..0.5, all alike. */
export const uniform = (next: () => number): number => next() - 0.5;

/** Bell-shaped: three standard deviations to either side are 1 together; beyond is rare, but happens. */
export const gaussian = (next: () => number): number =>
  (Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())) / 6;

/** How a fader is read. */
export interface Reading {
  readonly shape: (next: () => number) => number;
  readonly next: () => number;
  /** The highest count of the converter. */
  readonly top: number;
}

/** One sample of a fader that stands at a position, 0..1. */
export function sample(position: number, { shape, next, top }: Reading): number {
  const isAtEnd = position < 0.005 || position > 0.995;
  const noise = (shape(next) * (isAtEnd ? 2 : 19)) / 4095;
  return Math.min(top, Math.max(0, Math.round((position + noise) * top))) / top;
}
