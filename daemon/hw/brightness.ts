/** How bright the panel is: the config's brightness by day, less at night. Pure. */
import type { PanelConfig } from '../config/panel.ts';

/** The night of a config; null: there is none. */
export type Night = NonNullable<PanelConfig['night']> | null;

/** How often the clock is looked at for the night; it may jump when a Pi without a battery is told the time. */
export const nightCheckMs = 30_000;

/** A clock that shows an earlier time was never set: a Pi without a battery starts in the past. */
const earliestYear = 2024;

function minutesOf(timeOfDay: string): number {
  const [hours = '0', minutes = '0'] = timeOfDay.split(':');
  return Number(hours) * 60 + Number(minutes);
}

/** Whether it is night at a local time; false when the clock is not set, or the night begins as it ends. */
export function isNight({ from, to }: NonNullable<Night>, time: Date): boolean {
  // Not a time at all compares as false.
  if (!(time.getFullYear() >= earliestYear)) return false;
  const now = time.getHours() * 60 + time.getMinutes();
  const [start, end] = [minutesOf(from), minutesOf(to)];
  return start <= end ? start <= now && now < end : start <= now || now < end;
}

/**
 * Brightness of all lights, 0..1; the night never makes the panel brighter.
 * @param unixMs the machine's clock, Unix milliseconds; may be wrong
 */
export function brightnessAt(brightness: number, night: Night, unixMs: number): number {
  if (night === null || !isNight(night, new Date(unixMs))) return brightness;
  return Math.min(brightness, night.brightness);
}
