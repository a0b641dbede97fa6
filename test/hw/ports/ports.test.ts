/** Every kind of port against real pseudo-terminals: the same promises for all. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import t from 'tap';
import { parseAlsaName } from '../../../daemon/hw/ports/alsa.ts';
import { portOpener } from '../../../daemon/hw/ports/open.ts';
import type { OpenPort, Port } from '../../../daemon/hw/ports/port.ts';
import { openRawMidi } from '../../../daemon/hw/ports/raw-midi.ts';
import { openSerial } from '../../../daemon/hw/ports/serial.ts';
import { noSocat, SocatDevice, until } from './socat.ts';

const everyByte = Array.from({ length: 256 }, (_, byte) => byte);

const descriptors = '/proc/self/fd';
const noDescriptorList = existsSync(descriptors) ? noSocat : `${descriptors} is on Linux only`;

/** An open port with what it reports. */
class Opened {
  readonly data: number[] = [];
  readonly lost: Promise<Error>;
  port!: Port;
  #onData = () => {};
  #onLost: (problem: Error) => void = () => {};

  constructor() {
    this.lost = new Promise((resolve) => {
      this.#onLost = resolve;
    });
  }

  static async open(openPort: OpenPort, path: string): Promise<Opened> {
    const opened = new Opened();
    opened.port = await openPort(path, {
      onData: (bytes) => {
        opened.data.push(...bytes);
        opened.#onData();
      },
      onClosed: (problem) => opened.#onLost(problem),
    });
    return opened;
  }

  async received(count: number): Promise<number[]> {
    while (this.data.length < count) {
      await new Promise<void>((resolve) => {
        this.#onData = resolve;
      });
    }
    return this.data;
  }
}

const kinds: [name: string, openPort: OpenPort][] = [
  ['pty', portOpener({ type: 'pty', path: '' })],
  ['serial', portOpener({ type: 'serial', path: '', baudRate: 31_250 })],
  ['raw-midi', openRaw],
];

/** A sound card's device does not translate bytes as a terminal does: the pseudo-terminal in its place is set so. */
async function openRaw(...[path, handlers]: Parameters<OpenPort>): Promise<Port> {
  if (existsSync(path)) {
    const descriptor = openSync(path, 'r+');
    spawnSync('stty', ['raw', '-echo'], { stdio: [descriptor, 'ignore', 'inherit'] });
    closeSync(descriptor);
  }
  return portOpener({ type: 'raw-midi', path: '' })(path, handlers);
}

for (const [name, openPort] of kinds) {
  t.test(name, { skip: noSocat }, async (t) => {
    const plug = async () => {
      const link = `${t.testdir()}/port`;
      const device = await SocatDevice.plug(link);
      t.teardown(() => device.unplug());
      return { device, link };
    };

    t.test('carries every byte unchanged, both ways', async (t) => {
      const { device, link } = await plug();
      const opened = await Opened.open(openPort, link);
      device.send(...everyByte);
      t.same(await opened.received(256), everyByte);
      opened.port.write(Uint8Array.from(everyByte));
      t.same(await device.received(256), everyByte);
      await opened.port.close();
      await opened.port.close();
    });

    t.test('queues for a device that does not read, without blocking, and loses nothing', async (t) => {
      const { device, link } = await plug();
      const opened = await Opened.open(openPort, link);
      device.freeze();
      let written = 0;
      // A kernel takes some tens of KiB; a write that blocked would end this test by its time-out.
      while (opened.port.pendingBytes === 0 || written < 1024 * 1024) {
        opened.port.write(Buffer.alloc(4096, written >> 12));
        written += 4096;
        await new Promise(setImmediate);
      }
      t.ok(opened.port.pendingBytes > 0, 'it says that bytes are waiting');
      device.thaw();
      const bytes = await device.received(written);
      t.ok(
        bytes.every((byte, at) => byte === ((at >> 12) & 0xff)),
        'all arrive, in order',
      );
      while (opened.port.pendingBytes > 0) await new Promise(setImmediate);
      await opened.port.close();
    });

    t.test('closes although the device takes nothing', async () => {
      const { device, link } = await plug();
      const opened = await Opened.open(openPort, link);
      device.freeze();
      for (let count = 0; count < 64; count += 1) opened.port.write(Buffer.alloc(4096));
      await opened.port.close();
    });

    t.test('the last bytes before close arrive', async (t) => {
      const { device, link } = await plug();
      const opened = await Opened.open(openPort, link);
      opened.port.write(Uint8Array.of(1, 2, 3));
      await opened.port.close();
      t.same(await device.received(3), [1, 2, 3]);
    });

    t.test('reports a pulled plug, once, and takes writes and close after it', async (t) => {
      const { device, link } = await plug();
      const opened = await Opened.open(openPort, link);
      await device.unplug();
      t.match(await opened.lost, { code: 'E_HW_PORT_LOST' });
      opened.port.write(Uint8Array.of(1));
      await opened.port.close();
      t.equal(opened.port.pendingBytes, 0);
    });

    t.test('gives its descriptor back', { skip: noDescriptorList }, async (t) => {
      const { device, link } = await plug();
      const cycle = async () => {
        const opened = await Opened.open(openPort, link);
        await opened.port.close();
      };
      await cycle();
      const before = readdirSync(descriptors).length;
      for (let count = 0; count < 5; count += 1) await cycle();
      t.equal(readdirSync(descriptors).length, before);
      const opened = await Opened.open(openPort, link);
      await device.unplug();
      await opened.lost;
      await opened.port.close();
      // The device itself had a socket for each of its three standard streams.
      t.equal(readdirSync(descriptors).length, before - 3);
    });

    t.test('a path that is not there is an error with a code', async (t) => {
      await t.rejects(Opened.open(openPort, `${t.testdir()}/none`), {
        code: 'E_HW_PORT_OPEN',
        message: /none/,
      });
    });
  });
}

