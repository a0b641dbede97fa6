/**
 * Lumissil IS31FL3741, 351 LEDs with PWM and scaling, as on the Adafruit 13x9 RGB matrix. Registers, start-up and which
 * LED is which light as adafruit/Adafruit_CircuitPython_IS31FL3741 has them, `__init__.py` and `adafruit_rgbmatrixqt.py`
 * (its `show` leaves the register out; it is needed). To check against: ISSI, "IS31FL3741 39x9 Dots Matrix LED Driver".
 * Not run on the real part.
 *
 * The lights show what is written while it is written: only what changed is sent, one page right after the other, so that
 * a picture that changes everywhere is half done for 8 ms at 400 kHz.
 */
import { z } from 'zod';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { eyeExponent, levelsOf, settingOf } from '../lights/levels.ts';
import { changedRuns } from '../lights/runs.ts';
import { type I2cDriver, noNeeds, type PartPicture, type PartSession } from './driver.ts';

const schema = z.strictObject({
  board: z
    .literal('adafruit-13x9')
    .default('adafruit-13x9')
    .describe('Board that the part is on: the Adafruit 13x9 RGB matrix.'),
});

/** What an entry of an IS31FL3741 says. */
export type Is31fl3741Config = z.infer<typeof schema>;

const width = 13;
const height = 9;
const leds = 351;
/** Pages 0 and 1 are PWM, 2 and 3 scaling: LEDs 0..179 and 180..350. Page 4 has the functions. */
const firstPageLeds = 180;
const scalingPage = 2;
const functionPage = 4;
/** Registers of every page. The command register is locked again after each write. */
const commandRegister = 0xfd;
const unlockRegister = 0xfe;
const unlockKey = 0xc5;
const idRegister = 0xfc;
/** Registers of page 4. */
const configurationRegister = 0x00;
const globalCurrentRegister = 0x01;
const resetRegister = 0x3f;
const resetKey = 0xae;
/** Configuration: all nine rows, not shut down. */
const running = 0x01;
const presenceMs = 1000;

/** Rows of the board, top to bottom, as the part counts its switch lines. */
const switchOfRow = [8, 5, 4, 3, 2, 1, 0, 7, 6];

/** LED numbers of red, green and blue of a light of the Adafruit 13x9 board. */
export function is31fl3741Leds(x: number, y: number): readonly [red: number, green: number, blue: number] {
  const line = switchOfRow[y] ?? 0;
  // The part counts 30 LEDs of each line first, then the nine that are left of each.
  const first = x < 10 ? 30 * line + 3 * x : 270 + 9 * line + 3 * (x - 10);
  return x % 2 === 1 || x === 12 ? [first + 2, first + 1, first] : [first, first + 2, first + 1];
}

/** For each LED the byte of the picture that it shows. */
const sources = new Uint16Array(leds);
for (let light = 0; light < width * height; light++)
  is31fl3741Leds(light % width, Math.floor(light / width)).forEach((led, channel) => {
    sources[led] = 3 * light + channel;
  });

/** What the registers should hold for a picture: PWM of all 351 LEDs and the current of all together, 0..255. */
export function is31fl3741Levels(rgb: Uint8Array, brightness: number): { pwm: Uint8Array; current: number } {
  const current = settingOf(brightness, 255);
  // At a low current the lowest PWM steps give no light that could be seen.
  const floor = current === 0 ? 1 : Math.ceil(255 / current);
  const levels = levelsOf(rgb, 3, 1, { max: 255, floor, exponent: eyeExponent });
  return { pwm: Uint8Array.from(sources, (source) => levels[source] ?? 0), current };
}

class Is31fl3741Session implements PartSession {
  readonly pollMs = presenceMs;
  readonly pollWithInterruptMs = presenceMs;
  readonly #device: I2cDevice;
  /** Null: not known, or being written. */
  #pwm: Uint8Array | null = null;
  #current: number | null = null;
  /** True when page 4 is selected and nothing is being written. */
  #isAtRest = false;

