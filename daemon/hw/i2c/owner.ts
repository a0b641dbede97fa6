import { SurfacedError } from '../../errors.ts';
import { afterAwake } from './awake.ts';
import type { I2cBytes, I2cDevice, Priority } from './bus.ts';
import { type BusCounters, type DeviceCounters, DeviceLedger } from './counters.ts';
import { errnoBusy, errnoNotSupported, errnoOf } from './errno.ts';
import { BusKeeper, type BusKeeperOptions, type BusState } from './keeper.ts';
import { TransferQueue } from './queue.ts';

/** So long a transfer may take: 350 bytes at 100 kHz take 32 ms, the Pi's kernel gives up after 1 s (i2c-bcm2835.c). */
export const defaultTransferTimeoutMs = 200;
/** So many failures in a row, of all parts and other than silence, and the bus is opened anew. */
const maxErrorsInRow = 8;
/**
 * A transfer that ends well but takes so long, milliseconds, was held up by the part, which stretches the clock: the
 * longest takes 32 ms at 100 kHz. A busy machine holds one or two up, so it takes {@link slowInRow} in a row.
 */
export const slowTransferMs = 50;
const slowInRow = 4;
/** A part that fails is said aloud so often at most. */
const loudEveryMs = 60_000;
/** SMBus "I2C Block Read" (include/uapi/linux/i2c.h: I2C_SMBUS_BLOCK_MAX). */
const maxRegisterBytes = 32;

/** Whether the kernel did not even try: that a driver of its own has the address says nothing of the bus. */
function isRefused(error: SurfacedError): boolean {
  const errno = errnoOf(error);
  return errno === errnoBusy || errno === errnoNotSupported;
}

/** What an owner is made of. */
export interface I2cOwnerOptions extends Omit<BusKeeperOptions, 'closeTimeoutMs'> {
  /** A transfer that takes longer means that the bus is stuck, milliseconds; {@link defaultTransferTimeoutMs}. */
  readonly transferTimeoutMs: number;
}

interface Transfer {
  readonly address: number;
  readonly priority: Priority;
  readonly write: Uint8Array;
  readonly readLength: number;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: SurfacedError) => void;
}

/**
 * The one owner of an I2C bus: lets one transfer at a time onto it, inputs before frames, bounds each in time, counts,
 * and opens the bus anew when it is stuck. Reads are never merged into one: on many parts a read changes what the next
 * one gives (FIFO, count since the last read, interrupt flags), and each part has one reader, which waits for its answer.
 * Parts that need a pause between write and read share the time of their pauses: the bus is free meanwhile.
 */
export class I2cOwner {
  readonly #options: I2cOwnerOptions;
  readonly #keeper: BusKeeper;
  readonly #queue = new TransferQueue<Transfer>();
  readonly #ledger = new DeviceLedger();
  readonly #loudAgainAt = new Map<number, number>();
  /** Slow transfers in a row, and when it may be said again, by address. */
  readonly #slow = new Map<number, { inRow: number; loudAgainAt: number }>();
  #running: Transfer | null = null;
  #onIdle = () => {};
  #errorsInRow = 0;
  #refused = 0;
  #closing: Promise<void> | null = null;

  constructor(options: I2cOwnerOptions) {
    this.#options = options;
    this.#keeper = new BusKeeper({ ...options, closeTimeoutMs: options.transferTimeoutMs });
  }

  get state(): BusState {
    return this.#keeper.state;
  }

  /** Opens the bus; resolves when the first try has ended, well or not. Called once. */
  start(): Promise<void> {
    return this.#keeper.start();
  }

  /**
   * Gives up what waits, lets the transfer under way end within its time, closes the bus; may be called twice. Never
   * rejects. Parts are made dark before.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Counts by address. */
  counters(): ReadonlyMap<number, DeviceCounters> {
    return this.#ledger.all;
  }

  busCounters(): BusCounters {
    const { openings, losses } = this.#keeper;
    return { openings, losses, refused: this.#refused };
  }

  /**
   * One address on this bus, also while the bus is not open: then all calls reject with E_HW_BUS.
   * @param address 7-bit, 0x03 to 0x77
   */
  device(address: number): I2cDevice {
    if (!Number.isInteger(address) || address < 0x03 || address > 0x77) {
      throw new RangeError(`0x${address.toString(16)} is not a 7-bit I2C address from 0x03 to 0x77`);
    }
    return {
      bus: this.#options.bus,
      address,
      write: async (priority, bytes) => {
        await this.#transfer(address, priority, bytes, 0);
      },
      read: (priority, length) => this.#transfer(address, priority, [], length),
      readRegister: async (priority, register, length) => {
        if (length <= maxRegisterBytes) return this.#transfer(address, priority, [register], length);
        throw this.#error(`${length} bytes of a register: at most ${maxRegisterBytes} at once`, null);
      },
    };
  }

  #transfer(address: number, priority: Priority, write: I2cBytes, readLength: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== null) {
        reject(this.#error('is closed', null));
      } else if (this.#keeper.transport === null) {
        reject(this.#error('is not open', this.#keeper.problem));
      } else {
        // Copied: the caller may use its bytes again while they wait.
        const transfer = { address, priority, write: Uint8Array.from(write), readLength, resolve, reject };
        if (this.#queue.push(transfer)) {
          this.#pump();
        } else {
          this.#refused += 1;
          reject(this.#error(`has too many ${priority} transfers waiting`, null));
        }
      }
    });
  }

