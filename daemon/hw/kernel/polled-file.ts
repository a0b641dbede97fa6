import { close, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { type KernelPackage, systemCode } from './ioctl.ts';

/** A device file that is open for reading. */
export interface PolledFileOptions {
  /**
   * Belongs to the file once that is made. It may block, as the kernel opens that of GPIO lines (gpiolib-cdev.c): it is read
   * only when the poll has said that there is something, by its one reader.
   */
  readonly descriptor: number;
  readonly koffi: KernelPackage;
  /** The most that is read at once; a device that has more is read again at once. */
  readonly bufferBytes: number;
  /** Takes what the device gave, whole records as the kernel hands them out; the array is only lent for the call. */
  readonly onData: (bytes: Uint8Array) => void;
  /** The device went away; called at most once and not after `close`. The descriptor is still to be closed. */
  readonly onLost: (cause: unknown) => void;
}

/**
 * Reads a device file whenever the event loop's own poll says that it has something: no thread, so that an open device
 * never keeps `process.exit` waiting, as a thread in a blocking read does.
 */
export class PolledFile {
  readonly #options: PolledFileOptions;
  readonly #handle: ReturnType<KernelPackage['node']['poll']>;
  readonly #buffer: Uint8Array;
  #isWatching = true;
  #closing: Promise<void> | null = null;

  constructor(options: PolledFileOptions) {
    this.#options = options;
    this.#buffer = Buffer.alloc(options.bufferBytes);
    const watched = { readable: true, writable: false, disconnect: true };
    this.#handle = options.koffi.node.poll(options.descriptor, watched, this.#onReady);
  }

  /** Whether it is still read. */
  get isOpen(): boolean {
    return this.#isWatching;
  }

  /** Takes the device for lost for a reason found elsewhere. */
  fail(cause: unknown): void {
    if (this.#isWatching) this.#lose(cause);
  }

  /** Gives the descriptor back; may be called twice. */
  close(): Promise<void> {
    this.#release();
    this.#closing ??= promisify(close)(this.#options.descriptor);
    return this.#closing;
  }

  /** The first argument is libuv's status; koffi's type declarations leave it out. */
  readonly #onReady = (...[status]: unknown[]): void => {
    if (!this.#isWatching) return;
    // After POLLERR libuv has stopped the watcher: silence from now on, and nothing that a read would not wait for.
    if (typeof status === 'number' && status < 0) {
      this.#lose(null);
      return;
    }
    let length: number;
    try {
      length = readSync(this.#options.descriptor, this.#buffer, 0, this.#buffer.length, null);
    } catch (cause) {
      const code = systemCode(cause);
      if (code !== 'EAGAIN' && code !== 'EINTR') this.#lose(cause);
      return;
    }
    if (length === 0) this.#lose(null);
    else this.#options.onData(this.#buffer.subarray(0, length));
  };

  #lose(cause: unknown): void {
    this.#release();
    this.#options.onLost(cause);
  }

  #release(): void {
    if (this.#isWatching) this.#handle.close();
    this.#isWatching = false;
  }
}