  constructor(device: I2cDevice) {
    this.#device = device;
  }

  async start(): Promise<void> {
    await this.#page(functionPage);
    await this.#send(resetRegister, [resetKey]);
    const scaling = new Array<number>(leds).fill(0xff);
    await this.#page(scalingPage);
    await this.#send(0, scaling.slice(0, firstPageLeds));
    await this.#page(scalingPage + 1);
    await this.#send(0, scaling.slice(firstPageLeds));
    await this.#page(functionPage);
    // Without current it is dark, whatever the PWM: the first picture sends all of it.
    await this.#send(globalCurrentRegister, [0]);
    await this.#send(configurationRegister, [running]);
    this.#current = 0;
    this.#isAtRest = true;
  }

  /** Looks whether the part runs: after a moment without power it is shut down, on page 0. */
  async poll(): Promise<void> {
    if (!this.#isAtRest) return;
    const [configuration] = await this.#device.readRegister('frame', configurationRegister, 1);
    if (configuration !== running && this.#isAtRest)
      throw new SurfacedError('E_HW_PART', 'the IS31FL3741 is shut down: was it without power?');
  }

  async show({ rgb, brightness }: PartPicture): Promise<void> {
    if (rgb === null) return;
    const { pwm, current } = is31fl3741Levels(rgb, brightness);
    const halves = [
      [0, firstPageLeds],
      [firstPageLeds, leds],
    ].map(([from, to]) => changedRuns(this.#pwm?.subarray(from, to) ?? null, pwm.subarray(from, to)));
    const isPwmChanged = halves.some((runs) => runs.length > 0);
    const isCurrentChanged = current !== this.#current;
    if (!isPwmChanged && !isCurrentChanged) return;
    const needsPage = isPwmChanged || !this.#isAtRest;
    this.#isAtRest = false;
    this.#pwm = null;
    this.#current = null;
    for (const [page, runs] of halves.entries()) {
      if (runs.length > 0) await this.#page(page);
      for (const { start, bytes } of runs) await this.#send(start, bytes);
    }
    // Left on page 4, where `poll` looks.
    if (needsPage) await this.#page(functionPage);
    if (isCurrentChanged) await this.#send(globalCurrentRegister, [current]);
    this.#pwm = pwm;
    this.#current = current;
    this.#isAtRest = true;
  }

  async close(): Promise<void> {
    try {
      await this.#page(functionPage);
      await this.#send(configurationRegister, [0]);
    } catch {
      // It is gone, and dark with it; whoever closes it knows why.
    }
  }

  async #page(page: number): Promise<void> {
    await this.#send(unlockRegister, [unlockKey]);
    await this.#send(commandRegister, [page]);
  }

  #send(register: number, bytes: Iterable<number>): Promise<void> {
    return this.#device.write('frame', [register, ...bytes]);
  }
}

/** The ID register holds the address as it is on the wire, with the bit of direction 0; reading needs no unlocking. */
async function isThere(device: I2cDevice): Promise<boolean> {
  const [id] = await device.readRegister('input', idRegister, 1);
  return id === 2 * device.address;
}

/** Lumissil IS31FL3741 on the Adafruit 13x9 RGB matrix. */
export const is31fl3741 = {
  part: 'is31fl3741',
  title: 'Lumissil IS31FL3741, RGB matrix 13x9 (Adafruit)',
  kind: 'i2c',
  schema,
  addresses: [0x30, 0x31, 0x32, 0x33],
  selector: 'its ADDR jumper',
  declare: () => ({ controls: [], lights: { width, height, colours: 'rgb' } }),
  needs: () => noNeeds,
  async probe(device) {
    return (await isThere(device)) ? 'IS31FL3741' : null;
  },
  async open(_config, device) {
    if (!(await isThere(device)))
      throw new SurfacedError('E_HW_PART', 'the ID register is not that of an IS31FL3741');
    const session = new Is31fl3741Session(device);
    await session.start();
    return session;
  },
} satisfies I2cDriver<Is31fl3741Config>;
