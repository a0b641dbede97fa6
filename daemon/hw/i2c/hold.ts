/** Two programs on one bus would take each other's key events and conversions: who begins holds the bus, others are told. */
import { stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { SurfacedError } from '../../errors.ts';

/** How long the holder may take to say who it is, milliseconds. */
const answerMs = 500;

/**
 * Holds an I2C bus against other processes of surfaced until the returned function is called or the process ends. The
 * name in the kernel's abstract namespace (unix(7)) goes with the process, so that nothing stays after a crash. A bus
 * without a device file is held by nobody.
 * @throws SurfacedError E_HW_IN_USE
 */
export async function holdBus(bus: number, devicePath: string): Promise<() => void> {
  const device = await stat(devicePath).catch(() => null);
  if (device === null || process.platform !== 'linux') return () => {};
  const name = `\0surfaced/i2c/${device.rdev}`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(String(process.pid));
  });
  server.unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(name, resolve);
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') throw cause;
    // The cause says no more: the address is in use.
    throw new SurfacedError('E_HW_IN_USE', `I2C bus ${bus} is used by ${await holderOf(name)}`);
  }
  return () => void server.close();
}

/** Who holds a name, in words. */
function holderOf(name: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(name);
    const finish = () => {
      socket.destroy();
      resolve(/^\d{1,10}$/.test(text) ? `the surfaced process ${text}` : 'another surfaced process');
    };
    socket.setTimeout(answerMs, finish);
    socket.on('data', (data) => {
      text += data.toString('latin1').slice(0, 16);
    });
    socket.on('error', finish);
    socket.on('close', finish);
  });
}
