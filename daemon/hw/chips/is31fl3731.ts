/**
 * Lumissil IS31FL3731, 144 LEDs with PWM, with the 16x9 matrix of one colour. Registers, start-up and places of the
 * lights (24h + x + 16 y) as adafruit/Adafruit_CircuitPython_IS31FL3731 has them, `__init__.py` and `matrix.py`. To check
 * against: ISSI, "IS31FL3731 Audio Modulated Matrix LED Driver". Not run on the real part.
 *
 * The part holds eight frames. Two of them are used in turn: a picture is written into the one that is not shown, then
 * shown by one register, so that nothing is ever seen half done; a light that blinks costs that one register.
 */
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { brightestChannels, eyeExponent, levelsOf } from '../lights/levels.ts';
import { changedRuns } from '../lights/runs.ts';
import { type I2cDriver, noNeeds, type PartPicture, type PartSession } from './driver.ts';

const schema = z.strictObject({
  matrix: z.literal('16x9').default('16x9').describe('Matrix on the part: 16x9 lights of one colour.'),
});

/** What an entry of an IS31FL3731 says. */
export type Is31fl3731Config = z.infer<typeof schema>;

const width = 16;
const height = 9;
/** Command register: the page that all other registers are of, a frame 0..7 or the functions. */
const commandRegister = 0xfd;
const functionPage = 0x0b;
/** In a frame: 18 bytes of enable bits, 18 of blink bits, 144 of PWM. */
const enableRegister = 0x00;
const pwmRegister = 0x24;
/** On the function page, which has 13 registers. */
const pictureDisplayRegister = 0x01;
const shutdownRegister = 0x0a;
const functionRegisters = 13;
const presenceMs = 1000;

/** PWM of the 144 lights for a picture. The part has no brightness of its own: it is scaled. */
export function is31fl3731Pwm(rgb: Uint8Array, brightness: number): Uint8Array {
  return levelsOf(brightestChannels(rgb), 1, brightness, { max: 255, floor: 1, exponent: eyeExponent });
}

class Is31fl3731Session implements PartSession {
  readonly pollMs = presenceMs;
  readonly pollWithInterruptMs = presenceMs;
  readonly #device: I2cDevice;
  /** PWM that each of the two frames holds; null: not known, or being written. */
  #frames: readonly [Uint8Array | null, Uint8Array | null] = [null, null];
  /** The frame that is shown; null: not known, or being changed. */
  #shown: 0 | 1 | null = null;

  constructor(device: I2cDevice) {
    this.#device = device;
  }

  async start(): Promise<void> {
    await this.#page(functionPage);
    await this.#send(shutdownRegister, [0]);
    // Picture mode, frame 0, nothing that plays by itself; still shut down.
    await this.#send(0, new Array<number>(functionRegisters).fill(0));
    const pwm = new Uint8Array(width * height);
    for (const frame of [0, 1] as const) {
      await this.#page(frame);
      await this.#send(enableRegister, [
        ...new Array<number>(18).fill(0xff),
        ...new Array<number>(18).fill(0),
        ...pwm,
      ]);
    }
    await this.#page(functionPage);
    await this.#send(shutdownRegister, [1]);
    this.#frames = [pwm, pwm];
    this.#shown = 0;
  }

  /** Looks whether the part runs: after a moment without power it is shut down, on page 0. */
  async poll(): Promise<void> {
    // While a picture is written another page is selected, and the write itself tells.
    if (this.#shown === null) return;
    const shown = this.#shown;
    const [shutdown] = await this.#device.readRegister('frame', shutdownRegister, 1);
    if (shutdown !== 1 && this.#shown === shown)
      throw new SurfacedError('E_HW_PART', 'the IS31FL3731 is shut down: was it without power?');
  }

  async show({ rgb, brightness }: PartPicture): Promise<void> {
    if (rgb === null) return;
    const pwm = is31fl3731Pwm(rgb, brightness);
    if (this.#shown !== null && changedRuns(this.#frames[this.#shown], pwm).length === 0) return;
    const next = this.#shown === 0 ? 1 : 0;
    const frames = this.#frames;
    const runs = changedRuns(frames[next], pwm);
    this.#shown = null;
    this.#frames = [null, null];
    if (runs.length > 0) {
      await this.#page(next);
      for (const { start, bytes } of runs) await this.#send(pwmRegister + start, bytes);
      // Left on the function page, where the next picture may need nothing else and `poll` looks.
      await this.#page(functionPage);
    }
    await this.#send(pictureDisplayRegister, [next]);
    this.#frames = next === 0 ? [pwm, frames[1]] : [frames[0], pwm];
    this.#shown = next;
  }

  async close(): Promise<void> {
    try {
      await this.#page(functionPage);
      await this.#send(shutdownRegister, [0]);
    } catch {
      // It is gone, and dark with it; whoever closes it knows why.
    }
  }

  #page(page: number): Promise<void> {
    return this.#send(commandRegister, [page]);
  }

  #send(register: number, bytes: Iterable<number>): Promise<void> {
    return this.#device.write('frame', [register, ...bytes]);
  }
}

/** Lumissil IS31FL3731 with a 16x9 matrix of one colour. */
export const is31fl3731 = {
  part: 'is31fl3731',
  title: 'Lumissil IS31FL3731, LED matrix 16x9, one colour',
  kind: 'i2c',
  schema,
  addresses: [0x74, 0x75, 0x76, 0x77],
  selector: 'its AD pin',
  declare: () => ({ controls: [], lights: { width, height, colours: 'mono' } }),
  needs: () => noNeeds,
  /** It has nothing to know it by; a read alone changes nothing in any part. */
  async probe(device) {
    await device.read('input', 1);
    return 'answers; an IS31FL3731 cannot be told from other parts';
  },
  async open(_config, device) {
    const session = new Is31fl3731Session(device);
    await session.start();
    return session;
  },
} satisfies I2cDriver<Is31fl3731Config>;
