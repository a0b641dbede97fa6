/**
 * Adafruit I2C QT Rotary Encoder (product 4991): one encoder with push button and one NeoPixel behind a SAMD09. Registers
 * as in Adafruit_CircuitPython_seesaw `seesaw.py` and `examples/seesaw_rotary_neopixel.py`: 11 30 position, 01 04 pins,
 * push on pin 24 (low while pressed), pixel on pin 6. Also what the board with four encoders shares. Not run on the part.
 */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import type { ControlSpec, Millis, Rgb } from '../../surface/types.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import type { I2cDriver, PartIo, PartPicture, PartSession, RawInput } from './driver.ts';
import { noNeeds } from './driver.ts';
import {
  bytes32,
  Faults,
  openSeesaw,
  probeSeesaw,
  queuedPauseMs,
  type Seesaw,
  type SeesawKind,
  seesawModule,
  uint32,
} from './seesaw.ts';
import { SeesawPixels } from './seesaw-pixels.ts';

/**
 * Where counting starts, written at open: far from 0, so that a part that lost its power in between, and with it its
 * set-up, is not taken for one that was turned.
 */
export const startPosition = 0x4000_0000;

/** A hand that flicks a knob as fast as it can stays below this many detents in a millisecond. */
const fastestPerMs = 0.4;
/** On top: what one poll may be late by. */
const slackPulses = 4;
/** A longer gap between two readings allows no more than this one, milliseconds. */
const longestGapMs = 1000;

/** The most pulses that are believed after so many milliseconds. */
export function mostPulses(elapsedMs: number): number {
  return Math.floor(slackPulses + fastestPerMs * Math.min(Math.max(elapsedMs, 0), longestGapMs));
}

/** Looks at pushes that keep changing; bounces are over before. */
const maxLooks = 4;

/** Pulses since the last reading, in the part's sign; null on a first reading; or why they are unknown. */
export type Travel = number | null | 'impossible' | 'restarted';

/** The position of one encoder, from reading to reading: nothing is lost when a reading fails. */
export class Dial {
  #last: { readonly position: number; readonly at: Millis } | null = null;

  /** @param position signed 32 bits, as the part counts; it wraps around */
  take(position: number, at: Millis): Travel {
    const last = this.#last;
    this.#last = { position, at };
    if (last === null) return null;
    const pulses = (position - last.position) | 0;
    if (Math.abs(pulses) <= mostPulses(at - last.at)) return pulses;
    return Math.abs(position) <= mostPulses(longestGapMs) ? 'restarted' : 'impossible';
  }

  /** The next reading is a first reading. */
  forget(): void {
    this.#last = null;
  }
}

/** How encoders are wired to the pins of a part. */
export interface EncoderBoard {
  readonly kind: SeesawKind;
  /** Pin of the push button of each encoder. */
  readonly pushPins: readonly number[];
  readonly pixelPin: number;
}

/** What the config says of the encoders. */
export interface EncoderNames {
  /** One for each encoder. */
  readonly names: readonly string[];
  readonly invert: boolean;
}

/**
 * The controls. The firmware counts a whole cycle of both contacts as one (`AOEncoder.cpp`; `pinChangeDetect` on ATtinys),
 * which is a detent.
 */
export function encoderControls(names: readonly string[]): ControlSpec[] {
  return names.map((name) => ({ name, kind: 'encoder', pulsesPerDetent: 1 }));
}

/** Sets a board of encoders up. */
export async function openEncoders(
  board: EncoderBoard,
  names: EncoderNames,
  device: I2cDevice,
  io: PartIo,
): Promise<PartSession> {
  const seesaw = await openSeesaw(board.kind, device, io.time);
  await seesaw.pullUp(board.pushPins.reduce((mask, pin) => mask | (1 << pin), 0));
  for (const index of names.names.keys()) {
    await seesaw.write('input', seesawModule.encoder, 0x30 + index, bytes32(startPosition));
    // Raises the interrupt line; nobody minds when it is not wired.
    await seesaw.write('input', seesawModule.encoder, 0x10 + index, [0x01]);
  }
  const pixels = new SeesawPixels(seesaw, { pin: board.pixelPin, count: names.names.length });
  await pixels.start();
  return new EncoderSession({ board, names, seesaw, pixels, io });
}

interface EncoderParts {
  readonly board: EncoderBoard;
  readonly names: EncoderNames;
  readonly seesaw: Seesaw;
  readonly pixels: SeesawPixels;
  readonly io: PartIo;
}

const dark: Rgb = [0, 0, 0];

class EncoderSession implements PartSession {
  readonly pollMs = 5;
  readonly pollWithInterruptMs = 250;
  readonly #parts: EncoderParts;
  readonly #dials: readonly Dial[];
  readonly #faults = new Faults();
  readonly #pushMask: number;
  /** Levels of the pins of the pushes, low while pressed; null: not known. */
  #pins: number | null = null;

