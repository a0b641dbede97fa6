/** A bus with chip models on it: counts time and bytes, keeps what went over it, and can be made to fail. */
import { SurfacedError } from '../../../daemon/errors.ts';
import type { I2cBytes, I2cTransport } from '../../../daemon/hw/i2c/bus.ts';
import { type ChipModel, type I2cMessage, ProtocolError } from './model.ts';

/**
 * `no-ack`: unplugged. `garbage`: reads return random bytes. `half`: reads end early with 0xFF. `stuck`: never ends.
 * `slow`: the part stretches the clock, each transfer takes 60 ms and ends well; `held`: so long that nobody waits for it,
 * 400 ms. Whoever serves the bus in real time waits for {@link SimBus.stretchMs}.
 */
export type BusFault = 'none' | 'no-ack' | 'garbage' | 'half' | 'stuck' | 'slow' | 'held';

/** How long the clock is stretched in a transfer, milliseconds. */
const stretches: Readonly<Partial<Record<BusFault, number>>> = { slow: 60, held: 400 };

/** Result of a transfer as the kernel gives it: bytes read, or a negative errno. */
export type BusResult = { readonly bytes: Uint8Array } | { readonly errno: number };

/** No device acknowledged (EREMOTEIO), as the Pi's adapter says it. */
export const noAckErrno = -121;
/** Time ran out (ETIMEDOUT). */
export const timeoutErrno = -110;

interface Slot {
  readonly chip: ChipModel;
  fault: BusFault;
}

/** One transfer that went over the bus. */
export interface BusRecord {
  readonly address: number;
  readonly messages: readonly I2cMessage[];
  /** What the caller got for it. */
  readonly result: BusResult;
}

/** What a bus of chip models is made of. */
export interface SimBusOptions {
  /** Milliseconds, for the waiting times of the chips. */
  readonly now: () => number;
  /** Bits a second, for {@link SimBus.busTimeMs}. */
  readonly clockHz: number;
  /** 0..1, for garbage. */
  readonly random: () => number;
}

/** A simulated I2C bus. */
export class SimBus {
  readonly #options: SimBusOptions;
  readonly #slots = new Map<number, Slot>();
  /** What the real parts would not have taken; a test fails when it is not empty at its end. */
  readonly protocolErrors: string[] = [];
  /** Transfers so far, the newest last; the caller may empty it. */
  records: BusRecord[] = [];
  /** How long the line was busy, milliseconds at the bus clock. */
  busTimeMs = 0;

  constructor(options: SimBusOptions) {
    this.#options = options;
  }

  /** Puts a chip on the bus, freshly powered. */
  plug(address: number, chip: ChipModel): void {
    chip.reset();
    this.#slots.set(address, { chip, fault: 'none' });
  }

  /** Takes it off. */
  unplug(address: number): void {
    this.#slots.delete(address);
  }

  /** Makes the transfers of one address fail from now on. */
  fault(address: number, fault: BusFault): void {
    const slot = this.#slots.get(address);
    if (slot === undefined) throw new Error(`nothing is plugged in at 0x${address.toString(16)}`);
    slot.fault = fault;
  }

  /** How long a transfer with this address holds the bus beyond its own bits, milliseconds. */
  stretchMs(address: number): number {
    return stretches[this.#slots.get(address)?.fault ?? 'none'] ?? 0;
  }

  /** One transfer, as an adapter hands it on. `stuck` is {@link timeoutErrno} here. */
  transfer(address: number, messages: readonly I2cMessage[]): BusResult {
    // START, address and its bit of direction, nine bits a byte, STOP.
    const bits = messages.reduce(
      (sum, message) => sum + 1 + 9 * (1 + (message.isRead ? message.length : message.bytes.length)),
      1,
    );
    this.busTimeMs += (bits * 1000) / this.#options.clockHz;
    const slot = this.#slots.get(address);
    if (slot === undefined || slot.fault === 'no-ack') return { errno: noAckErrno };
    if (slot.fault === 'stuck') return { errno: timeoutErrno };
    const result = this.#ask(slot, messages);
    this.records.push({ address, messages, result });
    return result;
  }

  #ask(slot: Slot, messages: readonly I2cMessage[]): BusResult {
    let reads: readonly Uint8Array[] | null;
    try {
      reads = slot.chip.transfer(messages, this.#options.now());
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.protocolErrors.push(error.message);
      return { errno: noAckErrno };
    }
    if (reads === null) return { errno: noAckErrno };
    return { bytes: this.#spoil(slot.fault, Buffer.concat(reads)) };
  }

  #spoil(fault: BusFault, bytes: Uint8Array): Uint8Array {
    if (fault === 'garbage') return bytes.map(() => Math.floor(this.#options.random() * 256));
    if (fault === 'half') return bytes.map((byte, index) => (index < bytes.length / 2 ? byte : 0xff));
    return bytes;
  }

  /** The bus as drivers use it. A stuck transfer never ends. */
  transport(): I2cTransport {
    let isClosed = false;
    return {
      transfer: async (address: number, write: I2cBytes, readLength: number) => {
        if (isClosed) throw new SurfacedError('E_HW_BUS', 'the bus is closed');
        const messages: I2cMessage[] = [];
        if (write.length > 0 || readLength === 0)
          messages.push({ isRead: false, bytes: Uint8Array.from(write) });
        if (readLength > 0) messages.push({ isRead: true, length: readLength });
        if (this.#slots.get(address)?.fault === 'stuck') return new Promise<never>(() => {});
        const result = this.transfer(address, messages);
        if ('bytes' in result) return result.bytes;
        throw new SurfacedError('E_HW_NO_ACK', `0x${address.toString(16)} does not answer`);
      },
      close: async () => {
        isClosed = true;
      },
    };
  }
}
