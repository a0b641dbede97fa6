/** Hues of the services. */
import type { Colour, Rgb } from './types.ts';

/**
 * Eight hues that stay apart with the common colour blindnesses: M. Okabe and K. Ito, "Color Universal
 * Design", 2008 (jfly.uni-koeln.de/color, figure "colorblind barrier-free palette"). White stands in for
 * their black, which a light cannot show.
 */
export const palette: Readonly<Record<Colour, Rgb>> = {
  blue: [0, 114, 178],
  orange: [230, 159, 0],
  green: [0, 158, 115],
  yellow: [240, 228, 66],
  sky: [86, 180, 233],
  vermilion: [213, 94, 0],
  purple: [204, 121, 167],
  white: [255, 255, 255],
};

/** A light that is off. */
export const dark: Rgb = [0, 0, 0];

/** White: what belongs to no service, such as the overflow marker. */
export const white: Rgb = [255, 255, 255];

/** Amber: what is shown may be out of date. */
export const amber: Rgb = [255, 120, 0];

/** A hue at a level from 0 to 1. */
export function dimmed(hue: Rgb, level: number): Rgb {
  return [Math.round(hue[0] * level), Math.round(hue[1] * level), Math.round(hue[2] * level)];
}
