import path from 'node:path';
import pino from 'pino';
import t, { type Test } from 'tap';
import type { InputEvent, OpenInput } from '../../../daemon/hw/input/device.ts';
import { openEvdev } from '../../../daemon/hw/input/evdev.ts';
import { inputIoctl } from '../../../daemon/hw/input/events.ts';
import { silentLog } from '../../../daemon/log.ts';
import { FakeDevice, kernelPackage, put, Refusal, Reports } from '../kernel/fake.ts';
import { inputEvent } from './stream.ts';

type Report = readonly InputEvent[] | 'dropped' | Error;

/** Input devices by name; each is a named pipe. */
class FakeInputs {
  readonly devices: readonly FakeDevice[];
  readonly folder: string;
  readonly reports = new Reports<Report>();
  down = new Set<number>();
  isGone = false;
  readonly logs: { msg: string; device?: string }[] = [];
  clock: readonly number[] = [];
  isClockRefused = false;
  isGrabRefused = false;
  /** The device was taken, or given back. */
  readonly grabs: boolean[] = [];

  #open: OpenInput | null = null;

  constructor(t: Test, names: readonly string[]) {
    this.folder = t.testdir({});
    put(path.join(this.folder, 'class/mice/dev'), '');
    this.devices = names.map((name, index) => {
      // Numbers that sort otherwise as text.
      put(path.join(this.folder, `class/event${index + 9}/device/name`), `${name}\n`);
      return new FakeDevice(path.join(this.folder, 'dev'), `event${index + 9}`);
    });
    t.teardown(() => {
      for (const device of this.devices) device.remove();
    });
  }

  #opener(): OpenInput {
    const loadKoffi = async () => kernelPackage((_, request, argument) => this.#answer(request, argument));
    const folders = {
      classFolder: path.join(this.folder, 'class'),
      deviceFolder: path.join(this.folder, 'dev'),
    };
    const log = pino({ level: 'warn' }, { write: (line: string) => void this.logs.push(JSON.parse(line)) });
    return openEvdev({ loadKoffi, ...folders, log });
  }

  open(name: string, afterEvents = () => {}) {
    const { add } = this.reports;
    this.#open ??= this.#opener();
    return this.#open(name, {
      onEvents: (events) => {
        add(events);
        afterEvents();
      },
      onDropped: () => add('dropped'),
      onLost: (problem) => add(problem),
    });
  }

  #answer(request: number, argument: Uint8Array): void {
    if (this.isGone) throw new Refusal('ENODEV');
    if (request === inputIoctl.grab) {
      if (this.isGrabRefused) throw new Refusal('EBUSY');
      this.grabs.push(argument.length > 0);
      return;
    }
    if (request === inputIoctl.setClock) {
      if (this.isClockRefused) throw new Refusal('EINVAL');
      this.clock = [...argument];
    } else if (request === inputIoctl.getKeys) {
      for (const code of this.down) argument[code >> 3]! |= 1 << (code & 7);
    } else throw new Error(`unexpected ioctl ${request.toString(16)}`);
  }
}

const report = inputEvent(0, 0, 0);

t.test('events of a device by its name, and giving it back', async (t) => {
  const inputs = new FakeInputs(t, ['gpio-keys', 'rotary@11']);
  const device = await inputs.open('rotary@11');
  t.same(inputs.clock, [1, 0, 0, 0], 'CLOCK_MONOTONIC');
  inputs.devices[1]?.send(inputEvent(2, 7, 1), report, inputEvent(2, 7, -1));
  inputs.devices[1]?.send(report);
  const [first, second] = await inputs.reports.count(2);
  t.match(first, [{ type: 2, code: 7, value: 1 }]);
  t.match(second, [{ type: 2, code: 7, value: -1 }]);
  // 1000 s of the kernel's clock, in milliseconds of performance.now().
  const origin = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  const at = Array.isArray(first) ? first[0].at : Number.NaN;
  t.ok(Math.abs(at - (1_000_000 - origin)) < 100, `${at}`);
  inputs.down = new Set([28, 300]);
  t.same(device.keysDown(), new Set([28, 300]));
  await device.close();
  await device.close();
  inputs.devices[1]?.send(inputEvent(2, 7, 1), report);
  t.equal(inputs.reports.items.length, 2);
});

