/** The seesaw parts, each a configuration of `seesaw.ts`: what they call themselves, their pins, hands and eyes. */
import type { ShownLights } from './model.ts';
import { type SeesawFirmware, SeesawModel } from './seesaw.ts';
import { SimEncoders, SimFader, SimKeypad, SimPins, SimPixels } from './seesaw-modules.ts';

/** The firmware of a SAMD09 puts commands into a queue; so much is asked of whoever waits, with room for a timer's slack. */
const samd09 = { hardwareId: 0x55, answerMs: 5 } as const;
/** An ATtiny817 answers at once, but no bus lets a read follow at once. */
const attiny817 = { hardwareId: 0x87, options: null, answerMs: 0.5 } as const;

/** Bits of the options: status, pins, and the modules by their number. */
const has = (...modules: readonly number[]): number => modules.reduce((sum, base) => sum | (1 << base), 0x03);

/** Encoders with pushes and pixels. */
class EncoderBoardModel extends SeesawModel {
  readonly #pushPins: readonly number[];
  readonly #pins: SimPins;
  readonly #encoders: SimEncoders;
  readonly #pixels: SimPixels;

  constructor(
    firmware: SeesawFirmware,
    pushPins: readonly number[],
    pixels: { readonly pin: number; readonly bufferLength: number },
  ) {
    const parts = {
      pins: new SimPins(pushPins),
      encoders: new SimEncoders(pushPins.length),
      pixels: new SimPixels({ ...pixels, count: pushPins.length }),
    };
    super({ ...firmware, modules: [parts.pins, parts.encoders, parts.pixels] });
    this.#pushPins = pushPins;
    this.#pins = parts.pins;
    this.#encoders = parts.encoders;
    this.#pixels = parts.pixels;
  }

  /** Turns an encoder (from 0) by detents, clockwise positive. */
  turn(encoder: number, detents: number): void {
    this.#encoders.turn(encoder, detents);
  }

  press(encoder: number): void {
    this.#pins.press(this.#pushPins[encoder] ?? 0);
  }

  release(encoder: number): void {
    this.#pins.release(this.#pushPins[encoder] ?? 0);
  }

  lights(): ShownLights {
    return { width: this.#pushPins.length, height: 1, rgb: this.#pixels.rgb };
  }
}

/** The encoder breakout, product 4991. */
export class SeesawEncoderModel extends EncoderBoardModel {
  constructor() {
    const options = has(0x0b, 0x0e, 0x11);
    super({ ...samd09, part: 'seesaw-encoder', product: 4991, options }, [24], { pin: 6, bufferLength: 64 });
  }
}

/** The quad encoder breakout, product 5752. */
export class SeesawQuadEncoderModel extends EncoderBoardModel {
  constructor() {
    const firmware = { ...attiny817, part: 'seesaw-quad-encoder', product: 5752 };
    super(firmware, [12, 14, 17, 9], { pin: 18, bufferLength: 90 });
  }
}

/** The NeoSlider, product 5295. */
export class NeoSliderModel extends SeesawModel {
  readonly #fader: SimFader;
  readonly #pixels: SimPixels;

  constructor() {
    const fader = new SimFader(18);
    const pixels = new SimPixels({ pin: 14, count: 4, bufferLength: 12 });
    super({ ...attiny817, part: 'neoslider', product: 5295, modules: [fader, pixels] });
    this.#fader = fader;
    this.#pixels = pixels;
  }

  /** Puts the fader at a position, 0 to 1. */
  move(position: number): void {
    this.#fader.counts = Math.round(Math.min(1, Math.max(0, position)) * 1023);
  }

  lights(): ShownLights {
    return { width: 4, height: 1, rgb: this.#pixels.rgb };
  }
}

/** The NeoTrellis, product 3954, whose firmware has no number. */
export class NeoTrellisModel extends SeesawModel {
  readonly #keypad: SimKeypad;
  readonly #pixels: SimPixels;

  constructor() {
    const keypad = new SimKeypad();
    const pixels = new SimPixels({ pin: 3, count: 16, bufferLength: 64 });
    const options = has(0x0b, 0x0e, 0x10);
    super({ ...samd09, part: 'neotrellis', product: 0, options, modules: [keypad, pixels] });
    this.#keypad = keypad;
    this.#pixels = pixels;
  }

  /** Presses a key, 0 to 15 row by row from the top left. */
  pressKey(key: number): void {
    this.#keypad.change(key, 3);
  }

  releaseKey(key: number): void {
    this.#keypad.change(key, 2);
  }

  lights(): ShownLights {
    return { width: 4, height: 4, rgb: this.#pixels.rgb };
  }
}
