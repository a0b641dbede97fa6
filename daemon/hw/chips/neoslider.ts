/**
 * Adafruit NeoSlider (product 5295): a slide potentiometer of 75 mm with four NeoPixels under it, behind an ATtiny817.
 * Pins as in Adafruit_Seesaw `examples/NeoSlider` and firmware `example_pid5295` of Adafruit_seesawPeripheral: wiper on
 * analogue pin 18 (register 09 19, 0 to 1023), pixels on 14. Not run on the part, so which end is 0 and which pixel is the
 * first is for `invert` and `invertLights` to say.
 */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import type { ControlFeedback, Rgb } from '../../surface/types.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import type { I2cDriver, PartIo, PartPicture, PartSession } from './driver.ts';
import { noNeeds } from './driver.ts';
import {
  Faults,
  openSeesaw,
  probeSeesaw,
  promptPauseMs,
  type Seesaw,
  type SeesawKind,
  seesawModule,
  uint32,
} from './seesaw.ts';
import { SeesawPixels } from './seesaw-pixels.ts';

const kind: SeesawKind = {
  name: 'Adafruit NeoSlider',
  product: 5295,
  options: 0,
  readPauseMs: promptPauseMs,
};
/** Register 07 is analogue pin 0 on an ATtiny. */
const wiperRegister = 0x07 + 18;
const fullScale = 1023;
/**
 * A level this far from the last one counts when the part still says who it is: what garbles levels garbles that too. So
 * does any new level that ends with FF, which is what a read has that ended early.
 */
const farLevels = 32;
const endedEarly = 0xff;
const pixelPin = 14;
const pixelCount = 4;
/** How far the bar steps back while the ends say which way to move. */
const hintDim = 0.25;

const white: Rgb = [255, 255, 255];
const scaled = ([red, green, blue]: Rgb, by: number): Rgb => [
  Math.round(red * by),
  Math.round(green * by),
  Math.round(blue * by),
];

/**
 * The four pixels, from the bottom of the fader: a bar as long as the value, its last pixel as bright as its part of it.
 * While the fader must be moved to pick the value up, the bar is dim and the end to move to is white.
 */
export function sliderBar({ ring, light, hint }: ControlFeedback): Rgb[] {
  return Array.from({ length: pixelCount }, (_, pixel) => {
    if (hint === (pixel === 0 ? 'down' : pixel === pixelCount - 1 ? 'up' : 'none')) return white;
    const lit = Math.min(1, Math.max(0, (ring ?? 0) * pixelCount - pixel));
    return scaled(light, hint === null ? lit : lit * hintDim);
  });
}

class NeoSliderSession implements PartSession {
  readonly pollMs = 8;
  /** The firmware raises no interrupt for the wiper. */
  readonly pollWithInterruptMs = 8;
  readonly #config: NeoSliderConfig;
  readonly #seesaw: Seesaw;
  readonly #pixels: SeesawPixels;
  readonly #io: PartIo;
  readonly #faults = new Faults();
  /** Null: none yet. */
  #last: number | null = null;

  constructor(config: NeoSliderConfig, seesaw: Seesaw, pixels: SeesawPixels, io: PartIo) {
    this.#config = config;
    this.#seesaw = seesaw;
    this.#pixels = pixels;
    this.#io = io;
  }

  readonly poll = async (): Promise<void> => {
    this.#faults.assertSound();
    const raw = uint32(await this.#seesaw.read('input', seesawModule.adc, wiperRegister, 2));
    if (raw > fullScale) {
      this.#faults.count(`${kind.name} reports ${raw}, more than ${fullScale}`);
      return;
    }
    if (this.#isDoubtful(raw) && !(await this.#seesaw.isSame())) {
      this.#faults.count(`${kind.name} reports ${raw} and does not say who it is`);
      return;
    }
    this.#faults.clear();
    this.#last = raw;
    const part = raw / fullScale;
    const { name: control, invert } = this.#config;
    this.#io.report([{ type: 'level', control, value: invert ? 1 - part : part, at: this.#io.time.now() }]);
  };

  #isDoubtful(raw: number): boolean {
    if (this.#last === null || Math.abs(raw - this.#last) > farLevels) return true;
    return raw !== this.#last && (raw & 0xff) === endedEarly;
  }

  readonly show = async ({ controls, brightness }: PartPicture): Promise<void> => {
    const feedback = controls.get(this.#config.name);
    const bar = sliderBar(feedback ?? { position: null, ring: null, light: [0, 0, 0], hint: null });
    await this.#pixels.show(this.#config.invertLights ? bar.toReversed() : bar, brightness);
  };

  async close(): Promise<void> {
    await this.#pixels.darken();
  }
}

const schema = z.strictObject({
  name: controlName.default('fader1').describe('Name of the fader.'),
  invert: z.boolean().default(false).describe('Takes the other end of the fader for the bottom.'),
  invertLights: z.boolean().default(false).describe('Takes the other end of the lights for the bottom.'),
});

/** Config of {@link neoslider}. */
export type NeoSliderConfig = z.infer<typeof schema>;

async function open(config: NeoSliderConfig, device: I2cDevice, io: PartIo): Promise<PartSession> {
  const seesaw = await openSeesaw(kind, device, io.time);
  const pixels = new SeesawPixels(seesaw, { pin: pixelPin, count: pixelCount });
  await pixels.start();
  return new NeoSliderSession(config, seesaw, pixels, io);
}

/** Adafruit NeoSlider: 30 and up to 3F by its jumpers A0 to A3. */
export const neoslider = {
  kind: 'i2c',
  part: 'neoslider',
  title: 'Adafruit NeoSlider 5295, a fader with four NeoPixels',
  schema,
  addresses: Array.from({ length: 16 }, (_, jumpers) => 0x30 + jumpers),
  selector: 'its jumpers A0 to A3, of which A3 makes 0x38',
  declare: ({ name }) => ({ controls: [{ name, kind: 'fader' }], lights: null }),
  needs: () => noNeeds,
  probe: (device, time) => probeSeesaw(kind, device, time),
  open,
} satisfies I2cDriver<NeoSliderConfig>;