t.test(
  'a device is taken for this process alone; one that another has taken is read all the same',
  async (t) => {
    const inputs = new FakeInputs(t, ['gpio-keys']);
    const device = await inputs.open('gpio-keys');
    t.same(inputs.grabs, [true]);
    await device.close();
    inputs.isGrabRefused = true;
    const again = await inputs.open('gpio-keys');
    t.match(inputs.logs, [
      { msg: 'input device is not for surfaced alone', device: 'gpio-keys', err: /EBUSY/ },
    ]);
    inputs.devices[0]?.send(inputEvent(1, 28, 1), report);
    await inputs.reports.count(1);
    await again.close();
  },
);

t.test('a device that is opened twice is taken by neither, or one would hear nothing', async (t) => {
  const inputs = new FakeInputs(t, ['rotary@11']);
  const first = await inputs.open('rotary@11');
  const second = await inputs.open(inputs.devices[0]!.path);
  const third = await inputs.open('rotary@11');
  t.same(inputs.grabs, [true, false]);
  for (const device of [first, second, third]) await device.close();
  await (await inputs.open('rotary@11')).close();
  t.same(inputs.grabs, [true, false, true]);
});

t.test('a queue that overflowed', async (t) => {
  const inputs = new FakeInputs(t, ['rotary@11']);
  const device = await inputs.open('rotary@11');
  inputs.devices[0]?.send(inputEvent(2, 7, 1), inputEvent(0, 3, 0), inputEvent(2, 7, 1), report);
  t.same(await inputs.reports.count(1), ['dropped']);
  inputs.devices[0]?.send(inputEvent(0, 3, 0), report);
  await inputs.reports.count(2);
  t.match(
    inputs.logs,
    [{ msg: 'input events were lost', device: 'rotary@11', overflows: 1 }],
    'once a minute',
  );
  t.equal(inputs.logs.length, 1);
  await device.close();
});

t.test('a device that is removed', async (t) => {
  const inputs = new FakeInputs(t, ['rotary@11']);
  const device = await inputs.open('rotary@11');
  inputs.isGone = true;
  inputs.devices[0]?.remove();
  t.match(await inputs.reports.count(1), [{ code: 'E_HW_INPUT', message: /rotary@11/ }]);
  t.throws(() => device.keysDown(), { code: 'E_HW_INPUT', message: /ENODEV/ });
  await device.close();
  t.equal(inputs.reports.items.length, 1);
});

t.test('who closes the device while it reports hears no more', async (t) => {
  const inputs = new FakeInputs(t, ['rotary@11']);
  let closed: Promise<void> | null = null;
  const device = await inputs.open('rotary@11', () => {
    closed = device.close();
  });
  inputs.devices[0]?.send(inputEvent(2, 7, 1), report, inputEvent(2, 7, 1), report);
  await inputs.reports.count(1);
  await closed;
  t.equal(inputs.reports.items.length, 1);
});

t.test('no device at all', async (t) => {
  await t.rejects(new FakeInputs(t, []).open('x'), { code: 'E_HW_INPUT', message: /there are none$/ });
});

t.test('devices that cannot be had', async (t) => {
  const inputs = new FakeInputs(t, ['gpio-keys', 'rotary@11']);
  await t.rejects(inputs.open('rotary@12'), {
    code: 'E_HW_INPUT',
    message: 'no input device is named rotary@12: there are gpio-keys, rotary@11',
  });
  await t.rejects(inputs.open('/nowhere/event0'), { code: 'E_HW_INPUT', message: /nowhere.*ENOENT/ });
  const byPath = await inputs.open(inputs.devices[0]!.path);
  await byPath.close();
  inputs.isClockRefused = true;
  await t.rejects(inputs.open('gpio-keys'), { code: 'E_HW_INPUT', message: /gpio-keys: EINVAL/ });
  const missing = openEvdev({
    loadKoffi: () => Promise.reject(new Error('not found')),
    classFolder: '/nowhere',
    deviceFolder: '/nowhere',
    log: silentLog,
  });
  const handlers = { onEvents: () => {}, onDropped: () => {}, onLost: () => {} };
  await t.rejects(missing('x', handlers), { code: 'E_HW_PACKAGE', message: /koffi/ });
});
