import { close, constants, open, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { SurfacedError } from '../../errors.ts';
import { flushOrTimeout, type Port, type PortHandlers } from './port.ts';

/** The parts of the optional package `koffi` that are used: libuv's readiness watcher for any descriptor. */
export type KoffiPackage = Pick<typeof import('koffi'), 'node'>;
type PollHandle = ReturnType<KoffiPackage['node']['poll']>;

/** How to open an ALSA raw MIDI device. */
export interface RawMidiOptions {
  readonly path: string;
  /** Loads the optional package. */
  readonly load: () => Promise<KoffiPackage>;
}

/**
 * Opens an ALSA raw MIDI device such as /dev/snd/midiC1D1. Node's own streams read it with a blocking read() in a
 * thread, which makes process.exit hang; so the descriptor is non-blocking and the event loop's own poll watches it:
 * no thread, no timer, and a byte is handled as soon as it is there.
 */
export async function openRawMidi(options: RawMidiOptions, handlers: PortHandlers): Promise<Port> {
  const { path } = options;
  let koffi: KoffiPackage;
  try {
    koffi = await options.load();
  } catch (cause) {
    throw new SurfacedError('E_HW_PACKAGE', 'a raw MIDI device needs the package koffi', { cause });
  }
  try {
    const descriptor = await promisify(open)(
      path,
      constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    return new RawMidiPort({ path, descriptor, koffi }, handlers);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SurfacedError('E_HW_PORT_OPEN', `${path}: ${reason}`, { cause });
  }
}

interface OpenDescriptor {
  readonly path: string;
  readonly descriptor: number;
  readonly koffi: KoffiPackage;
}

class RawMidiPort implements Port {
  /** Behind a DIN socket the line carries 3125 bytes a second, behind USB far more; the kernel does not say which. */
  readonly bytesPerSecond = null;
  readonly #path: string;
  readonly #descriptor: number;
  readonly #handlers: PortHandlers;
  readonly #handle: PollHandle;
  readonly #buffer = Buffer.alloc(1024);
  #queue: Uint8Array[] = [];
  #onFlushed: (() => void) | null = null;
  #isWatchingWritable = false;
  #isGone = false;
  #closing: Promise<void> | null = null;

  constructor(opened: OpenDescriptor, handlers: PortHandlers) {
    this.#path = opened.path;
    this.#descriptor = opened.descriptor;
    this.#handlers = handlers;
    this.#handle = opened.koffi.node.poll(opened.descriptor, watched(false), this.#onReady);
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
    // Asynchronous: ALSA waits here for the device to take the rest.
    await promisify(close)(this.#descriptor);
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
      length = readSync(this.#descriptor, this.#buffer, 0, this.#buffer.length, null);
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
        const written = writeSync(this.#descriptor, chunk);
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
    this.#handlers.onClosed(new SurfacedError('E_HW_PORT_LOST', `${this.#path} was closed`, { cause }));
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
