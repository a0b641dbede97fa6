/**
 * NeoPixels of a seesaw part: a buffer in the part that is filled in pieces and then shown. No part by itself.
 * Registers as in Adafruit_CircuitPython_seesaw `neopixel.py`: 0E 01 pin, 0E 03 length, 0E 04 offset and data, 0E 05 show.
 */
import type { Rgb } from '../../surface/types.ts';
import { eyeExponent, levelsOf } from '../lights/levels.ts';
import { changedRuns, type Run } from '../lights/runs.ts';
import { type Seesaw, seesawModule } from './seesaw.ts';

const { neopixel } = seesawModule;

/** Data bytes in one write; with module, register and offset 26, while the firmware takes 32 at most. */
const chunkLength = 22;

/**
 * The part sends 30 microseconds a pixel, and pixels take what they got after 300 microseconds of silence: 0.8 ms for 16.
 */
const latchMs = 1;

/** A run in pieces that one write takes. */
function chunks({ start, bytes }: Run): Run[] {
  return Array.from({ length: Math.ceil(bytes.length / chunkLength) }, (_, index) => ({
    start: start + index * chunkLength,
    bytes: bytes.subarray(index * chunkLength, (index + 1) * chunkLength),
  }));
}

/** Which pixels there are. */
export interface SeesawPixelsOptions {
  readonly pin: number;
  readonly count: number;
}

/** The pixels of one part; knows what they show. */
export class SeesawPixels {
  readonly #seesaw: Seesaw;
  readonly #pin: number;
  /** Green, red, blue of each pixel; null: not known. */
  #shown: Uint8Array | null = null;
  readonly #length: number;

  constructor(seesaw: Seesaw, { pin, count }: SeesawPixelsOptions) {
    this.#seesaw = seesaw;
    this.#pin = pin;
    this.#length = 3 * count;
  }

  /** Sets the pixels up, dark. */
  async start(): Promise<void> {
    await this.#seesaw.write('frame', neopixel, 0x01, [this.#pin]);
    await this.#seesaw.write('frame', neopixel, 0x03, [this.#length >> 8, this.#length & 0xff]);
    await this.#send(new Uint8Array(this.#length));
  }

  /** Shows colours, one a pixel, at a brightness of 0..1; sends nothing when they are shown already. */
  async show(colours: readonly Rgb[], brightness: number): Promise<void> {
    const scale = { max: 255, floor: 1, exponent: eyeExponent };
    const rgb = levelsOf(Uint8Array.from(colours.flat()), 3, brightness, scale);
    await this.#send(rgb.map((_, at) => rgb[at + (at % 3 === 0 ? 1 : at % 3 === 1 ? -1 : 0)] ?? 0));
  }

  /** Makes the pixels dark. Never rejects: the part may be gone. */
  async darken(): Promise<void> {
    try {
      await this.#send(new Uint8Array(this.#length));
    } catch {
      // Whoever closes a part wants it dark and cannot do more about it.
    }
  }

  async #send(grb: Uint8Array): Promise<void> {
    const pieces = changedRuns(this.#shown, grb).flatMap(chunks);
    if (pieces.length === 0) return;
    // Until all of it has arrived, nobody knows what the buffer holds.
    this.#shown = null;
    for (const { start, bytes } of pieces)
      await this.#seesaw.write('frame', neopixel, 0x04, [start >> 8, start & 0xff, ...bytes]);
    await this.#seesaw.command('frame', [neopixel, 0x05], latchMs);
    this.#shown = grb;
  }
}
