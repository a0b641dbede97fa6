/**
 * Model of the Lumissil IS31FL3731 with the 16x9 matrix: command register, eight frames, the function registers, shutdown.
 * Only the picture mode is modelled.
 */
import { seen } from './eye.ts';
import { type ChipModel, type I2cMessage, ProtocolError, type ShownLights } from './model.ts';
import { registerTransfer } from './register-transfer.ts';

const width = 16;
const height = 9;
const frames = 8;
const frameRegisters = 0xb4;
const blinkRegister = 0x12;
const pwmRegister = 0x24;
const commandRegister = 0xfd;
const functionPage = 0x0b;
const functionRegisters = 13;
const frameStateRegister = 0x07;

/** An IS31FL3731 and its matrix. */
export class Is31fl3731Model implements ChipModel {
  readonly part = 'is31fl3731';
  #frames: Uint8Array[] = [];
  #functions = new Uint8Array(functionRegisters);
  #page = 0;
  #register = 0;

  constructor() {
    this.reset();
  }

  reset(): void {
    this.#frames = Array.from({ length: frames }, () => new Uint8Array(frameRegisters));
    this.#functions = new Uint8Array(functionRegisters);
    this.#page = 0;
    this.#register = 0;
  }

  transfer(messages: readonly I2cMessage[]): readonly Uint8Array[] {
    const { written, readLength } = registerTransfer(this.part, messages);
    if (written !== null && readLength !== null) this.#register = written[0] ?? 0;
    else if (written !== null) this.#write(written);
    if (readLength === null) return [];
    return [written === null ? this.#peek(readLength) : this.#read(readLength)];
  }

  /** The registers of the selected page. */
  #registers(): Uint8Array {
    return this.#page === functionPage ? this.#functions : (this.#frames[this.#page] ?? new Uint8Array(0));
  }

  #write([register, ...data]: Uint8Array): void {
    if (register === undefined) return;
    if (register === commandRegister) {
      this.#select(data);
      return;
    }
    const registers = this.#registers();
    if (register + data.length > registers.length || register >= registers.length)
      throw new ProtocolError(
        `is31fl3731: ${data.length} bytes from register 0x${register.toString(16)} leave page ${this.#page}`,
      );
    if (this.#page === functionPage) this.#checkFunctions(register, data);
    registers.set(data, register);
    this.#register = register;
  }

  #select(data: readonly number[]): void {
    const [page] = data;
    if (page === undefined || data.length > 1)
      throw new ProtocolError('is31fl3731: the command register takes one byte');
    if (page >= frames && page !== functionPage)
      throw new ProtocolError(`is31fl3731: there is no page ${page}`);
    this.#page = page;
  }

  #checkFunctions(register: number, data: readonly number[]): void {
    data.forEach((value, index) => {
      const at = register + index;
      if (at === frameStateRegister && value !== 0)
        throw new ProtocolError('is31fl3731: the frame state is read only');
      const isBeyond = at === 0x01 ? value >= frames : at === 0x0a ? value > 1 : value !== 0;
      if (isBeyond)
        throw new ProtocolError(
          `is31fl3731: ${value} in function register 0x${at.toString(16)} is not modelled`,
        );
    });
  }

  /** A read that names no register goes on where the last transfer was, on whatever page is selected now. */
  #peek(length: number): Uint8Array {
    const registers = this.#registers();
    return Uint8Array.from({ length }, (_, at) => registers[this.#register + at] ?? 0);
  }

  #read(length: number): Uint8Array {
    const registers = this.#registers();
    if (this.#register + length > registers.length)
      throw new ProtocolError(
        `is31fl3731: ${length} bytes from register 0x${this.#register.toString(16)} leave page ${this.#page}`,
      );
    return registers.slice(this.#register, this.#register + length);
  }

  /** What the matrix shows, in white. */
  lights(): ShownLights {
    const rgb = new Uint8Array(3 * width * height);
    const frame = this.#frames[this.#functions[0x01] ?? 0];
    const isRunning = this.#functions[0x0a] === 1;
    if (isRunning && frame !== undefined)
      for (let light = 0; light < width * height; light++) {
        const bit = 1 << (light & 7);
        const isEnabled = ((frame[light >> 3] ?? 0) & bit) !== 0;
        const isBlinking = ((frame[blinkRegister + (light >> 3)] ?? 0) & bit) !== 0;
        const level = isEnabled && !isBlinking ? seen((frame[pwmRegister + light] ?? 0) / 255) : 0;
        rgb.fill(level, 3 * light, 3 * light + 3);
      }
    return { width, height, rgb };
  }
}
