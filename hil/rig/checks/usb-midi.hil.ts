/** Runs inside the rig: a USB MIDI panel that is unplugged under the program and comes back, and that floods it. */
import { closeSync, constants, mkdtempSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { UsbMidiDevice } from '../guest/usb-midi.ts';
import { waitFor } from '../guest/wait.ts';
import { WatchedMonitor } from '../guest/watched-monitor.ts';

if (process.env.SURFACED_RIG !== '1') throw new Error('This runs inside the rig only; see hil/rig/boot.ts');

const limitMs = 30_000;
/** Messages of a flood: ten seconds of a DIN line, which a USB device sends in one. */
const floodMessages = 30_000;
/** The program may grow by this in a flood of 90 kB; what it did not read is in the kernel. */
const mostGrowthBytes = 32 * 1024 * 1024;

const main = fileURLToPath(new URL('../../../daemon/main.ts', import.meta.url));
const compiled = process.env.SURFACED_COMPILED ?? '';
const surfaced = (...args: readonly string[]): readonly string[] =>
  compiled === '' ? [process.execPath, '--import=tsx', main, ...args] : [process.execPath, compiled, ...args];

const usb = new UsbMidiDevice(0, { name: 'RigPanel', vendorId: 0x1d6b, productId: 0x0104 });
const config = path.join(mkdtempSync(path.join(tmpdir(), 'usb-midi-')), 'device.yaml');
// By the id of the card: its number may be another one when it comes back.
const panel = {
  preset: 'generic-midi',
  port: { type: 'raw-midi', path: 'hw:RigPanel,0,0' },
  controls: [
    { name: 'fader1', type: 'fader', cc: 1 },
    { name: 'fader2', type: 'pitch-bend-fader', channel: 2 },
    { name: 'knob', type: 'encoder', cc: 16, encoding: 'twos-complement' },
    { name: 'go', type: 'button', note: 60, hasLight: true },
  ],
};
writeFileSync(config, JSON.stringify({ apiVersion: 'surfaced.dev/v1alpha1', kind: 'Device', panel }));

/** The inside of the device: what it sends, and what it was sent. */
class Inside {
  readonly #descriptor: number;

  constructor(file: string) {
    this.#descriptor = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
    // What came before the first read is dropped (sound/core/rawmidi.c starts the input then).
    this.received();
  }

  /** Sends all, as fast as the program takes it. */
  async send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length; ) {
      try {
        sent += writeSync(this.#descriptor, bytes, sent);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        await pause(1);
      }
    }
  }

  /** What came since the last call. */
  received(): number[] {
    const buffer = Buffer.alloc(4096);
    try {
      return [...buffer.subarray(0, readSync(this.#descriptor, buffer, 0, buffer.length, null))];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return [];
      throw error;
    }
  }

  /** Waits until this came, in one piece. */
  async receives(what: string, wanted: readonly number[]): Promise<void> {
    let seen = '';
    await waitFor(what, limitMs, () => {
      seen += this.received()
        .map((byte) => `${byte},`)
        .join('');
      return seen.includes(`${wanted.join()},`) ? true : null;
    });
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

const { devicePath } = await usb.plug();
let inside = new Inside(devicePath);

/** Plugs it in again, and listens inside before the program can send: what nobody there takes is lost. */
async function plugAgain(): Promise<Inside> {
  const [again, listening] = await Promise.all([
    usb.plug(),
    // The card inside is made first, so it has the same number as before.
    waitFor('the inside of the device', limitMs, () => {
      try {
        return new Inside(devicePath);
      } catch (error) {
        if (['ENOENT', 'ENODEV', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
        throw error;
      }
    }),
  ]);
  if (again.devicePath !== devicePath) throw new Error(`the inside is now ${again.devicePath}`);
  return listening;
}
const monitor = new WatchedMonitor({ surfaced }, config, []);
t.teardown(async () => {
  await monitor.end('SIGTERM');
  inside.close();
});
const isOpen = (): boolean => {
  const last = monitor.lines.findLast(({ type }) => type === 'panel');
  return last?.isOpen === true && last.problem === null;
};
const lightOf = (isOn: boolean): number[] => [0x90, 60, isOn ? 127 : 0];

/** A real message is obeyed: the button and its light. */
async function press(): Promise<void> {
  const from = monitor.lines.length;
  const isTold = (type: string) => () =>
    monitor.lines.slice(from).some((line) => line.type === type && line.control === 'go');
  await inside.send(Uint8Array.of(0x90, 60, 100));
  await monitor.until('a press', limitMs, isTold('press'));
  await inside.receives('the light', lightOf(true));
  await inside.send(Uint8Array.of(0x80, 60, 0));
  await monitor.until('a release', limitMs, isTold('release'));
  await inside.receives('the end of the light', lightOf(false));
}

t.test('a panel that is plugged in', async () => {
  await monitor.until('an open panel', limitMs, isOpen);
  await press();
});

for (const isDown of [true, false]) {
  t.test(`it is unplugged while its button is ${isDown ? 'down' : 'up'}, and comes back`, async (t) => {
    if (isDown) {
      const before = monitor.lines.length;
      await inside.send(Uint8Array.of(0x90, 60, 100));
      await inside.receives('the light', lightOf(true));
      // What the monitor prints may come after the light.
      await monitor.until('the press', limitMs, () =>
        monitor.lines.slice(before).some(({ type }) => type === 'press'),
      );
    }
    const from = monitor.lines.length;
    const logged = monitor.logs.length;
    inside.close();
    await usb.unplug();
    await monitor.until('the loss', limitMs, () => !isOpen() && monitor.problem !== null);
    t.match(monitor.problem, /^hw:RigPanel,0,0(: | was closed)/, 'the port is named');
    t.ok(
      monitor.lines.slice(from).some(({ type }) => type === 'reset'),
      'first readings come next',
    );
    // What it prints and what it logs come on two ways.
    await monitor.until('the log of it', limitMs, () => monitor.logs.length > logged);
    await pause(600);
    t.equal(monitor.logs.length - logged, 1, 'told once');
    t.match(monitor.logs[logged], { msg: 'panel is not open', path: 'hw:RigPanel,0,0' });
    inside = await plugAgain();
    await monitor.until('an open panel', limitMs, isOpen);
    await inside.receives('lights, again', lightOf(false));
    t.equal(
      monitor.lines.slice(from).filter(({ type }) => type === 'press' || type === 'release').length,
      0,
      'nothing was pressed or let go by it',
    );
    await press();
  });
}

/** A flood, and then what is told of it. */
const floods: Readonly<Record<string, { bytes: () => Uint8Array; isFaderMoved: boolean }>> = {
  'notes that no control has, with running status': {
    bytes: () => Uint8Array.from([0x90, ...repeat(floodMessages, (at) => [at % 60, 1 + (at % 127)])]),
    isFaderMoved: false,
  },
  'random data bytes, whole SysEx and real-time bytes on channels that nobody has': {
    bytes: () =>
      Uint8Array.from(
        repeat(floodMessages / 3, (at) => [
          ...(at % 5 === 0 ? [0xf0, ...randomData(20), 0xf7] : [0xb0 + 3 + (at % 12), ...randomData(2)]),
          ...(at % 7 === 0 ? [0xf8] : []),
        ]),
      ),
    isFaderMoved: false,
  },
  'SysEx that has no end': {
    bytes: () => Uint8Array.from([0xf0, ...randomData(floodMessages)]),
    isFaderMoved: false,
  },
  'a fader that never rests': {
    bytes: () => Uint8Array.from([0xb0, ...repeat(floodMessages, (at) => [1, at % 127])]),
    isFaderMoved: true,
  },
};

function repeat(count: number, bytesOf: (at: number) => readonly number[]): number[] {
  return Array.from({ length: count }, (_, at) => bytesOf(at)).flat();
}

function randomData(count: number): number[] {
  return Array.from({ length: count }, () => Math.floor(Math.random() * 128));
}

for (const [name, { bytes, isFaderMoved }] of Object.entries(floods)) {
  t.test(`a flood: ${name}`, async (t) => {
    const from = monitor.lines.length;
    const turned = monitor.turned;
    const memory = monitor.memoryBytes();
    const began = performance.now();
    await inside.send(bytes());
    // Another status ends what was begun. What the program is too slow for the kernel drops, this message with it.
    for (let isObeyed = false; !isObeyed && performance.now() - began < limitMs; ) {
      await inside.send(Uint8Array.of(0xb0, 1, 127));
      isObeyed = await monitor
        .until('the last message', 500, () => monitor.positions('fader1', from).at(-1) === 1)
        .then(() => true)
        .catch(() => monitor.isOver);
    }
    const tookMs = Math.round(performance.now() - began);
    const positions = monitor.positions('fader1', from);
    t.equal(positions.at(-1), 1, 'the last message is obeyed');
    t.equal(positions.length > 1, isFaderMoved, `${positions.length} positions`);
    t.same(monitor.touches(from), [], 'nothing was pressed');
    t.same(monitor.turned, turned, 'nothing was turned');
    t.same(monitor.positions('fader2', from), [], 'no other fader was moved');
    t.ok(isOpen(), 'the panel is open');
    await press();
    const growth = monitor.memoryBytes() - memory;
    t.ok(growth < mostGrowthBytes, `${tookMs} ms, ${(growth / 1_048_576).toFixed(1)} MB more`);
  });
}

t.test('in the end', async (t) => {
  await inside.send(Uint8Array.of(0x90, 60, 100));
  await inside.receives('the light', lightOf(true));
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  await inside.receives('the end of the light', lightOf(false));
});