t.test('a file is no terminal', async (t) => {
  const path = `${t.testdir({ file: '' })}/file`;
  await t.rejects(Opened.open(portOpener({ type: 'pty', path: '' }), path), { code: 'E_HW_PORT_OPEN' });
});

t.test('names of sound cards', async (t) => {
  t.same(parseAlsaName('hw:1,0,1'), { card: '1', device: 0, subdevice: 1 });
  t.same(parseAlsaName('hw:MK3,2,0'), { card: 'MK3', device: 2, subdevice: 0 });
  for (const path of ['/dev/snd/midiC1D1', 'hw:1,0', 'hw:../x,0,0', 'hw:1,0,1 ', '']) {
    t.equal(parseAlsaName(path), null, path);
  }
  const openPort = portOpener({ type: 'raw-midi', path: '' });
  await t.rejects(Opened.open(openPort, 'hw:99,0,1'), { code: 'E_HW_PORT_OPEN', message: /controlC99/ });
  await t.rejects(Opened.open(openPort, 'hw:none,0,1'), { code: 'E_HW_PORT_OPEN', message: /asound\/none/ });
});

t.test('a missing optional package is named, with what to do', async (t) => {
  const missing = () => Promise.reject(new Error('Cannot find package'));
  const loadSerial = () => import('serialport');
  const handlers = { onData: () => {}, onClosed: () => {} };
  const path = '/nowhere';
  const error = { code: 'E_HW_PACKAGE', class: 'fatal', remedy: /npm install --include=optional/ };
  await t.rejects(openRawMidi({ path, loadKoffi: missing }, handlers), { ...error, message: /koffi/ });
  const serial = { path, baudRate: 9600, loadKoffi: missing };
  await t.rejects(openSerial({ ...serial, loadSerial }, handlers), { ...error, message: /koffi/ });
  await t.rejects(openSerial({ ...serial, loadSerial: missing }, handlers), {
    ...error,
    message: /serialport/,
  });
});

t.test('an open raw MIDI port does not keep the process from exiting', { skip: noSocat }, async (t) => {
  const link = `${t.testdir()}/port`;
  const device = await SocatDevice.plug(link);
  t.teardown(() => device.unplug());
  const module = new URL('../../../daemon/hw/ports/open.ts', import.meta.url);
  const script = `
    import { portOpener } from ${JSON.stringify(module.href)};
    await portOpener({ type: 'raw-midi', path: '' })(${JSON.stringify(readlinkSync(link))}, {
      onData: () => {}, onClosed: () => {},
    });
    process.on('SIGTERM', () => process.exit(0));
    console.log('open');
  `;
  const args = ['--import=tsx', '--input-type=module', '--eval', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  await until(child.stdout, /open/);
  child.kill('SIGTERM');
  t.same(await exited, [0, null]);
});
