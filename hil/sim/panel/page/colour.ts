/** Colours of lights as CSS wants them. */
import type { Rgb } from '../../../../daemon/surface/types.ts';

/**
 * Splits a light's value into its colour at full strength and its strength 0..1 as the eye sees it: a light at
 * a tenth of its current looks about a third as bright.
 */
export function rgbOf(value: Rgb): { rgb: string; strength: number } {
  const most = Math.max(...value);
  if (!(most > 0)) return { rgb: '0 0 0', strength: 0 };
  const rgb = value.map((part) => Math.round((part / most) * 255)).join(' ');
  return { rgb, strength: Math.round((most / 255) ** 0.5 * 100) / 100 };
}
