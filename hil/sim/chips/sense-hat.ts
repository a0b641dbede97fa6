/**
 * Model of the microcontroller of the Raspberry Pi Sense HAT, as its firmware behaves (raspberrypi/rpi-sense,
 * `rpi-sense.S`, version 0): light registers that count up, identity, keys and their interrupt line.
 */
import { seen } from './eye.ts';
import { type ChipModel, type I2cMessage, ProtocolError, type ShownLights } from './model.ts';
import { registerTransfer } from './register-transfer.ts';

const lightRegisters = 192;
const idRegister = 0xf0;
const versionRegister = 0xf1;
const keysRegister = 0xf2;
/** What a read returns where there is nothing, and the state before a register was named. */
const none = 0xff;
const brightest = 31;

/** The keys, by their bit. */
const keyNames = ['down', 'right', 'up', 'enter', 'left'] as const;
/** A direction of the joystick, or its push. */
export type SenseHatKey = (typeof keyNames)[number];

/** The lights and the joystick of a Sense HAT. */
export class SenseHatModel implements ChipModel {
  readonly part = 'sense-hat';
  readonly #lights = new Uint8Array(lightRegisters);
  #keys = 0;
  #register = none;
  #isInterruptHigh = false;
  /** Is told when the level of the interrupt output changed: the wire to a GPIO line. */
  onInterrupt: ((isHigh: boolean) => void) | null = null;

  constructor() {
    this.reset();
  }

  /** Power-up: the firmware shows a picture of its own; the keys are where the hand holds them. */
  reset(): void {
    this.#lights.forEach((_, at) => {
      this.#lights[at] = 1 + (at % brightest);
    });
    this.#register = none;
    this.#setInterrupt(false);
  }

  transfer(messages: readonly I2cMessage[]): readonly Uint8Array[] {
    const { written, readLength } = registerTransfer(this.part, messages);
    if (written !== null) this.#write(written);
    return readLength === null ? [] : [this.#read(readLength)];
  }

  #write([register, ...data]: Uint8Array): void {
    this.#register = register ?? none;
    if (register === undefined || data.length === 0) return;
    // The firmware writes one byte beyond its lights, and takes a write to F3 as leave to change the EEPROM.
    if (register + data.length > lightRegisters)
      throw new ProtocolError(
        `sense-hat: ${data.length} bytes from register 0x${register.toString(16)} are no lights`,
      );
    const bright = data.find((value) => value > brightest);
    if (bright !== undefined) throw new ProtocolError(`sense-hat: ${bright} is more than ${brightest}`);
    this.#lights.set(data, register);
    this.#register = register + data.length;
  }

  #read(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#readByte());
  }

  #readByte(): number {
    if (this.#register < lightRegisters) return this.#lights[this.#register++] ?? none;
    switch (this.#register) {
      case idRegister:
        return 's'.charCodeAt(0);
      case versionRegister:
        return 0;
      case keysRegister:
        this.#setInterrupt(false);
        return this.#keys;
      default:
        return none;
    }
  }

  #setInterrupt(isHigh: boolean): void {
    if (isHigh === this.#isInterruptHigh) return;
    this.#isInterruptHigh = isHigh;
    this.onInterrupt?.(isHigh);
  }

  /** The level of the interrupt output: high from a change of the keys until they are read. */
  get interruptIsHigh(): boolean {
    return this.#isInterruptHigh;
  }

  /** Presses or releases a key. */
  key(name: SenseHatKey, isDown: boolean): void {
    const bit = 1 << keyNames.indexOf(name);
    const keys = isDown ? this.#keys | bit : this.#keys & ~bit;
    if (keys === this.#keys) return;
    this.#keys = keys;
    this.#setInterrupt(true);
  }

  /** What the lights show. */
  lights(): ShownLights {
    const width = 8;
    const height = 8;
    const rgb = new Uint8Array(3 * width * height);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let channel = 0; channel < 3; channel++)
          rgb[3 * (y * width + x) + channel] = seen(
            (this.#lights[24 * y + 8 * channel + x] ?? 0) / brightest,
          );
    return { width, height, rgb };
  }
}
