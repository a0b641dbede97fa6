/**
 * Raspberry Pi Sense HAT without its kernel driver: 8x8 RGB lights and a five-way joystick behind a microcontroller at
 * 0x46. Registers: raspberrypi/linux, `drivers/video/fbdev/rpisense-fb.c`, `drivers/input/joystick/rpisense-js.c`; what
 * the microcontroller does with them: raspberrypi/rpi-sense, `rpi-sense.S` (firmware version 0). Not run on the real part.
 *
 * - The firmware counts the register up from wherever a write begins, so that parts of a frame can be sent. It ends at
 *   light 192 without a check that could be relied on: never write beyond. The kernel always sends all 193 bytes.
 * - It shows 64 steps of which the kernel uses 0 to 31; so does this driver.
 * - It handles each byte in an interrupt and stretches the clock meanwhile; no pause between transfers is needed.
 * - It reads the joystick once a picture of its own. A change raises the interrupt line (GPIO 23 on the HAT), a read of
 *   the keys lowers it. After power-up it shows a rainbow until it is told otherwise.
 */
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { eyeExponent, levelsOf } from '../lights/levels.ts';
import { changedRuns } from '../lights/runs.ts';
import {
  type I2cDriver,
  noNeeds,
  type PartIo,
  type PartPicture,
  type PartSession,
  type PartSpec,
  type RawInput,
} from './driver.ts';

const schema = z.strictObject({
  partialWrites: z
    .boolean()
    .default(true)
    .describe(
      'Only changed bytes are sent; false: whole frames, as the kernel does it, for another firmware.',
    ),
});

/** What an entry of a Sense HAT says. */
export type SenseHatConfig = z.infer<typeof schema>;

const width = 8;
const height = 8;
const lightBytes = 3 * width * height;
const idRegister = 0xf0;
const id = 's'.charCodeAt(0);
const keysRegister = 0xf2;
/** Looks at keys that keep changing before it is a fault; a hand is slower than two reads. */
const maxLooks = 4;

/** The directions of the joystick and its push, by their bit in the register of the keys. */
export const senseHatKeys = ['down', 'right', 'up', 'enter', 'left'] as const;

/** Controls and lights of a Sense HAT, whichever way it is reached. */
export const senseHatSpec: PartSpec = {
  controls: ['up', 'down', 'left', 'right', 'enter'].map((name) => ({ name, kind: 'button' })),
  lights: { width, height, colours: 'rgb' },
};

/** The light registers for a picture, 192 bytes 0..31: eight rows of 8 red, 8 green, 8 blue. */
export function senseHatLights(rgb: Uint8Array, brightness: number): Uint8Array {
  const levels = levelsOf(rgb, 3, brightness, { max: 31, floor: 1, exponent: eyeExponent });
  return Uint8Array.from({ length: lightBytes }, (_, at) => {
    const row = Math.floor(at / 24);
    const channel = Math.floor((at % 24) / width);
    return levels[3 * (row * width + (at % width)) + channel] ?? 0;
  });
}

class SenseHatSession implements PartSession {
  readonly pollMs = 20;
  readonly pollWithInterruptMs = 500;
  readonly #config: SenseHatConfig;
  readonly #device: I2cDevice;
  readonly #io: PartIo;
  /** Bits of the keys as reported last; null: not yet. */
  #keys: number | null = null;
  /** Null: not known. */
  #lights: Uint8Array | null = null;

  constructor(config: SenseHatConfig, device: I2cDevice, io: PartIo) {
    this.#config = config;
    this.#device = device;
    this.#io = io;
  }

  async start(): Promise<void> {
    const dark = new Uint8Array(lightBytes);
    await this.#device.write('frame', [0, ...dark]);
    this.#lights = dark;
  }

  async poll(): Promise<void> {
    const keys = await this.#readKeys();
    const changes = this.#keys === null ? 0xff : keys ^ this.#keys;
    this.#keys = keys;
    const at = this.#io.time.now();
    const inputs = senseHatKeys.flatMap((control, bit): RawInput[] =>
      changes & (1 << bit) ? [{ type: 'switch', control, isDown: (keys & (1 << bit)) !== 0, at }] : [],
    );
    if (inputs.length > 0) this.#io.report(inputs);
  }

  /** A change counts when it is read twice: a disturbed transfer presses nothing. */
  async #readKeys(): Promise<number> {
    let keys = await this.#readKeysOnce();
    for (let look = 1; keys !== this.#keys; look++) {
      const again = await this.#readKeysOnce();
      if (again === keys) {
        // Garbage can be the same twice, but hardly says who it is as well.
        if (!(await isThere(this.#device)))
          throw new SurfacedError('E_HW_PART', 'what answers at 0x46 no longer says that it is a Sense HAT');
        break;
      }
      if (look === maxLooks)
        throw new SurfacedError('E_HW_PART', 'the keys of the Sense HAT differ at every look');
      keys = again;
    }
    return keys;
  }

  async #readKeysOnce(): Promise<number> {
    const [keys = 0] = await this.#device.readRegister('input', keysRegister, 1);
    if (keys >= 1 << senseHatKeys.length)
      throw new SurfacedError('E_HW_PART', `the Sense HAT says 0x${keys.toString(16)} of its five keys`);
    return keys;
  }

  async show({ rgb, brightness }: PartPicture): Promise<void> {
    if (rgb === null) return;
    const lights = senseHatLights(rgb, brightness);
    const changed = changedRuns(this.#lights, lights);
    if (changed.length === 0) return;
    const runs = this.#config.partialWrites ? changed : changedRuns(null, lights);
    this.#lights = null;
    for (const { start, bytes } of runs) await this.#device.write('frame', [start, ...bytes]);
    this.#lights = lights;
  }

  async close(): Promise<void> {
    try {
      await this.#device.write('frame', [0, ...new Uint8Array(lightBytes)]);
    } catch {
      // It is gone, and dark with it; whoever closes it knows why.
    }
  }
}

async function isThere(device: I2cDevice): Promise<boolean> {
  const [answer] = await device.readRegister('input', idRegister, 1);
  return answer === id;
}

/** Raspberry Pi Sense HAT over I2C, without its kernel driver. */
export const senseHat = {
  part: 'sense-hat',
  title: 'Raspberry Pi Sense HAT, 8x8 RGB lights and joystick, over I2C',
  kind: 'i2c',
  schema,
  addresses: [0x46],
  selector: null,
  declare: () => senseHatSpec,
  needs: () => noNeeds,
  async probe(device) {
    return (await isThere(device)) ? 'Sense HAT' : null;
  },
  async open(config, device, io) {
    if (!(await isThere(device)))
      throw new SurfacedError('E_HW_PART', 'what answers at 0x46 does not say that it is a Sense HAT');
    const session = new SenseHatSession(config, device, io);
    await session.start();
    return session;
  },
} satisfies I2cDriver<SenseHatConfig>;
