/**
 * The protocol of Adafruit seesaw parts: a small microcontroller behind I2C whose firmware has modules (pins, encoders,
 * NeoPixels, keypad, converter). No part by itself; the parts are the files that import it.
 *
 * A read is a write of [module, register], a pause, and a read without a repeated START. Facts from Adafruit's libraries
 * (Adafruit_CircuitPython_seesaw `seesaw.py`, `neopixel.py`; Adafruit_Seesaw) and from the firmware that the parts run
 * (adafruit/seesaw for the SAMD09, adafruit/Adafruit_seesawPeripheral for the ATtinys). Not run on a real part.
 *
 * Both kinds of chip stretch the clock. A BCM2835 to BCM2711 (Raspberry Pi up to 4) loses bits then; 50 kHz or the
 * `i2c-gpio` overlay helps, and readings that cannot be right are not believed.
 */
import { SurfacedError } from '../../errors.ts';
import type { I2cBytes, I2cDevice, Priority } from '../i2c/bus.ts';
import type { PartTime } from './driver.ts';

/** Modules of the firmware: the first byte of every command. */
export const seesawModule = {
  status: 0x00,
  gpio: 0x01,
  adc: 0x09,
  neopixel: 0x0e,
  keypad: 0x10,
  encoder: 0x11,
} as const;

/**
 * Pause before a read from a SAMD09, milliseconds: its firmware puts the command into a queue and acknowledges nothing
 * until it has answered. 8 ms is what the CircuitPython library waits; the Arduino library waits 0.25 ms for most
 * registers.
 */
export const queuedPauseMs = 8;

/**
 * Pause before a read from an ATtiny, milliseconds: its firmware has the answer when the write ends. The Arduino library
 * waits 0.25 ms, which a timer here cannot.
 */
export const promptPauseMs = 2;

/** After a soft reset nothing is acknowledged for up to 500 ms. */
const resetPauseMs = 500;

/** Timers may end a pause so much too early, milliseconds. */
const timerSlackMs = 1;

const samd09 = 0x55;
/** Chips by the byte that they call themselves (register 00 01). */
const chips: ReadonlyMap<number, string> = new Map([
  [0x46, 'ATtiny416'],
  [samd09, 'SAMD09'],
  [0x84, 'ATtiny806'],
  [0x85, 'ATtiny807'],
  [0x86, 'ATtiny816'],
  [0x87, 'ATtiny817'],
  [0x88, 'ATtiny1616'],
  [0x89, 'ATtiny1617'],
]);

/** Bits of the SAMD09's options (register 00 03): the modules that its firmware was built with, by their number. */
export const seesawOption = {
  neopixel: 1 << seesawModule.neopixel,
  keypad: 1 << seesawModule.keypad,
} as const;

/** How a part is told from other seesaw parts. */
export interface SeesawKind {
  /** As people call it. */
  readonly name: string;
  /** Number in Adafruit's shop, as the firmware has it; null: the firmware was never given one. */
  readonly product: number | null;
  /** Modules that only this part has, bits of {@link seesawOption}; 0: the options are not asked for. */
  readonly options: number;
  /** Between naming a register and reading it, milliseconds: {@link queuedPauseMs} or {@link promptPauseMs}. */
  readonly readPauseMs: number;
}

/** Who answers at an address. */
export interface SeesawIdentity {
  readonly isExpected: boolean;
  /** In a few words, for people. */
  readonly words: string;
}

/** What a {@link Seesaw} works with. */
export interface SeesawOptions {
  readonly device: I2cDevice;
  readonly time: PartTime;
  /** Between naming a register and reading it: {@link queuedPauseMs} or {@link promptPauseMs}. */
  readonly readPauseMs: number;
}

/**
 * One seesaw part on the bus. Commands run one after the other: whatever is written between naming a register and reading
 * it would change the answer. What is not acknowledged is tried once more after a pause, because a SAMD09 that is busy
 * acknowledges nothing; then it rejects with E_HW_NO_ACK.
 */
