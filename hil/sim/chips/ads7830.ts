/** Model of the Texas Instruments ADS7830, after SBAS302, "ADS7830". */
import { type ChipModel, type I2cMessage, ProtocolError } from './model.ts';

/** Inputs by SD and C2 to C0: positive and negative; null is COM, at ground here. */
const inputs = [
  [0, 1],
  [2, 3],
  [4, 5],
  [6, 7],
  [1, 0],
  [3, 2],
  [5, 4],
  [7, 6],
  [0, null],
  [2, null],
  [4, null],
  [6, null],
  [1, null],
  [3, null],
  [5, null],
  [7, null],
] as const;

const internalVolts = 2.5;
/** Until the internal reference holds after it was switched on, milliseconds (ADS7828, SBAS181C, typical characteristics). */
const turnOnMs = 1.2;

/** The part with eight inputs. */
export class Ads7830Model implements ChipModel {
  readonly part = 'ads7830';
  /** Volts at its REF pin; null: nothing is wired there. */
  referenceVolts: number | null = 3.3;
  readonly #volts = new Array<number>(8).fill(0);
  readonly #random: () => number;
  #converted: number | null = null;
  /** When the internal reference was switched on; null: it is off. */
  #onSince: number | null = null;

  /** @param random 0..1, for what it converts while it has no reference */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Puts a voltage on an input; held until it is set again. */
  setVolts(channel: number, volts: number): void {
    if (this.#volts[channel] === undefined) throw new RangeError(`no channel ${channel}`);
    this.#volts[channel] = volts;
  }

  reset(): void {
    this.#converted = null;
    this.#onSince = null;
  }

  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] {
    const reads: Uint8Array[] = [];
    for (const message of messages) {
      if (message.isRead) reads.push(message.length === 0 ? new Uint8Array() : this.#read(message.length));
      else if (message.bytes.length > 0) this.#command(message.bytes, at);
    }
    return reads;
  }

  #command(bytes: Uint8Array, at: number): void {
    const [command = 0] = bytes;
    if (bytes.length > 1)
      throw new ProtocolError(`ads7830: one command byte at a time, ${bytes.length} written`);
    const isOn = (command & 0x08) !== 0;
    if (!isOn) this.#onSince = null;
    this.#converted = this.#convert(inputs[command >> 4] ?? [0, null], isOn, at);
    // It comes on after the transfer that asks for it: that conversion is still without.
    if (isOn) this.#onSince ??= at;
  }

  #convert([positive, negative]: readonly [number, number | null], isOn: boolean, at: number): number {
    const volts = (this.#volts[positive] ?? 0) - (negative === null ? 0 : (this.#volts[negative] ?? 0));
    const isSteady = this.#onSince !== null && at - this.#onSince >= turnOnMs;
    const reference = isOn ? (isSteady ? internalVolts : null) : this.referenceVolts;
    if (reference === null) return Math.floor(this.#random() * 256);
    return Math.min(Math.max(Math.round((volts / reference) * 255), 0), 255);
  }

  /** One byte a conversion; a bus that nobody pulls down reads as ones. */
  #read(length: number): Uint8Array {
    if (this.#converted === null) throw new ProtocolError('ads7830: read without a command before');
    const bytes = new Uint8Array(length).fill(0xff);
    bytes[0] = this.#converted;
    this.#converted = null;
    return bytes;
  }
}
