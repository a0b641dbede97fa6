/** What a wiring takes from the 3.3 V pins, at most: from its parts and the brightness in its Device file. Pure. */
import type { PanelConfig } from '../../daemon/config/panel.ts';
import { ht16k33Dimming } from '../../daemon/hw/chips/ht16k33.ts';
import { eyeExponent } from '../../daemon/hw/lights/levels.ts';
import { kindOf } from './catalogue.ts';
import { tpmMilliamps } from './header.ts';
import type { LightCurrent, Wiring } from './types.ts';

/**
 * What the pictures allow themselves of the 3.3 V pins, milliamperes. Boards since the Model B+ are commonly said to give
 * 500 mA there beside what they need themselves; no figure of the maker covers all boards, so there is room left.
 */
export const supplyLimitMilliamps = 300;

/** What lights take at a brightness of 0..1, all of them white; milliamperes. */
export function lightMilliamps({ fullMilliamps, law }: LightCurrent, brightness: number): number {
  const share = law === 'pixels' ? brightness ** eyeExponent : (ht16k33Dimming(brightness) + 1) / 16;
  return fullMilliamps * share;
}

/** Currents of a wiring, milliamperes. */
export interface Power {
  readonly brightness: number;
  readonly idle: number;
  readonly lights: number;
  /** With the TPM board. */
  readonly supply: number;
  readonly usb: number;
}

/** Adds up what the parts take. */
export function powerOf({ parts }: Wiring, { brightness }: Pick<PanelConfig, 'brightness'>): Power {
  const kinds = parts.map(kindOf);
  const onUsb = kinds.filter(({ pins }) => pins.some(({ kind }) => kind === 'usb'));
  const onSupply = kinds.filter((kind) => !onUsb.includes(kind));
  const idle = onSupply.reduce((sum, { idleMilliamps }) => sum + idleMilliamps, 0);
  const lights = onSupply.reduce(
    (sum, kind) => sum + (kind.lights === null ? 0 : lightMilliamps(kind.lights, brightness)),
    0,
  );
  const usb = onUsb.reduce((sum, { idleMilliamps }) => sum + idleMilliamps, 0);
  return { brightness, idle, lights, supply: idle + lights + tpmMilliamps, usb };
}
