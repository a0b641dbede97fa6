/**
 * Holtek HT16K33, 16x8 LED driver, with the matrices that Adafruit puts on it. Reading, writing and the pointer that goes
 * round: Holtek, "HT16K33 RAM Mapping 16*8 LED Controller Driver with keyscan", rev. 1.10. Commands and which bit is which
 * light: adafruit/Adafruit_CircuitPython_HT16K33, `ht16k33.py` and `matrix.py`. Not run on the real part.
 *
 * A light is on or off: pulsing becomes blinking, and what is fainter than `threshold` is dark. The part dims all lights
 * together, in 16 steps.
 */
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { settingOf } from '../lights/levels.ts';
import { changedRuns } from '../lights/runs.ts';
import { type I2cDriver, type LightsSpec, noNeeds, type PartPicture, type PartSession } from './driver.ts';

const schema = z.strictObject({
  display: z
    .enum(['8x8', '16x8', 'bicolour-8x8'])
    .describe('Matrix on the part: one colour 8x8 or 16x8 (wide), or red and green 8x8.'),
  threshold: z
    .int()
    .min(1)
    .max(255)
    .default(32)
    .describe(
      'A light is on when its brightest channel is at least this, 1 to 255: the part knows no shades.',
    ),
});

/** What an entry of an HT16K33 says. */
export type Ht16k33Config = z.infer<typeof schema>;

const ramBytes = 16;
/** System setup: oscillator off (standby) and on; it must run for anything to be shown. */
const standby = 0x20;
const oscillatorOn = 0x21;
/** Display setup: off, and on without blinking. */
const displayOff = 0x80;
const displayOn = 0x81;
/** Dimming: 0..15 for 1/16 to 16/16. */
const dimming = 0xe0;
/** The part tells nobody that it was without power: it is looked at that often. */
const presenceMs = 1000;

/** A bit of the display RAM. */
interface Place {
  readonly byte: number;
  readonly bit: number;
}

interface Layout {
  readonly lights: LightsSpec;
  /** The bits of a light: one, or green and red. */
  places(x: number, y: number): readonly [Place] | readonly [green: Place, red: Place];
}

const layouts: Readonly<Record<Ht16k33Config['display'], Layout>> = {
  // The 8x8 backpack is wired one column round.
  '8x8': {
    lights: { width: 8, height: 8, colours: 'mono' },
    places: (x, y) => [{ byte: 2 * y, bit: (x + 7) % 8 }],
  },
  '16x8': {
    lights: { width: 16, height: 8, colours: 'mono' },
    places: (x, y) => [{ byte: 2 * (x % 8) + (x < 8 ? 0 : 1), bit: y }],
  },
  'bicolour-8x8': {
    lights: { width: 8, height: 8, colours: 'red-green' },
    places: (x, y) => [
      { byte: 2 * x, bit: y },
      { byte: 2 * x + 1, bit: y },
    ],
  },
};

/**
 * The display RAM for a picture, 16 bytes. With two colours, red and green take part when they are at least half as bright
 * as the brightest channel; blue, which the matrix does not have, counts as green, so that every light that is on shows.
 */
export function ht16k33Ram(
  { display, threshold }: Ht16k33Config,
  rgb: Uint8Array,
  brightness: number,
): Uint8Array {
  const ram = new Uint8Array(ramBytes);
  if (brightness <= 0) return ram;
  const { lights, places } = layouts[display];
  for (let light = 0; light < lights.width * lights.height; light++) {
    const [red = 0, green = 0, blue = 0] = rgb.subarray(3 * light, 3 * light + 3);
    const brightest = Math.max(red, green, blue);
    if (brightest < threshold) continue;
    const [first, second] = places(light % lights.width, Math.floor(light / lights.width));
    const isOn = ({ byte, bit }: Place) => {
      ram[byte] = (ram[byte] ?? 0) | (1 << bit);
    };
    if (second === undefined || 2 * Math.max(green, blue) >= brightest) isOn(first);
    if (second !== undefined && 2 * red >= brightest) isOn(second);
  }
  return ram;
}

