import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { close, constants, open } from 'node:fs';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { SurfacedError } from '../../errors.ts';
import { flushOrTimeout, type Port, type PortHandlers } from './port.ts';

const closeDescriptor = promisify(close);

/** Opens a pseudo-terminal, as socat and rigs make them, for bytes without echo or translation. */
export async function openPty(path: string, handlers: PortHandlers): Promise<Port> {
  let descriptor: number | null = null;
  try {
    // O_NOCTTY: it must not become the daemon's controlling terminal.
    const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
    descriptor = await promisify(open)(path, flags);
    await makeRaw(descriptor);
    // A tty.ReadStream is a whole socket that writes too, without blocking; tty.WriteStream would block.
    const stream = new ReadStream(descriptor);
    return new TerminalPort({ path, stream }, handlers);
  } catch (cause) {
    if (descriptor !== null) await closeDescriptor(descriptor);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SurfacedError('E_HW_PORT_OPEN', `${path}: ${reason}`, { cause });
  }
}

/** `setRawMode` of Node will not do: libuv leaves output translation on, which turns byte 0A into 0D 0A. */
async function makeRaw(descriptor: number): Promise<void> {
  const stty = spawn('stty', ['raw', '-echo'], { stdio: [descriptor, 'ignore', 'ignore'] });
  const [code] = await once(stty, 'close');
  if (code !== 0) throw new Error('it is not a terminal that stty can set to raw mode');
}

class TerminalPort implements Port {
  /** A pseudo-terminal has no line. */
  readonly bytesPerSecond = null;
  readonly #stream: ReadStream;
  #closing: Promise<void> | null = null;
  #isGone = false;

  constructor(opened: { readonly path: string; readonly stream: ReadStream }, handlers: PortHandlers) {
    const { path, stream } = opened;
    this.#stream = stream;
    const lose = (cause: unknown) => {
      if (this.#isGone) return;
      this.#isGone = true;
      if (this.#closing === null) {
        handlers.onClosed(new SurfacedError('E_HW_PORT_LOST', `${path} was closed`, { cause }));
      }
    };
    stream.on('data', (bytes: Uint8Array) => {
      if (this.#closing === null) handlers.onData(bytes);
    });
    stream.on('error', lose);
    stream.on('end', lose);
    stream.on('close', lose);
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (!this.#isGone && this.#closing === null) this.#stream.write(bytes);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#isGone) {
      // An empty write completes after all before it, also when the stream fails meanwhile.
      await flushOrTimeout(new Promise((resolve) => this.#stream.write(Buffer.alloc(0), () => resolve())));
    }
    if (this.#stream.closed) return;
    this.#stream.destroy();
    await once(this.#stream, 'close');
  }
}
