/**
 * Model of the Holtek HT16K33 (datasheet rev. 1.10) with one of the Adafruit matrices: commands, display RAM with its
 * pointer, oscillator, dimming, blinking off. The key scan is there as registers that read as no keys.
 */
import { seen } from './eye.ts';
import { type ChipModel, type I2cMessage, ProtocolError, type ShownLights } from './model.ts';
import { registerTransfer } from './register-transfer.ts';

const ramBytes = 16;
/** As if by chance: a driver that shows the RAM before it has written it is caught. */
const chanceByte = 0xa5;

/** Which matrix is on the part. */
export type Ht16k33Display = '8x8' | '16x8' | 'bicolour-8x8';

/** An HT16K33 and its matrix. */
export class Ht16k33Model implements ChipModel {
  readonly part = 'ht16k33';
  readonly #display: Ht16k33Display;
  readonly #powerUpByte: number;
  readonly #ram = new Uint8Array(ramBytes);
  #pointer = 0;
  #isOscillatorOn = false;
  #isDisplayOn = false;
  #dimming = 15;

  /** @param powerUpByte what each byte of the RAM holds after power-up; the datasheet does not say */
  constructor(display: Ht16k33Display, powerUpByte = chanceByte) {
    this.#display = display;
    this.#powerUpByte = powerUpByte;
    this.reset();
  }

  reset(): void {
    this.#ram.fill(this.#powerUpByte);
    this.#pointer = 0;
    this.#isOscillatorOn = false;
    this.#isDisplayOn = false;
    this.#dimming = 15;
  }

  transfer(messages: readonly I2cMessage[]): readonly Uint8Array[] {
    const { written, readLength } = registerTransfer(this.part, messages);
    if (written !== null && readLength !== null) this.#point(written[0] ?? 0);
    else if (written !== null) this.#write(written);
    return readLength === null ? [] : [this.#read(readLength)];
  }

  #write([first, ...data]: Uint8Array): void {
    if (first === undefined) return;
    if (first < ramBytes) {
      this.#pointer = first;
      for (const byte of data) {
        this.#ram[this.#pointer] = byte;
        this.#pointer = (this.#pointer + 1) % ramBytes;
      }
      return;
    }
    if (data.length > 0) throw new ProtocolError(`ht16k33: command 0x${first.toString(16)} takes no data`);
    this.#command(first);
  }

  #command(command: number): void {
    switch (command & 0xf0) {
      case 0x20:
        this.#isOscillatorOn = (command & 1) !== 0;
        return;
      case 0x80:
        if ((command & 0x06) !== 0) throw new ProtocolError('ht16k33: blinking is not used');
        this.#isDisplayOn = (command & 1) !== 0;
        return;
      case 0xe0:
        this.#dimming = command & 0x0f;
        return;
      default:
        throw new ProtocolError(`ht16k33: 0x${command.toString(16)} is no command of use`);
    }
  }

  #point(address: number): void {
    // Key data is read from its beginning; 60h is the interrupt flag.
    if (address >= ramBytes && address !== 0x40 && address !== 0x60)
      throw new ProtocolError(`ht16k33: 0x${address.toString(16)} cannot be read`);
    this.#pointer = address;
  }

  #read(length: number): Uint8Array {
    if (this.#pointer >= ramBytes) return new Uint8Array(length);
    const bytes = Uint8Array.from({ length }, (_, at) => this.#ram[(this.#pointer + at) % ramBytes] ?? 0);
    this.#pointer = (this.#pointer + length) % ramBytes;
    return bytes;
  }

  /** What the matrix shows; the lights of one colour are white. */
  lights(): ShownLights {
    const width = this.#display === '16x8' ? 16 : 8;
    const height = 8;
    const rgb = new Uint8Array(3 * width * height);
    const isShown = this.#isOscillatorOn && this.#isDisplayOn;
    const level = isShown ? seen((this.#dimming + 1) / 16) : 0;
    const isOn = (byte: number, bit: number) => (((this.#ram[byte] ?? 0) >> bit) & 1) === 1;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const [red, green, blue] = this.#lit(x, y, isOn);
        rgb.set([red ? level : 0, green ? level : 0, blue ? level : 0], 3 * (y * width + x));
      }
    return { width, height, rgb };
  }

  /** Which colours of a light are on, as the boards are wired. */
  #lit(x: number, y: number, isOn: (byte: number, bit: number) => boolean): [boolean, boolean, boolean] {
    if (this.#display === 'bicolour-8x8') return [isOn(2 * x + 1, y), isOn(2 * x, y), false];
    const lit = this.#display === '8x8' ? isOn(2 * y, (x + 7) & 7) : isOn(2 * (x & 7) + (x >> 3), y);
    return [lit, lit, lit];
  }
}
