/**
 * Model of the firmware of Adafruit seesaw parts: commands, answers and their times; its modules are in
 * `seesaw-modules.ts`, the parts in `seesaw-parts.ts`. After the sources of the firmware (adafruit/seesaw for the SAMD09,
 * adafruit/Adafruit_seesawPeripheral for the ATtinys); stricter where the firmware would go on with nonsense.
 */
import { type ChipModel, type I2cMessage, kindsOf, ProtocolError } from './model.ts';

/** One module of the firmware. A register that it does not have, or data of another length, is a {@link ProtocolError}. */
export interface SeesawModule {
  /** First byte of its commands. */
  readonly base: number;
  /** Whether the register can be read. */
  isReadable(register: number): boolean;
  /** A command with data, or one without that does something. */
  write(register: number, data: Uint8Array, at: number): void;
  /** The answer at the time of reading; at most `length` bytes. What is not there reads as FF. */
  read(register: number, length: number): ArrayLike<number>;
  /** Whether it pulls the interrupt line. */
  readonly isInterrupting: boolean;
  /** The part starts anew. */
  reset(): void;
  /** Its power was off as well; null: that makes no difference. */
  readonly powerOff: (() => void) | null;
}

/** What a part is made of. */
export interface SeesawBuild {
  readonly part: string;
  /** What it calls its chip. */
  readonly hardwareId: number;
  readonly product: number;
  /** Modules that its firmware was built with, as a SAMD09 says; null: an ATtiny does not say. */
  readonly options: number | null;
  /** How long an answer takes, milliseconds; sooner is garbage. */
  readonly answerMs: number;
  readonly modules: readonly SeesawModule[];
}

/** A part without its modules. */
export type SeesawFirmware = Omit<SeesawBuild, 'modules'>;

/** Registers of the status module. */
const status = { hardwareId: 0x01, version: 0x02, options: 0x03, reset: 0x7f } as const;
/** Nothing is acknowledged after a soft reset. */
const resetMs = 500;
/** What the firmware takes in one write: 32 bytes on an ATtiny, 31 behind the first two on a SAMD09. */
const longestWrite = 32;
/** Date of the firmware, the low half of the version; nobody looks at it. */
const dateCode = 0x2a15;

/** A seesaw part; what hands and eyes do with it is in its subclasses. */
export class SeesawModel implements ChipModel {
  readonly part: string;
  readonly #build: SeesawBuild;
  /** Register that the last write named, and when. */
  #asked: { readonly module: number; readonly register: number; readonly at: number } | null = null;
  #busyUntil = Number.NEGATIVE_INFINITY;
  #refusals = 0;

  constructor(build: SeesawBuild) {
    this.part = build.part;
    this.#build = build;
  }

  /** The next transfers are not acknowledged, as by a SAMD09 that has something else to do. */
  refuse(transfers: number): void {
    this.#refusals = transfers;
  }

  /** Whether the interrupt line is low. */
  get isInterrupting(): boolean {
    return this.#build.modules.some((module) => module.isInterrupting);
  }

  reset(): void {
    this.#busyUntil = Number.NEGATIVE_INFINITY;
    this.#refusals = 0;
    for (const module of this.#build.modules) module.powerOff?.();
    this.#restart();
  }

  #restart(): void {
    this.#asked = null;
    for (const module of this.#build.modules) module.reset();
  }

  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] | null {
    if (at < this.#busyUntil) return null;
    if (this.#refusals > 0) {
      this.#refusals -= 1;
      return null;
    }
    const [message] = messages;
    if (message === undefined || messages.length > 1)
      throw this.#error(`a write or a read expected, got ${kindsOf(messages)}`);
    if (message.isRead) return [this.#read(message.length, at)];
    this.#write(message.bytes, at);
    return [];
  }

  #write(bytes: Uint8Array, at: number): void {
    const [module, register] = bytes;
    // The address alone, as scanners send it.
    if (module === undefined) return;
    if (register === undefined) throw this.#error('a module without a register');
    if (bytes.length > longestWrite) throw this.#error(`${bytes.length} bytes in one write`);
    const data = bytes.subarray(2);
    const isQuestion = data.length === 0 && this.#isReadable(module, register);
    this.#asked = isQuestion ? { module, register, at } : null;
    if (isQuestion) return;
    if (module === 0x00) this.#writeStatus(register, data, at);
    else this.#module(module).write(register, data, at);
  }

  #isReadable(module: number, register: number): boolean {
    if (module !== 0x00) return this.#module(module).isReadable(register);
    if (register === status.options) return this.#build.options !== null;
    return register === status.hardwareId || register === status.version;
  }

  #writeStatus(register: number, data: Uint8Array, at: number): void {
    if (register !== status.reset || data.length !== 1 || data[0] !== 0xff)
      throw this.#error(`status register ${register} takes no such data; a reset is 00 7f ff`);
    this.#restart();
    this.#busyUntil = at + resetMs;
  }

  #read(length: number, at: number): Uint8Array {
    const asked = this.#asked;
    this.#asked = null;
    // A byte from nowhere is what scanners read (i2cdetect at 0x30 to 0x37); the part answers it like any other address.
    if (asked === null && length === 1) return Uint8Array.of(0xff);
    if (asked === null) throw this.#error('a read without a register that was named before it');
    if (at - asked.at < this.#build.answerMs)
      throw this.#error(`read after ${at - asked.at} ms, an answer takes ${this.#build.answerMs}`);
    const answer =
      asked.module === 0x00
        ? this.#readStatus(asked.register)
        : this.#module(asked.module).read(asked.register, length);
    return Uint8Array.from({ length }, (_, index) => answer[index] ?? 0xff);
  }

  #readStatus(register: number): readonly number[] {
    const { hardwareId, product, options } = this.#build;
    if (register === status.hardwareId) return [hardwareId];
    if (register === status.version) return [product >> 8, product & 0xff, dateCode >> 8, dateCode & 0xff];
    return [24, 16, 8, 0].map((shift) => ((options ?? 0) >>> shift) & 0xff);
  }

  #module(base: number): SeesawModule {
    const found = this.#build.modules.find((module) => module.base === base);
    if (found === undefined) throw this.#error(`no module ${base.toString(16)}`);
    return found;
  }

  #error(words: string): ProtocolError {
    return new ProtocolError(`${this.part}: ${words}`);
  }
}

/** Throws unless a command has data of this length. */
export function assertLength(what: string, data: Uint8Array, length: number): void {
  if (data.length !== length) throw new ProtocolError(`${what} takes ${length} bytes, not ${data.length}`);
}