  #pump(): void {
    const { transport } = this.#keeper;
    if (transport === null || this.#running !== null) return;
    const transfer = this.#queue.take();
    if (transfer === null) return;
    this.#running = transfer;
    const { timers, transferTimeoutMs } = this.#options;
    const cancelTimeout = afterAwake(timers, transferTimeoutMs, () => this.#timeOut(transfer));
    const beganAt = timers.monotonic();
    // What ends after its time was over has had its answer already.
    const end = (answer: () => void) => {
      cancelTimeout();
      if (this.#running === transfer) answer();
    };
    transport.transfer(transfer.address, transfer.write, transfer.readLength).then(
      (bytes) => end(() => this.#done(transfer, bytes, timers.monotonic() - beganAt)),
      (error: unknown) => end(() => this.#failed(transfer, error)),
    );
  }

  #done(transfer: Transfer, bytes: Uint8Array, tookMs: number): void {
    this.#ledger.done(transfer.address, transfer.write.length + bytes.length);
    this.#watchPace(transfer.address, tookMs);
    this.#errorsInRow = 0;
    this.#keeper.prove();
    transfer.resolve(bytes);
    this.#next();
  }

  #failed(transfer: Transfer, cause: unknown): void {
    const error = cause instanceof SurfacedError ? cause : this.#error('failed', cause);
    // Silence of a part shows that the bus itself works.
    const isSilence = error.code === 'E_HW_NO_ACK';
    this.#count(transfer, isSilence ? 'noAcks' : 'errors', error);
    if (isSilence) this.#keeper.prove();
    if (isSilence) this.#errorsInRow = 0;
    else if (!isRefused(error)) this.#errorsInRow += 1;
    transfer.reject(error);
    if (this.#errorsInRow < maxErrorsInRow) this.#next();
    else this.#lose(error);
  }

  #timeOut(transfer: Transfer): void {
    const { transferTimeoutMs } = this.#options;
    const where = `0x${transfer.address.toString(16).padStart(2, '0')}`;
    const error = this.#error(`is stuck: a transfer with ${where} took over ${transferTimeoutMs} ms`, null);
    this.#count(transfer, 'timeouts', error);
    transfer.reject(error);
    this.#lose(error);
  }

  #lose(problem: SurfacedError): void {
    this.#running = null;
    this.#errorsInRow = 0;
    this.#giveUpWaiting(this.#error('was lost before the transfer began', problem));
    this.#onIdle();
    // Closing takes care of the bus itself.
    if (this.#closing === null) this.#keeper.lose(problem);
  }

  #next(): void {
    this.#running = null;
    this.#onIdle();
    // After all that follows from the answer: a part that reads on goes before a frame that waits.
    process.nextTick(() => this.#pump());
  }

  async #close(): Promise<void> {
    this.#giveUpWaiting(this.#error('is closed', null));
    if (this.#running !== null) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#keeper.close();
  }

  #giveUpWaiting(error: SurfacedError): void {
    for (const transfer of this.#queue.clear()) transfer.reject(error);
  }

  #count(transfer: Transfer, kind: 'noAcks' | 'errors' | 'timeouts', error: SurfacedError): void {
    const { bus, log, timers } = this.#options;
    const { address } = transfer;
    const now = timers.monotonic();
    this.#ledger.failed(address, kind, error, now);
    const fields = { bus, address, code: error.code, err: error.message };
    // A part that is missing is for the panel to tell: it looks for it again and again.
    if (kind === 'noAcks' || now < (this.#loudAgainAt.get(address) ?? 0)) {
      log.debug(fields, 'I2C transfer failed');
    } else {
      this.#loudAgainAt.set(address, now + loudEveryMs);
      log.warn(fields, 'I2C transfer failed');
    }
  }

  /** Everybody waits for a part that is slow, so it is named. */
  #watchPace(address: number, tookMs: number): void {
    const { bus, log, timers } = this.#options;
    const now = timers.monotonic();
    const seen = this.#slow.get(address) ?? { inRow: 0, loudAgainAt: now };
    this.#slow.set(address, seen);
    seen.inRow = tookMs < slowTransferMs ? 0 : seen.inRow + 1;
    if (seen.inRow < slowInRow || now < seen.loudAgainAt) return;
    seen.loudAgainAt = now + loudEveryMs;
    log.warn({ bus, address, tookMs: Math.round(tookMs) }, 'I2C part is slow: it stretches the clock');
  }

  #error(what: string, cause: unknown): SurfacedError {
    const message = `I2C bus ${this.#options.bus} ${what}`;
    return new SurfacedError('E_HW_BUS', message, cause === null ? undefined : { cause });
  }
}
