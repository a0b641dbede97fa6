/** Modules of the seesaw firmware, with the hands and eyes that they are for. Registers as in its `RegisterMap.h`. */
import { seen } from './eye.ts';
import { ProtocolError } from './model.ts';
import { assertLength, type SeesawModule } from './seesaw.ts';

const bytes32 = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
const uint32 = (data: Uint8Array): number => data.reduce((sum, byte) => (sum << 8) | byte, 0) >>> 0;

/** Pins with switches to ground. */
export class SimPins implements SeesawModule {
  readonly base = 0x01;
  readonly powerOff = null;
  readonly #pins: readonly number[];
  readonly #pressed = new Set<number>();
  #inputs = 0;
  #pulled = 0;
  #levels = 0;
  #interrupts = 0;
  #flags = 0;
  /** A pin that nothing pulls reads one way and the other. */
  #float = false;

  constructor(pins: readonly number[]) {
    this.#pins = pins;
  }

  press(pin: number): void {
    this.#pressed.add(pin);
    this.#flags |= (1 << pin) & this.#interrupts;
  }

  release(pin: number): void {
    if (this.#pressed.delete(pin)) this.#flags |= (1 << pin) & this.#interrupts;
  }

  get isInterrupting(): boolean {
    return this.#flags !== 0;
  }

  isReadable(register: number): boolean {
    return register === 0x04 || register === 0x0a;
  }

  write(register: number, data: Uint8Array): void {
    assertLength('a set of pins', data, 4);
    const mask = uint32(data);
    const own = this.#pins.reduce((sum, pin) => sum | (1 << pin), 0);
    if ((mask & ~own) !== 0) throw new ProtocolError(`pins ${mask.toString(16)} are not all switches`);
    switch (register) {
      case 0x03:
        // An ATtiny switches the pull-up off with it.
        this.#inputs |= mask;
        this.#pulled &= ~mask;
        return;
      case 0x05:
        this.#levels |= mask;
        return;
      case 0x08:
        this.#interrupts |= mask;
        return;
      case 0x0b:
        this.#pulled |= mask;
        return;
      default:
        throw new ProtocolError(`pins have no register ${register} to write`);
    }
  }

  read(register: number): readonly number[] {
    const flags = this.#flags;
    this.#flags = 0;
    if (register === 0x0a) return bytes32(flags);
    let levels = 0;
    for (const pin of this.#pins) if (this.#isHigh(1 << pin, pin)) levels |= 1 << pin;
    return bytes32(levels);
  }

  #isHigh(mask: number, pin: number): boolean {
    if (this.#pressed.has(pin)) return false;
    if ((this.#inputs & this.#pulled & mask) !== 0) return (this.#levels & mask) !== 0;
    this.#float = !this.#float;
    return this.#float;
  }

  reset(): void {
    this.#inputs = 0;
    this.#pulled = 0;
    this.#levels = 0;
    this.#interrupts = 0;
    this.#flags = 0;
  }
}

/** Encoders. */
export class SimEncoders implements SeesawModule {
  readonly base = 0x11;
  readonly powerOff = null;
  readonly #positions: number[];
  #interrupts = 0;
  #flags = 0;

  constructor(count: number) {
    this.#positions = new Array<number>(count).fill(0);
  }

  /** Turns one by detents, clockwise positive; the part counts clockwise down. */
  turn(encoder: number, detents: number): void {
    this.#positions[encoder] = ((this.#positions[encoder] ?? 0) - detents) | 0;
    this.#flags |= (1 << encoder) & this.#interrupts;
  }

  get isInterrupting(): boolean {
    return this.#flags !== 0;
  }

  isReadable(register: number): boolean {
    return (register & 0xf0) === 0x30;
  }

  write(register: number, data: Uint8Array): void {
    const encoder = this.#encoder(register);
    switch (register & 0xf0) {
      case 0x10:
        assertLength('an encoder interrupt', data, 1);
        this.#interrupts |= 1 << encoder;
        return;
      case 0x30:
        assertLength('a position', data, 4);
        this.#positions[encoder] = uint32(data) | 0;
        return;
      default:
        throw new ProtocolError(`encoders have no register ${register.toString(16)} to write`);
    }
  }

  read(register: number): readonly number[] {
    const encoder = this.#encoder(register);
    this.#flags &= ~(1 << encoder);
    return bytes32(this.#positions[encoder] ?? 0);
  }

  #encoder(register: number): number {
    const encoder = register & 0x0f;
    if (encoder >= this.#positions.length) throw new ProtocolError(`no encoder ${encoder}`);
    return encoder;
  }

  reset(): void {
    this.#positions.fill(0);
    this.#interrupts = 0;
    this.#flags = 0;
  }
}

/** 800 kHz, 24 bits a pixel. */
const pixelMs = 0.03;
/** Silence after which pixels take what they got. */
const silenceMs = 0.3;

/** What the pixels of a part are like. */
export interface SimPixelsOptions {
  readonly pin: number;
  readonly count: number;
  /** Bytes that the firmware keeps. */
  readonly bufferLength: number;
}

/** NeoPixels, green first. */
export class SimPixels implements SeesawModule {
  readonly base = 0x0e;
  readonly isInterrupting = false;
  readonly #options: SimPixelsOptions;
  readonly #buffer: Uint8Array;
  #isPinSet = false;
  #length = 0;
  #shown: Uint8Array;
  #quietFrom = Number.NEGATIVE_INFINITY;

  constructor(options: SimPixelsOptions) {
    this.#options = options;
    this.#buffer = new Uint8Array(options.bufferLength);
    this.#shown = new Uint8Array(3 * options.count);
  }

  /** Red, green and blue of each pixel as eyes see them. */
  get rgb(): Uint8Array {
    const grb = this.#shown;
    return grb.map((_, at) => seen((grb[at + (at % 3 === 0 ? 1 : at % 3 === 1 ? -1 : 0)] ?? 0) / 255));
  }

  /** Power was off: pixels forget too, which they do not when only the part starts anew. */
  powerOff(): void {
    this.#shown = new Uint8Array(this.#shown.length);
  }

  isReadable(): boolean {
    return false;
  }

  write(register: number, data: Uint8Array, at: number): void {
    switch (register) {
      case 0x01:
        assertLength('the pin', data, 1);
        if (data[0] !== this.#options.pin) throw new ProtocolError(`no pixels at pin ${data[0]}`);
        this.#isPinSet = true;
        return;
      case 0x03:
        assertLength('the length', data, 2);
        this.#setLength(((data[0] ?? 0) << 8) | (data[1] ?? 0));
        return;
      case 0x04:
        this.#fill(data);
        return;
      case 0x05:
        assertLength('show', data, 0);
        this.#show(at);
        return;
      default:
        throw new ProtocolError(`pixels have no register ${register}`);
    }
  }

  read(register: number): never {
    throw new ProtocolError(`pixels have no register ${register} to read`);
  }

  #setLength(length: number): void {
    // The firmware of the SAMD09 stops for good.
    if (length > this.#buffer.length) throw new ProtocolError(`${length} bytes of pixels are too many`);
    this.#length = length;
  }

  #fill(data: Uint8Array): void {
    if (data.length < 3) throw new ProtocolError('pixel data need an offset and a byte');
    const offset = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
    const end = offset + data.length - 2;
    if (end > this.#length) throw new ProtocolError(`pixel data up to ${end} of ${this.#length}`);
    this.#buffer.set(data.subarray(2), offset);
  }

  #show(at: number): void {
    if (!this.#isPinSet || this.#length === 0)
      throw new ProtocolError('pixels are shown before pin and length');
    if (at < this.#quietFrom)
      throw new ProtocolError('pixels are shown before they took what they were shown');
    this.#quietFrom = at + this.#length * (pixelMs / 3) + silenceMs;
    this.#shown.set(this.#buffer.subarray(0, Math.min(this.#length, this.#shown.length)));
  }

  reset(): void {
    this.#buffer.fill(0);
    this.#isPinSet = false;
    this.#length = 0;
  }
}

/** The queue of the firmware: 128 places, one of which stays empty. */
const queueDepth = 127;

/** Four rows of four keys. */
export class SimKeypad implements SeesawModule {
  readonly base = 0x10;
  readonly powerOff = null;
  /** Edges that are reported: bits by edge, by number of the key. */
  readonly #active = new Map<number, number>();
  #queue: number[] = [];
  #hasInterrupt = false;

  /** A key goes down (3, rising) or up (2, falling). */
  change(key: number, edge: 2 | 3): void {
    const number = Math.floor(key / 4) * 8 + (key % 4);
    const isActive = ((this.#active.get(number) ?? 0) & (1 << edge)) !== 0;
    if (isActive && this.#queue.length < queueDepth) this.#queue.push((number << 2) | edge);
  }

  get isInterrupting(): boolean {
    return this.#hasInterrupt && this.#queue.length > 0;
  }

  isReadable(register: number): boolean {
    return register === 0x04 || register === 0x10;
  }

  write(register: number, data: Uint8Array): void {
    if (register === 0x02) {
      assertLength('the keypad interrupt', data, 1);
      this.#hasInterrupt = true;
      return;
    }
    if (register !== 0x01) throw new ProtocolError(`the keypad has no register ${register} to write`);
    assertLength('an event of a key', data, 2);
    const [number = 0, edges = 0] = data;
    if (number >> 3 > 3 || (number & 7) > 3) throw new ProtocolError(`no key ${number}`);
    if ((edges & 1) === 0) throw new ProtocolError('events are not switched off');
    this.#active.set(number, (this.#active.get(number) ?? 0) | (edges >> 1));
  }

  read(register: number, length: number): readonly number[] {
    return register === 0x04 ? [this.#queue.length] : this.#queue.splice(0, length);
  }

  reset(): void {
    this.#active.clear();
    this.#queue = [];
    this.#hasInterrupt = false;
  }
}

/** The converter of an ATtiny, with a fader on one pin. */
export class SimFader implements SeesawModule {
  readonly base = 0x09;
  readonly powerOff = null;
  readonly isInterrupting = false;
  readonly #register: number;
  /** What it converts to, 0 to 1023. */
  counts = 0;

  constructor(pin: number) {
    this.#register = 0x07 + pin;
  }

  isReadable(register: number): boolean {
    return register === this.#register;
  }

  write(register: number): never {
    throw new ProtocolError(`nothing to convert at register ${register}`);
  }

  read(): readonly number[] {
    return [this.counts >> 8, this.counts & 0xff];
  }

  /** The fader stays where it is. */
  reset(): void {}
}