export class Seesaw {
  readonly time: PartTime;
  readonly #device: I2cDevice;
  readonly #readPauseMs: number;
  /** Null: not identified yet. */
  #version: number | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ device, time, readPauseMs }: SeesawOptions) {
    this.#device = device;
    this.time = time;
    this.#readPauseMs = readPauseMs;
  }

  /** Reads a register; rejects with E_HW_PART when the part is closed meanwhile. */
  read(priority: Priority, module: number, register: number, length: number): Promise<Uint8Array> {
    return this.#alone(async () => {
      await this.#acknowledged(() => this.#device.write(priority, [module, register]));
      await this.#pause(this.#readPauseMs);
      return this.#acknowledged(() => this.#device.read(priority, length));
    });
  }

  /** Writes a register. */
  write(priority: Priority, module: number, register: number, data: I2cBytes): Promise<void> {
    return this.#alone(() =>
      this.#acknowledged(() => this.#device.write(priority, [module, register, ...Array.from(data)])),
    );
  }

  /** Writes a register that the part takes time for; nothing else goes to the part meanwhile. */
  command(priority: Priority, bytes: I2cBytes, pauseMs: number): Promise<void> {
    return this.#alone(async () => {
      await this.#acknowledged(() => this.#device.write(priority, bytes));
      await this.#pause(pauseMs);
    });
  }

  /** As after power-on, except that NeoPixels keep their colour until the next show. */
  reset(): Promise<void> {
    return this.command('input', [seesawModule.status, 0x7f, 0xff], resetPauseMs);
  }

  /**
   * Who answers. What is written only selects what is read next; a part that is no seesaw takes it as a 01 into its
   * register 0, and nothing more is written to it.
   */
  async identify({ product, options }: Pick<SeesawKind, 'product' | 'options'>): Promise<SeesawIdentity> {
    const [id = 0] = await this.read('input', seesawModule.status, 0x01, 1);
    const chip = chips.get(id);
    if (chip === undefined) return { isExpected: false, words: 'something that is no seesaw part' };
    this.#version = await this.#readVersion();
    const found = this.#version >>> 16;
    const words = `seesaw product ${found} on ${chip}`;
    if (product !== null) return { isExpected: found === product, words };
    // An ATtiny has no answer to that, which reads as having everything.
    if (id !== samd09) return { isExpected: false, words };
    const has = uint32(await this.read('input', seesawModule.status, 0x03, 4));
    return { isExpected: (has & options) === options, words };
  }

  /** Whether it still says of itself what it said when it was identified. */
  async isSame(): Promise<boolean> {
    return (await this.#readVersion()) === this.#version;
  }

  /** Product in the upper half, date of the firmware in the lower; no date is FFFF, but a read that ended early is. */
  async #readVersion(): Promise<number> {
    const version = uint32(await this.read('input', seesawModule.status, 0x02, 4));
    if ((version & 0xffff) !== 0xffff) return version;
    throw new SurfacedError('E_HW_PART', 'the part does not end what it says of itself');
  }

  /** Makes pins inputs with pull-up that raise the interrupt line on a change, wired or not: one bit a pin. */
  async pullUp(pins: number): Promise<void> {
    const mask = bytes32(pins);
    // Input, pull resistor on, pulled to the level that the output would have, interrupt.
    for (const register of [0x03, 0x0b, 0x05, 0x08])
      await this.write('input', seesawModule.gpio, register, mask);
  }

  async #acknowledged<T>(transfer: () => Promise<T>): Promise<T> {
    try {
      return await transfer();
    } catch (error) {
      if (!(error instanceof SurfacedError) || error.code !== 'E_HW_NO_ACK') throw error;
      await this.time.pause(this.#readPauseMs);
      return transfer();
    }
  }

  /** Ends with an error when it was cut short: an answer that is read too early is none. */
  async #pause(ms: number): Promise<void> {
    const end = this.time.now() + ms;
    await this.time.pause(ms);
    if (this.time.now() < end - timerSlackMs)
      throw new SurfacedError('E_HW_PART', 'the part was closed while it was waited for');
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    // Whoever asked is told of the failure; what comes next runs all the same.
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** {@link I2cDriver.probe} of a seesaw part: no reset, and nothing that changes what the part does. */
export async function probeSeesaw(
  kind: SeesawKind,
  device: I2cDevice,
  time: PartTime,
): Promise<string | null> {
  // Whatever answers may be slower than the part that is looked for.
  const seesaw = new Seesaw({ device, time, readPauseMs: queuedPauseMs });
  const { isExpected, words } = await seesaw.identify(kind);
  return isExpected ? `${kind.name}, ${words}` : null;
}

/** A seesaw part, freshly reset; rejects with E_HW_PART when something else answers, which is left as it was. */
export async function openSeesaw(kind: SeesawKind, device: I2cDevice, time: PartTime): Promise<Seesaw> {
  const seesaw = new Seesaw({ device, time, readPauseMs: kind.readPauseMs });
  const { isExpected, words } = await seesaw.identify(kind);
  if (!isExpected) throw new SurfacedError('E_HW_PART', `${kind.name} expected, but ${words} answers`);
  await seesaw.reset();
  return seesaw;
}

/** So many readings that cannot be right, one after the other, are a part that is broken. */
const mostFaults = 3;

/** Counts readings that cannot be right, and remembers when there were too many. */
export class Faults {
  #inARow = 0;
  #problem: SurfacedError | null = null;

  /** @throws SurfacedError E_HW_PART when the part must be opened anew; from then on always */
  assertSound(): void {
    if (this.#problem !== null) throw this.#problem;
  }

  /** A reading was right. */
  clear(): void {
    this.#inARow = 0;
  }

  /** A reading was not; @throws SurfacedError E_HW_PART on the third in a row */
  count(problem: string): void {
    this.#inARow += 1;
    if (this.#inARow >= mostFaults) this.giveUp(problem);
  }

  /** The part must be opened anew; @throws SurfacedError E_HW_PART */
  giveUp(problem: string): never {
    this.#problem = new SurfacedError('E_HW_PART', problem);
    throw this.#problem;
  }
}

/** Four bytes, high byte first. */
export function bytes32(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

/** The number in four bytes, high byte first, 0 to 2^32-1. */
export function uint32(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => (sum << 8) | byte, 0) >>> 0;
}
