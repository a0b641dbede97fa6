import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type KoffiPackage, openDescriptor, openNonBlocking } from './descriptor-port.ts';
import type { Port, PortHandlers } from './port.ts';

/** How to open a pseudo-terminal. */
export interface PtyOptions {
  readonly path: string;
  /** Loads the optional package. */
  readonly loadKoffi: () => Promise<KoffiPackage>;
}

/**
 * Opens a pseudo-terminal, as socat and rigs make them, for bytes without echo or translation.
 * Not with Node's tty streams: their raw mode leaves output translation on, which turns byte 0A into 0D 0A, and each
 * opening leaves a descriptor behind, as libuv opens terminals a second time.
 */
export function openPty(options: PtyOptions, handlers: PortHandlers): Promise<Port> {
  const open = () => openNonBlocking(options.path);
  return openDescriptor({ ...options, open, prepare: makeRaw }, handlers);
}

async function makeRaw(path: string): Promise<void> {
  // A descriptor of its own: a child's standard streams are set to blocking, and so would be all that share them.
  const descriptor = openSync(path, 'r+');
  try {
    const stty = spawn('stty', ['raw', '-echo'], { stdio: [descriptor, 'ignore', 'ignore'] });
    const [code] = await once(stty, 'close');
    if (code !== 0) throw new Error('it is not a terminal that stty can set to raw mode');
  } finally {
    closeSync(descriptor);
  }
}
