/** The LED matrices on the I2C bus with their models, for tests that hold for all of them. */
import fc from 'fast-check';
import type { I2cDriver } from '../../../daemon/hw/chips/driver.ts';
import { ht16k33 } from '../../../daemon/hw/chips/ht16k33.ts';
import { is31fl3731 } from '../../../daemon/hw/chips/is31fl3731.ts';
import { is31fl3741 } from '../../../daemon/hw/chips/is31fl3741.ts';
import { senseHat } from '../../../daemon/hw/chips/sense-hat.ts';
import { Ht16k33Model } from '../../../hil/sim/chips/ht16k33.ts';
import { Is31fl3731Model } from '../../../hil/sim/chips/is31fl3731.ts';
import { Is31fl3741Model } from '../../../hil/sim/chips/is31fl3741.ts';
import type { ChipModel, I2cMessage, ShownLights } from '../../../hil/sim/chips/model.ts';
import { SenseHatModel } from '../../../hil/sim/chips/sense-hat.ts';

/** A model with lights. */
export type LightsModel = ChipModel & { lights(): ShownLights };

/** One way to have a matrix. */
export interface Matrix {
  readonly name: string;
  readonly driver: I2cDriver;
  readonly config: object;
  model(): LightsModel;
  /** Steps of brightness of a light; 1: on or off. */
  readonly steps: number;
}

const asAny = (driver: unknown) => driver as I2cDriver;

/** All of them. */
export const matrices: readonly Matrix[] = [
  ...(['8x8', '16x8', 'bicolour-8x8'] as const).map((display) => ({
    name: `ht16k33 ${display}`,
    driver: asAny(ht16k33),
    config: { display },
    model: () => new Ht16k33Model(display),
    steps: 1,
  })),
  {
    name: 'is31fl3731',
    driver: asAny(is31fl3731),
    config: {},
    model: () => new Is31fl3731Model(),
    steps: 255,
  },
  {
    name: 'is31fl3741',
    driver: asAny(is31fl3741),
    config: {},
    model: () => new Is31fl3741Model(0x30),
    steps: 255,
  },
  ...[true, false].map((partialWrites) => ({
    name: `sense-hat ${partialWrites ? 'runs' : 'whole frames'}`,
    driver: asAny(senseHat),
    config: { partialWrites },
    model: () => new SenseHatModel(),
    steps: 31,
  })),
];

/** Pictures as the surface paints them and worse: a few lights, all of them, any bytes. */
export function pictures(width: number, height: number): fc.Arbitrary<Uint8Array> {
  const length = 3 * width * height;
  const byte = fc.oneof(fc.constantFrom(0, 255), fc.nat({ max: 255 }));
  const sparse = fc
    .array(fc.tuple(fc.nat({ max: width * height - 1 }), fc.tuple(byte, byte, byte)), { maxLength: 6 })
    .map((lights) => {
      const rgb = new Uint8Array(length);
      for (const [light, colour] of lights) rgb.set(colour, 3 * light);
      return rgb;
    });
  const any = fc.uint8Array({ minLength: length, maxLength: length });
  return fc.oneof(sparse, any);
}

/** 0..1, the ends often. */
export const brightnesses = fc.oneof(
  fc.constantFrom(0, 0.1, 0.6, 1),
  fc.double({ min: 0.05, max: 1, noNaN: true }),
);

/** A model that stops answering: as if it was unplugged in the middle of a frame. */
export class Flaky implements LightsModel {
  readonly part: string;
  readonly #model: LightsModel;
  /** Transfers that are still taken; null: all. */
  remaining: number | null = null;

  constructor(model: LightsModel) {
    this.#model = model;
    this.part = model.part;
  }

  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] | null {
    if (this.remaining === 0) return null;
    if (this.remaining !== null) this.remaining -= 1;
    return this.#model.transfer(messages, at);
  }

  reset(): void {
    this.#model.reset();
  }

  lights(): ShownLights {
    return this.#model.lights();
  }
}
