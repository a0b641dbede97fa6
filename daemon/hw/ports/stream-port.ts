import type { Duplex } from 'node:stream';
import { SurfacedError } from '../../errors.ts';
import { flushOrTimeout, type Port, type PortHandlers } from './port.ts';

/** What a stream needs beside itself to be a port. */
export interface StreamPortOptions {
  /** For messages. */
  readonly path: string;
  readonly stream: Duplex;
  readonly bytesPerSecond: number | null;
  /** Ends the stream for good; called once. */
  readonly end: () => Promise<void>;
}

/** A port over a non-blocking Node stream: its queue and its readiness are libuv's or serialport's. */
export class StreamPort implements Port {
  readonly bytesPerSecond: number | null;
  readonly #options: StreamPortOptions;
  #closing: Promise<void> | null = null;
  #isGone = false;

  constructor(options: StreamPortOptions, handlers: PortHandlers) {
    this.#options = options;
    this.bytesPerSecond = options.bytesPerSecond;
    const lose = (cause: unknown) => {
      if (this.#isGone) return;
      this.#isGone = true;
      if (this.#closing === null) {
        handlers.onClosed(new SurfacedError('E_HW_PORT_LOST', `${options.path} was closed`, { cause }));
      }
    };
    options.stream.on('data', (bytes: Uint8Array) => {
      if (this.#closing === null) handlers.onData(bytes);
    });
    options.stream.on('error', lose);
    options.stream.on('end', lose);
    options.stream.on('close', lose);
  }

  get pendingBytes(): number {
    return this.#options.stream.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (!this.#isGone && this.#closing === null) this.#options.stream.write(bytes);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { stream, end } = this.#options;
    if (!this.#isGone) {
      // An empty write completes after all before it, also when the stream fails meanwhile.
      await flushOrTimeout(new Promise((resolve) => stream.write(Buffer.alloc(0), () => resolve())));
    }
    await end();
  }
}
