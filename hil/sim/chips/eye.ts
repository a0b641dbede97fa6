/** What an eye makes of light, for the models of parts with lights. */

/**
 * 0..255 as in a picture, for light 0..1 of the full light of the part: an eye takes a fifth of the light for half as
 * bright. Light that is there is never seen as none.
 */
export function seen(light: number): number {
  if (light <= 0) return 0;
  return Math.max(1, Math.round(255 * Math.min(1, light) ** (1 / 2.2)));
}
