/** An I2C bus that cannot hold anybody up: every transfer has its time, and after the first that takes longer none is begun. */
import { SurfacedError } from '../../errors.ts';
import type { I2cBytes, I2cDevice, I2cTransport } from '../i2c/bus.ts';
import { errnoBusy, errnoOf } from '../i2c/errno.ts';
import { type Presence, probeAddress } from '../i2c/scan.ts';
import { endsWithin } from '../parts/part-time.ts';
import type { Machine } from './machine.ts';
import { messageOf } from './report.ts';

/** Addresses as `i2cdetect` goes through them; what is below and above is reserved (UM10204, section 3.1.12). */
const firstAddress = 0x08;
const lastAddress = 0x77;
/** So many failures in a row that are neither silence nor a claim, and the bus is not asked further. */
const maxErrorsInRow = 4;

/** What a scan saw. */
export interface Scan {
  /** Only where there is something: silent addresses are left out. */
  readonly presences: ReadonlyMap<number, Presence>;
  /** Why it ended early; null: it went through. */
  readonly problem: string | null;
}

/** A bus that is open. */
export class BoundedBus {
  readonly #bus: number;
  readonly #transport: I2cTransport;
  readonly #machine: Machine;
  #isStuck = false;
  #isOver = false;

  private constructor(bus: number, transport: I2cTransport, machine: Machine) {
    this.#bus = bus;
    this.#transport = transport;
    this.#machine = machine;
  }

  /** Opens a bus; rejects with E_HW_BUS_OPEN or E_HW_PACKAGE, also when it takes too long. */
  static async open(machine: Machine, bus: number): Promise<BoundedBus> {
    const { timers, limits, openI2c } = machine;
    const opening = openI2c(bus);
    if (!(await endsWithin(timers, limits.busMs, opening))) {
      // Whatever comes of it still has to be closed, and its failure is told here.
      opening.then((late) => late.close()).catch(() => {});
      throw new SurfacedError('E_HW_BUS_OPEN', `bus ${bus} does not open within ${limits.busMs / 1000} s`);
    }
    return new BoundedBus(bus, await opening, machine);
  }

  /** A transfer did not end: nothing more can be said of this bus. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** An address on this bus; transfers reject with E_HW_NO_ACK or E_HW_BUS. */
  device(address: number): I2cDevice {
    return {
      bus: this.#bus,
      address,
      write: async (_priority, bytes) => {
        await this.#transfer(address, bytes, 0);
      },
      read: (_priority, length) => this.#transfer(address, [], length),
      readRegister: (_priority, register, length) => this.#transfer(address, [register], length),
    };
  }

  /**
   * Asks every address whether something is there, as harmlessly as `i2cdetect`. Never rejects.
   * @param except addresses of parts that are known: their drivers ask with more care
   */
  async scan(except: ReadonlySet<number>): Promise<Scan> {
    const presences = new Map<number, Presence>();
    let errorsInRow = 0;
    for (let address = firstAddress; address <= lastAddress; address += 1) {
      if (except.has(address)) continue;
      try {
        const presence = await probeAddress(this.device(address));
        if (presence !== 'silent') presences.set(address, presence);
        errorsInRow = 0;
      } catch (error) {
        errorsInRow += 1;
        if (this.#isStuck || this.#isOver || errorsInRow >= maxErrorsInRow)
          return { presences, problem: messageOf(error) };
      }
    }
    return { presences, problem: null };
  }

  /** Lets nothing more begin: the time of the bus is over. */
  giveUp(): void {
    this.#isOver = true;
  }

  /** Closes; does not wait for a transfer that hangs. */
  async close(): Promise<void> {
    const closing = this.#transport.close();
    // Nothing hangs on it: the process ends soon.
    closing.catch(() => {});
    await endsWithin(this.#machine.timers, this.#machine.limits.transferMs, closing);
  }

  async #transfer(address: number, write: I2cBytes, readLength: number): Promise<Uint8Array> {
    if (this.#isStuck) throw new SurfacedError('E_HW_BUS', `bus ${this.#bus} is stuck`);
    if (this.#isOver) throw new SurfacedError('E_HW_BUS', `bus ${this.#bus} takes too long`);
    const { timers, limits } = this.#machine;
    const transfer = this.#transport.transfer(address, write, readLength);
    if (await endsWithin(timers, limits.transferMs, transfer)) return transfer;
    this.#isStuck = true;
    const where = `0x${address.toString(16).padStart(2, '0')}`;
    const message = `bus ${this.#bus} is stuck: a transfer with ${where} took over ${limits.transferMs} ms`;
    throw new SurfacedError('E_HW_BUS', message);
  }
}

/** True when a transfer failed because a kernel driver has the address. */
export function isClaim(error: unknown): boolean {
  return errnoOf(error) === errnoBusy;
}
