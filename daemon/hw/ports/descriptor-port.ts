import { close, constants, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { SurfacedError } from '../../errors.ts';
import { flushOrTimeout, type Port, type PortHandlers } from './port.ts';

/** The parts of the optional package `koffi` that are used: libuv's readiness watcher, and calls of the C library. */
export type KoffiPackage = Pick<typeof import('koffi'), 'node' | 'load'>;
type PollHandle = ReturnType<KoffiPackage['node']['poll']>;

/** Loads the optional package; rejects with E_HW_PACKAGE when it is not installed. */
export async function loadPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new SurfacedError('E_HW_PACKAGE', `this port needs the package ${name}`, { cause });
  }
}

/** An open device for {@link DescriptorPort}. */
export interface DescriptorPortOptions {
  /** For messages. */
  readonly path: string;
  /** Opened with O_NONBLOCK for reading and writing. */
  readonly descriptor: number;
  readonly bytesPerSecond: number | null;
  readonly koffi: KoffiPackage;
  /** Closes the descriptor; called once. Asynchronous, as kernels wait here for the device to take the rest. */
  readonly closeDescriptor: () => Promise<void>;
}

/** A device file to open. */
export interface DescriptorFile {
  readonly path: string;
  /** Loads the optional package. */
  readonly loadKoffi: () => Promise<KoffiPackage>;
  /** Opens it with O_NONBLOCK; on this thread, which opens of device files do not hold up. */
  readonly open: (koffi: KoffiPackage) => number;
  /** Sets the opened device up; null: it needs nothing. */
  readonly prepare: ((path: string) => Promise<void>) | null;
}

/** Opens a device file as a port. */
export async function openDescriptor(file: DescriptorFile, handlers: PortHandlers): Promise<Port> {
  const { path } = file;
  const koffi = await loadPackage('koffi', file.loadKoffi);
  let descriptor: number | null = null;
  const closeDescriptor = async () => {
    if (descriptor !== null) await promisify(close)(descriptor);
  };
  try {
    descriptor = file.open(koffi);
    await file.prepare?.(path);
    // Behind a DIN socket a line carries 3125 bytes a second, behind USB far more; the kernel does not say which.
    return new DescriptorPort({ path, descriptor, bytesPerSecond: null, koffi, closeDescriptor }, handlers);
  } catch (cause) {
    await closeDescriptor();
    throw openError(path, cause);
  }
}

/** Opens a device file for reading and writing without ever waiting. */
export function openNonBlocking(path: string): number {
  // O_NOCTTY: a terminal must not become the daemon's controlling terminal.
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
}

/** E_HW_PORT_OPEN with the system's reason. */
export function openError(path: string, cause: unknown): SurfacedError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SurfacedError('E_HW_PORT_OPEN', `${path}: ${reason}`, { cause });
}

/** A port over a non-blocking descriptor, watched by the event loop's own poll: no thread, no timer, no delay. */
export class DescriptorPort implements Port {
  readonly bytesPerSecond: number | null;
  readonly #options: DescriptorPortOptions;
  readonly #handlers: PortHandlers;
  readonly #handle: PollHandle;
  readonly #buffer = Buffer.alloc(1024);
  #queue: Uint8Array[] = [];
  #onFlushed: (() => void) | null = null;
  #isWatchingWritable = false;
  #isGone = false;
  #closing: Promise<void> | null = null;

  constructor(options: DescriptorPortOptions, handlers: PortHandlers) {
    this.bytesPerSecond = options.bytesPerSecond;
    this.#options = options;
    this.#handlers = handlers;
    this.#handle = options.koffi.node.poll(options.descriptor, watched(false), this.#onReady);
  }

  get pendingBytes(): number {
    return this.#queue.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  write(bytes: Uint8Array): void {
    if (this.#isGone || this.#closing !== null || bytes.length === 0) return;
    this.#queue.push(bytes);
    if (!this.#isWatchingWritable) this.#flush();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#isGone && this.#queue.length > 0) {
      await flushOrTimeout(
        new Promise((resolve) => {
          this.#onFlushed = resolve;
        }),
      );
    }
    this.#release();
    await this.#options.closeDescriptor();
  }

  #watchWritable(isWanted: boolean): void {
    this.#isWatchingWritable = isWanted;
    this.#handle.start(watched(isWanted), this.#onReady);
  }

  /** The first argument is libuv's status; koffi's type declarations leave it out. */
  readonly #onReady = (...[status]: unknown[]): void => {
    this.#read();
    if (!this.#isGone && this.#isWatchingWritable) this.#flush();
    // After POLLERR libuv has stopped the watcher: silence from now on, so the device counts as lost.
    if (!this.#isGone && typeof status === 'number' && status < 0) this.#lose(null);
  };

  #read(): void {
    let length: number;
    try {
      length = readSync(this.#options.descriptor, this.#buffer, 0, this.#buffer.length, null);
    } catch (cause) {
      if (!isTryAgain(cause)) this.#lose(cause);
      return;
    }
    if (length === 0) this.#lose(null);
    else if (this.#closing === null) this.#handlers.onData(this.#buffer.subarray(0, length));
  }

  #flush(): void {
    try {
      for (let chunk = this.#queue[0]; chunk !== undefined; chunk = this.#queue[0]) {
        const written = writeSync(this.#options.descriptor, chunk);
        if (written === chunk.length) this.#queue.shift();
        else this.#queue[0] = chunk.subarray(written);
      }
    } catch (cause) {
      if (!isTryAgain(cause)) {
        this.#lose(cause);
        return;
      }
    }
    const isMoreWaiting = this.#queue.length > 0;
    if (isMoreWaiting !== this.#isWatchingWritable) this.#watchWritable(isMoreWaiting);
    if (!isMoreWaiting) this.#onFlushed?.();
  }

  #lose(cause: unknown): void {
    if (this.#isGone) return;
    this.#release();
    if (this.#closing !== null) return;
    this.#handlers.onClosed(
      new SurfacedError('E_HW_PORT_LOST', `${this.#options.path} was closed`, { cause }),
    );
  }

  #release(): void {
    if (!this.#isGone) this.#handle.close();
    this.#isGone = true;
    this.#queue = [];
    this.#onFlushed?.();
  }
}

function watched(isWritableWanted: boolean) {
  return { readable: true, writable: isWritableWanted, disconnect: true };
}

function isTryAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EINTR');
}
