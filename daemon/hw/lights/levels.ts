/** From the colours of a picture to the levels that lights are driven with. Pure. */

/**
 * Light that an eye takes for half as bright is about a fifth of it: light = value ^ 2.2, the exponent of the colours
 * that the palette is given in (close to the curve of sRGB, IEC 61966-2-1). Lights are linear in what they are driven with.
 */
export const eyeExponent = 2.2;

/** What the lights of a part take. */
export interface LevelScale {
  /** Level of full light. */
  readonly max: number;
  /** Level that the brightest channel of a light that is on has at least: nothing that should be seen is invisible. */
  readonly floor: number;
  /** {@link eyeExponent}; 1 where something behind the driver bends the curve already. */
  readonly exponent: number;
}

/**
 * Levels for values 0..255, in their order. A light that would fall below the floor is lifted as a whole, so that it
 * keeps its hue as far as the steps allow.
 * @param channels values a light: 1 or 3
 * @param brightness 0..1, scales what is seen; 0 is dark
 */
export function levelsOf(
  values: Uint8Array,
  channels: 1 | 3,
  brightness: number,
  { max, floor, exponent }: LevelScale,
): Uint8Array {
  const levels = new Uint8Array(values.length);
  const scale = (Math.min(1, Math.max(0, brightness)) / 255) ** exponent * max;
  for (let first = 0; first < values.length; first += channels) {
    let brightest = 0;
    for (let at = first; at < first + channels; at++) brightest = Math.max(brightest, values[at] ?? 0);
    const light = scale * brightest ** exponent;
    if (light === 0) continue;
    const factor = scale * Math.max(1, floor / light);
    for (let at = first; at < first + channels; at++)
      levels[at] = Math.round(factor * (values[at] ?? 0) ** exponent);
  }
  return levels;
}

/** For lights of one colour: the brightest channel of each light of a picture, so that no hue is darker than another. */
export function brightestChannels(rgb: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: Math.floor(rgb.length / 3) }, (_, light) =>
    Math.max(rgb[3 * light] ?? 0, rgb[3 * light + 1] ?? 0, rgb[3 * light + 2] ?? 0),
  );
}

/** Level of a setting for all lights together: 0 only when the brightness is 0. */
export function settingOf(brightness: number, max: number): number {
  if (brightness <= 0) return 0;
  return Math.max(1, Math.round(max * Math.min(1, brightness) ** eyeExponent));
}