/** Steps 0..15 of the dimming command for a brightness 0..1. */
export function ht16k33Dimming(brightness: number): number {
  return Math.max(0, settingOf(brightness, 16) - 1);
}

const isDark = (ram: Uint8Array): boolean => ram.every((byte) => byte === 0);

class Ht16k33Session implements PartSession {
  readonly pollMs = presenceMs;
  readonly pollWithInterruptMs = presenceMs;
  readonly #config: Ht16k33Config;
  readonly #device: I2cDevice;
  /** Null: not known, or being written. */
  #ram: Uint8Array | null = null;
  #dimming: number | null = null;

  constructor(config: Ht16k33Config, device: I2cDevice) {
    this.#config = config;
    this.#device = device;
  }

  async start(): Promise<void> {
    const dark = new Uint8Array(ramBytes);
    await this.#send([oscillatorOn]);
    // Whatever the RAM holds after power-up: it is cleared before anything is shown.
    await this.#send([0, ...dark]);
    await this.#send([dimming]);
    await this.#send([displayOn]);
    this.#ram = dark;
    this.#dimming = 0;
  }

  /** Reads the display RAM back: a part that was without power for a moment has lost it. */
  async poll(): Promise<void> {
    const expected = this.#ram;
    if (expected === null) return;
    const ram = await this.#device.readRegister('frame', 0, ramBytes);
    // A picture that was begun meanwhile decides by itself.
    if (this.#ram === expected && ram.some((byte, at) => byte !== expected[at]))
      throw new SurfacedError(
        'E_HW_PART',
        'the HT16K33 does not hold what it was sent: was it without power?',
      );
  }

  async show({ rgb, brightness }: PartPicture): Promise<void> {
    if (rgb === null) return;
    const ram = ht16k33Ram(this.#config, rgb, brightness);
    const step = ht16k33Dimming(brightness);
    const runs = changedRuns(this.#ram, ram);
    const isDimmed = step !== this.#dimming;
    if (runs.length === 0 && !isDimmed) return;
    const isFirst = this.#ram === null || isDark(this.#ram);
    this.#ram = null;
    this.#dimming = null;
    if (isFirst) {
      // A part that was without power while it was dark may hold what it should: its RAM came up as 0.
      for (const bytes of [[oscillatorOn], [dimming | step], [0, ...ram], [displayOn]])
        await this.#send(bytes);
    } else {
      if (isDimmed) await this.#send([dimming | step]);
      for (const { start, bytes } of runs) await this.#send([start, ...bytes]);
    }
    this.#ram = ram;
    this.#dimming = step;
  }

  async close(): Promise<void> {
    try {
      await this.#send([0, ...new Uint8Array(ramBytes)]);
      await this.#send([displayOff]);
      await this.#send([standby]);
    } catch {
      // It is gone, and dark with it; whoever closes it knows why.
    }
  }

  #send(bytes: readonly number[]): Promise<void> {
    return this.#device.write('frame', bytes);
  }
}

/** Holtek HT16K33 with a matrix of one colour or of red and green. */
export const ht16k33 = {
  part: 'ht16k33',
  title: 'Holtek HT16K33, LED matrix 8x8 or 16x8, one colour or red and green',
  kind: 'i2c',
  schema,
  addresses: [0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77],
  selector: 'its jumpers A0 to A2',
  declare: ({ display }) => ({ controls: [], lights: layouts[display].lights }),
  needs: () => noNeeds,
  /** It has nothing to know it by. A read alone: a register byte would switch channels off in a multiplexer at 0x70. */
  async probe(device) {
    await device.read('input', 1);
    return 'answers; an HT16K33 cannot be told from other parts';
  },
  async open(config, device) {
    const session = new Ht16k33Session(config, device);
    await session.start();
    return session;
  },
} satisfies I2cDriver<Ht16k33Config>;
