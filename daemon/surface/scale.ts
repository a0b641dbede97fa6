/** Between the travel of a control (0..1) and a number of replicas. */
import type { Binding } from './types.ts';

/** What a control can ask for. */
export interface Limits {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/** Travel at either end that counts as the end, so that worn or noisy faders still reach min and max. */
export const endZone = 0.02;

/** Least hysteresis as a part of the travel: more than the noise of a filtered 10-bit fader. */
const hysteresisFloor = 0.006;

/** The limits that a binding really has: zero is out of reach unless it may be armed. */
export function limitsOf(binding: Binding): Limits {
  const min = Math.max(binding.zero === 'never' ? 1 : 0, binding.min);
  return { min, max: Math.max(min, binding.max), step: Math.max(1, binding.step) };
}

/** The nearest number within the limits. */
export function clamp(limits: Limits, count: number): number {
  return Math.min(limits.max, Math.max(limits.min, count));
}

/** The number at a travel, not rounded. */
export function amountAt(limits: Limits, travel: number): number {
  const part = Math.min(1, Math.max(0, (travel - endZone) / (1 - 2 * endZone)));
  return limits.min + part * (limits.max - limits.min);
}

/** Where a control has to stand for a number; the ends of the scale are the ends of the travel. */
export function travelOf(limits: Limits, count: number): number {
  const part = partOf(limits, count);
  return part === 0 || part === 1 ? part : endZone + part * (1 - 2 * endZone);
}

/** How far a number is from min to max, 0..1. */
export function partOf(limits: Limits, count: number): number {
  const span = limits.max - limits.min;
  return span === 0 ? 0 : (clamp(limits, count) - limits.min) / span;
}

/**
 * The whole number of replicas at a travel.
 * @param current the number so far, which is kept within half a step and a hysteresis; null: none
 */
export function quantise(limits: Limits, travel: number, current: number | null): number {
  if (travel <= endZone) return limits.min;
  if (travel >= 1 - endZone) return limits.max;
  const amount = amountAt(limits, travel);
  const margin = Math.max(limits.step / 4, hysteresisFloor * (limits.max - limits.min));
  if (current !== null && Math.abs(amount - current) <= limits.step / 2 + margin) return current;
  const steps = Math.round((amount - limits.min) / limits.step);
  return clamp(limits, limits.min + steps * limits.step);
}

/** The number after a relative turn; turning never goes past an end, nor back from beyond it the wrong way. */
export function turned(limits: Limits, from: number, change: number): number {
  if (change > 0 && from >= limits.max) return from;
  if (change < 0 && from <= limits.min) return from;
  return clamp(limits, from + change);
}
