/** I2C buses of the kernel (`/dev/i2c-N`) through the optional package `i2c-bus`; never waits on the event loop's thread. */
import { SurfacedError } from '../../errors.ts';
import type { I2cBytes, I2cTransport, OpenI2c } from './bus.ts';
import { errnoBusy, errnoNoDevice, errnoOf, errnoRemote } from './errno.ts';
import { type I2cBusPackage, type I2cFuncs, loadI2cBus, type PromisifiedBus } from './package.ts';

/** I2C_SMBUS_BLOCK_MAX of include/uapi/linux/i2c.h, bytes. */
const maxBlockBytes = 32;
/** Outside are only addresses that UM10204, section 3.1.12, reserves. */
const firstAddress = 0x03;
const lastAddress = 0x77;

/** Opens the kernel's I2C bus; rejects with E_HW_PACKAGE, or with E_HW_BUS_OPEN and the reason. */
export const openI2cBus: OpenI2c = openI2cBusWith(loadI2cBus);

/** {@link openI2cBus} over the package that `load` gives. */
export function openI2cBusWith(load: () => Promise<I2cBusPackage>): OpenI2c {
  return async (bus) => {
    let i2cBus: I2cBusPackage;
    try {
      i2cBus = await load();
    } catch (cause) {
      throw new SurfacedError('E_HW_PACKAGE', 'I2C buses need the package i2c-bus', { cause });
    }
    let funcs: I2cFuncs;
    try {
      funcs = await readFuncs(i2cBus, bus);
    } catch (cause) {
      throw new SurfacedError('E_HW_BUS_OPEN', `bus ${bus}: ${messageOf(cause)}`, { cause });
    }
    if (!funcs.i2c || !funcs.smbusReadI2cBlock) {
      const message = `bus ${bus}: its adapter knows only a part of SMBus, no plain I2C transfers`;
      throw new SurfacedError('E_HW_BUS_OPEN', message);
    }
    return new KernelTransport(i2cBus, bus);
  };
}

async function readFuncs(i2cBus: I2cBusPackage, bus: number): Promise<I2cFuncs> {
  // Nothing is opened before the first call.
  const opened = await i2cBus.openPromisified(bus);
  try {
    return await opened.i2cFuncs();
  } finally {
    await opened.close();
  }
}

/**
 * One bus as several of the package's, one an address. The package keeps the descriptor of an address for ever, also one
 * whose address could not be set (EBUSY: a kernel driver has it), and would use that for address 0 the next time: every
 * failure here gives the descriptor back. So only parts that answer hold one.
 */
class KernelTransport implements I2cTransport {
  readonly #package: I2cBusPackage;
  readonly #bus: number;
  readonly #parts = new Map<number, PromisifiedBus>();
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(i2cBus: I2cBusPackage, bus: number) {
    this.#package = i2cBus;
    this.#bus = bus;
  }

  /** One after the other: two first transfers of one address at once would make the package lose a descriptor. */
  transfer(address: number, write: I2cBytes, readLength: number): Promise<Uint8Array> {
    if (this.#closing !== null) {
      return Promise.reject(new SurfacedError('E_HW_BUS', `bus ${this.#bus} is closed`));
    }
    const result = this.#last.then(() => this.#transfer(address, write, readLength));
    // Its failure is the caller's.
    this.#last = result.catch(() => {});
    return result;
  }

  /**
   * Resolves after the transfer under way, however long the kernel holds it: a descriptor closed under it could be
   * another file by the time the package uses its number.
   */
  close(): Promise<void> {
    this.#closing ??= this.#last.then(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Each once: the package would close its numbers again, whatever they are by then.
    const parts = [...this.#parts.values()];
    this.#parts.clear();
    const results = await Promise.allSettled(parts.map((part) => part.close()));
    const causes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (causes.length === 0) return;
    const message = `bus ${this.#bus}: ${messageOf(causes[0])}`;
    throw new SurfacedError('E_HW_BUS', message, { cause: new AggregateError(causes, message) });
  }

  async #transfer(address: number, write: I2cBytes, readLength: number): Promise<Uint8Array> {
    try {
      if (address < firstAddress || address > lastAddress) throw new Error('no part can have this address');
      let part = this.#parts.get(address);
      if (part === undefined) {
        part = await this.#package.openPromisified(this.#bus);
        this.#parts.set(address, part);
      }
      return await move(part, address, write, readLength);
    } catch (failure) {
      const [code, message] = describe(failure);
      const where = `0x${address.toString(16).padStart(2, '0')} on bus ${this.#bus}`;
      throw new SurfacedError(code, `${where} ${message}`, { cause: await this.#release(address, failure) });
    }
  }

  /** Gives back the descriptor of an address that failed; returns the failure, with that of the closing if there is one. */
  async #release(address: number, failure: unknown): Promise<unknown> {
    const part = this.#parts.get(address);
    this.#parts.delete(address);
    try {
      await part?.close();
      return failure;
    } catch (closing) {
      return new AggregateError([failure, closing], messageOf(failure), { cause: failure });
    }
  }
}

async function move(
  part: PromisifiedBus,
  address: number,
  write: I2cBytes,
  readLength: number,
): Promise<Uint8Array> {
  if (readLength === 0 && write.length === 0) {
    await part.writeQuick(address, 0);
    return new Uint8Array(0);
  }
  if (readLength === 0) {
    const { bytesWritten } = await part.i2cWrite(address, write.length, Buffer.from(write));
    checkWhole('written', bytesWritten, write.length);
    return new Uint8Array(0);
  }
  if (write.length === 0) {
    const buffer = Buffer.alloc(readLength);
    const { bytesRead } = await part.i2cRead(address, readLength, buffer);
    checkWhole('read', bytesRead, readLength);
    return buffer;
  }
  const [register] = Array.from(write);
  if (register === undefined || write.length > 1 || readLength > maxBlockBytes) {
    throw new Error(`one register and at most ${maxBlockBytes} bytes can be read in one transfer`);
  }
  // Always of the full length: the package copies as many bytes as the adapter says that it read.
  const block = Buffer.alloc(maxBlockBytes);
  const { bytesRead } = await part.readI2cBlock(address, register, readLength, block);
  checkWhole('read', bytesRead, readLength);
  return block.subarray(0, readLength);
}

function checkWhole(what: string, count: number, wanted: number): void {
  if (count !== wanted) throw new Error(`${count} of ${wanted} bytes were ${what}`);
}

/** What a failed transfer is called: E_HW_NO_ACK when nothing acknowledged, else E_HW_BUS. */
function describe(failure: unknown): readonly [code: 'E_HW_NO_ACK' | 'E_HW_BUS', message: string] {
  const errno = errnoOf(failure);
  // The package opens the device file in its first transfer; ENXIO then says that the bus is gone, not the part.
  const isOpening = failure instanceof Error && 'syscall' in failure && failure.syscall === 'open';
  if (!isOpening && (errno === errnoRemote || errno === errnoNoDevice)) {
    return ['E_HW_NO_ACK', 'does not answer'];
  }
  if (!isOpening && errno === errnoBusy) return ['E_HW_BUS', 'is in use by a kernel driver'];
  return ['E_HW_BUS', `failed: ${messageOf(failure)}`];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
