import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { close, constants, open } from 'node:fs';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { SurfacedError } from '../../errors.ts';
import type { Port, PortHandlers } from './port.ts';
import { StreamPort } from './stream-port.ts';

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
    const end = async () => {
      if (stream.closed) return;
      stream.destroy();
      await once(stream, 'close');
    };
    return new StreamPort({ path, stream, bytesPerSecond: null, end }, handlers);
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
