/** I2C buses of the guest, `/dev/i2c-N`, served by the process that has the chip models. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { waitFor } from './wait.ts';

const timeoutMs = 5_000;

/** A bus and who serves it. */
export interface I2cBusOptions {
  /** Path of the adapter `cuse-i2c`. */
  readonly adapter: string;
  /** N of `/dev/i2c-N`. */
  readonly bus: number;
  /** Unix socket of the chip server; it may come later and go: meanwhile transfers end with ENXIO. */
  readonly socket: string;
}

/** A bus that can be taken away whole, as an adapter on USB can; single chips come and go in the chip server. */
export interface I2cBus {
  readonly path: string;
  /** Takes the bus away; resolves when its device file is gone. */
  remove(): Promise<void>;
}

/** Makes the bus; resolves when it can be opened. */
export async function startI2cBus({ adapter, bus, socket }: I2cBusOptions): Promise<I2cBus> {
  const path = `/dev/i2c-${bus}`;
  if (existsSync(path)) throw new Error(`${path} exists already`);
  const child = spawn(adapter, [String(bus), socket], { stdio: ['ignore', 'inherit', 'inherit'] });
  await once(child, 'spawn');
  try {
    await waitFor(path, timeoutMs, () => canOpen(path, child));
  } catch (error) {
    await end(child);
    throw error;
  }
  return {
    path,
    async remove() {
      await end(child);
      await waitFor(`The end of ${path}`, timeoutMs, () => (existsSync(path) ? null : true));
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const isOver = once(child, 'exit');
  // Its tidy end waits for open files; a bus that is pulled out does not.
  child.kill('SIGKILL');
  await isOver;
}

function canOpen(path: string, child: ChildProcess): true | null {
  if (child.exitCode !== null) throw new Error(`cuse-i2c ended with exit code ${child.exitCode}`);
  try {
    closeSync(openSync(path, 'r+'));
    return true;
  } catch (error) {
    // Not there yet, or there without anybody behind it yet.
    if (['ENOENT', 'ENODEV', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
