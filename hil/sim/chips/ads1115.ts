/** Model of the Texas Instruments ADS1115 at register level, after SBAS444E, "ADS111x". */
import { type ChipModel, type I2cMessage, ProtocolError } from './model.ts';

/** Conversion, Config, Lo_thresh, Hi_thresh: values after power-on. */
const afterReset = [0x0000, 0x8583, 0x8000, 0x7fff] as const;
const configRegister = 1;
const osBit = 0x8000;
const singleShotBit = 0x0100;

/** PGA field: full scale in volts. */
const fullScales = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256] as const;
/** DR field: samples a second. */
const rates = [8, 16, 32, 64, 128, 250, 475, 860] as const;
/** MUX field: positive and negative input; null is ground. */
const inputs = [
  [0, 1],
  [0, 3],
  [1, 3],
  [2, 3],
  [0, null],
  [1, null],
  [2, null],
  [3, null],
] as const;

/** Time from a start to the first sample, milliseconds (TI E2E 477911). */
const wakeMs = 0.11;

/** The part with four inputs. */
export class Ads1115Model implements ChipModel {
  readonly part = 'ads1115';
  /** Speed of its oscillator as part of the nominal one: the slowest that is allowed; 0 is a broken part. */
  speed = 0.9;
  readonly #volts = [0, 0, 0, 0];
  #registers: number[] = [...afterReset];
  #pointer = 0;
  /** The conversion under way: it keeps the settings that it was started with. */
  #running: { readonly config: number; readonly doneAt: number } | null = null;

  /** Puts a voltage on an input; held until it is set again. */
  setVolts(channel: number, volts: number): void {
    if (this.#volts[channel] === undefined) throw new RangeError(`no channel ${channel}`);
    this.#volts[channel] = volts;
  }

  reset(): void {
    this.#registers = [...afterReset];
    this.#pointer = 0;
    this.#running = null;
  }

  transfer(messages: readonly I2cMessage[], at: number): readonly Uint8Array[] {
    this.#advance(at);
    const reads: Uint8Array[] = [];
    for (const message of messages) {
      if (message.isRead) reads.push(this.#read(message.length));
      else this.#write(message.bytes, at);
    }
    return reads;
  }

  #read(length: number): Uint8Array {
    if (length > 2) throw new ProtocolError(`ads1115: registers have 2 bytes, ${length} read`);
    let word = this.#registers[this.#pointer] ?? 0;
    if (this.#pointer === configRegister) word = this.#running === null ? word | osBit : word & ~osBit;
    return Uint8Array.of(word >> 8, word & 0xff).subarray(0, length);
  }

  #write(bytes: Uint8Array, at: number): void {
    const [pointer, high, low] = bytes;
    if (pointer === undefined) return;
    if (pointer >= afterReset.length) {
      throw new ProtocolError(`ads1115: no register ${pointer}, bits 7 to 2 of the pointer are always 0`);
    }
    this.#pointer = pointer;
    if (high === undefined) return;
    if (low === undefined || bytes.length > 3) {
      throw new ProtocolError(`ads1115: registers have 2 bytes, ${bytes.length - 1} written`);
    }
    if (pointer === 0) throw new ProtocolError('ads1115: the conversion register is read-only');
    const word = (high << 8) | low;
    this.#registers[pointer] = word;
    if (pointer !== configRegister || this.#running !== null) return;
    const isContinuous = (word & singleShotBit) === 0;
    if (isContinuous || (word & osBit) !== 0) this.#start(word, at);
  }

  #start(config: number, at: number): void {
    const rate = rates[(config >> 5) & 7] ?? 8;
    this.#running = { config, doneAt: at + wakeMs + 1000 / (rate * this.speed) };
  }

  /** Ends what is over by now; in continuous mode the next one has begun. */
  #advance(at: number): void {
    if (this.#running === null || at < this.#running.doneAt) return;
    this.#registers[0] = this.#convert(this.#running.config);
    this.#running = null;
    const config = this.#registers[configRegister] ?? 0;
    if ((config & singleShotBit) === 0) this.#start(config, at);
  }

  #convert(config: number): number {
    const [positive, negative] = inputs[(config >> 12) & 7] ?? [0, 1];
    const volts = (this.#volts[positive] ?? 0) - (negative === null ? 0 : (this.#volts[negative] ?? 0));
    const code = Math.round((volts / (fullScales[(config >> 9) & 7] ?? 1)) * 32_768);
    return Math.min(Math.max(code, -32_768), 32_767) & 0xffff;
  }
}