  constructor(parts: EncoderParts) {
    this.#parts = parts;
    this.#dials = parts.names.names.map(() => new Dial());
    this.#pushMask = parts.board.pushPins.reduce((mask, pin) => mask | (1 << pin), 0);
  }

  readonly poll = async (): Promise<void> => {
    const { seesaw, io } = this.#parts;
    this.#faults.assertSound();
    // Pins first: reading them releases the interrupt line of an ATtiny, so a turn after it raises the line again.
    const pins = await this.#readPins();
    const positions: { readonly position: number; readonly at: Millis }[] = [];
    for (const index of this.#dials.keys()) {
      const bytes = await seesaw.read('input', seesawModule.encoder, 0x30 + index, 4);
      positions.push({ position: uint32(bytes) | 0, at: io.time.now() });
    }
    // Taken when all are read: what is taken in a poll that then fails would never be reported.
    const travels = this.#dials.map((dial, index): Travel => {
      const { position, at } = positions[index] ?? { position: startPosition, at: io.time.now() };
      return dial.take(position, at);
    });
    const at = io.time.now();
    if (travels.some((travel) => typeof travel === 'string')) this.#distrust(travels, at);
    // A first reading can be compared with nothing, so the pins that came with it are not believed either.
    const turns = travels.filter((travel) => typeof travel === 'number');
    if (turns.length < travels.length) return;
    this.#report(turns, pins, at);
  };

  /** A change counts when it is read twice: one garbled answer presses nothing. */
  async #readPins(): Promise<number> {
    let pins = await this.#readPinsOnce();
    for (let look = 1; pins !== this.#pins; look++) {
      const again = await this.#readPinsOnce();
      if (again === pins) break;
      if (look === maxLooks) return this.#pins ?? again;
      pins = again;
    }
    return pins;
  }

  async #readPinsOnce(): Promise<number> {
    const levels = await this.#parts.seesaw.read('input', seesawModule.gpio, 0x04, 4);
    return (uint32(levels) & this.#pushMask) >>> 0;
  }

  readonly show = async ({ controls, brightness }: PartPicture): Promise<void> => {
    const colours = this.#parts.names.names.map((name) => controls.get(name)?.light ?? dark);
    await this.#parts.pixels.show(colours, brightness);
  };

  async close(): Promise<void> {
    await this.#parts.pixels.darken();
  }

  #report(turns: readonly number[], pins: number, at: Millis): void {
    this.#faults.clear();
    const { board, names, io } = this.#parts;
    const isDown = (levels: number, index: number): boolean =>
      ((levels >>> (board.pushPins[index] ?? 0)) & 1) === 0;
    const inputs: RawInput[] = [];
    for (const [index, control] of names.names.entries()) {
      // Clockwise counts down, as the examples of the library say by negating.
      const pulses = (turns[index] ?? 0) * (names.invert ? 1 : -1);
      if (pulses !== 0) inputs.push({ type: 'turn', control, pulses, at });
      const down = isDown(pins, index);
      if (this.#pins === null || isDown(this.#pins, index) !== down)
        inputs.push({ type: 'switch', control, isDown: down, at });
    }
    this.#pins = pins;
    if (inputs.length > 0) io.report(inputs);
  }

  /** Nothing counts of a poll in which a position cannot be right; where the knobs are is learnt anew. */
  #distrust(travels: readonly Travel[], at: Millis): void {
    const { names, board, io } = this.#parts;
    for (const dial of this.#dials) dial.forget();
    this.#pins = null;
    io.report([{ type: 'unsure', controls: names.names, at }]);
    if (travels.includes('restarted')) this.#faults.giveUp(`${board.kind.name} has lost its set-up`);
    this.#faults.count(`${board.kind.name} reports turns that no hand can make`);
  }
}

/** One encoder: 36 and up to 3D by its jumpers A0 to A2. */
const board: EncoderBoard = {
  kind: { name: 'Adafruit rotary encoder', product: 4991, options: 0, readPauseMs: queuedPauseMs },
  pushPins: [24],
  pixelPin: 6,
};

const schema = z.strictObject({
  name: controlName.default('encoder1').describe('Name of the encoder; its push has the same.'),
  invert: z.boolean().default(false).describe('Turns the direction of the encoder around.'),
});

/** Config of {@link seesawEncoder}. */
export type SeesawEncoderConfig = z.infer<typeof schema>;

/** Adafruit I2C QT Rotary Encoder. */
export const seesawEncoder = {
  kind: 'i2c',
  part: 'seesaw-encoder',
  title: 'Adafruit I2C QT Rotary Encoder 4991, one encoder with push and a NeoPixel',
  schema,
  addresses: [0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d],
  selector: 'its jumpers A0 to A2',
  declare: ({ name }) => ({ controls: encoderControls([name]), lights: null }),
  needs: () => noNeeds,
  probe: (device, time) => probeSeesaw(board.kind, device, time),
  open: ({ name, invert }, device, io) => openEncoders(board, { names: [name], invert }, device, io),
} satisfies I2cDriver<SeesawEncoderConfig>;
