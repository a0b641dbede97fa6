import t from 'tap';
import { gpioKeys } from '../../../daemon/hw/chips/gpio-keys.ts';
import { FakeHost, FakeInput } from './host-io.ts';

const parse = (config: object) => gpioKeys.schema.parse(config);
const config = parse({
  device: 'button@16',
  keys: [
    { code: 28, name: 'enter' },
    { code: 1, name: 'escape' },
  ],
});

t.test('what they are and need', async (t) => {
  t.same(gpioKeys.declare(config), {
    controls: [
      { name: 'enter', kind: 'button' },
      { name: 'escape', kind: 'button' },
    ],
    lights: null,
  });
  t.same(gpioKeys.needs(config), { lines: [], inputs: ['button@16'], files: [] });
  const [enter] = config.keys;
  for (const keys of [
    [],
    [enter, { ...enter, code: 2 }],
    [enter, { ...enter, name: 'b' }],
    [{ code: 0x300, name: 'a' }],
  ]) {
    t.notOk(gpioKeys.schema.safeParse({ device: 'x', keys }).success, JSON.stringify(keys));
  }
});

t.test('first states, presses, and what changed during a loss', async (t) => {
  const host = new FakeHost();
  const device = new FakeInput();
  host.devices.set('button@16', device);
  device.down = new Set([1, 99]);
  const session = await gpioKeys.open(config, host.io);
  t.same(host.words(), ['enter up', 'escape down']);
  device.send([1, 28, 1], [1, 99, 0], [2, 28, 1]);
  device.send([1, 28, 2]);
  device.send([1, 28, 1]);
  t.match(host.inputs, [{ type: 'switch', control: 'enter', isDown: true, at: 5 }]);
  t.same(host.words(), ['enter down'], 'not what it is already, no other codes, no repetition');
  device.down = new Set([28]);
  device.handlers?.onDropped();
  t.same(host.words(), ['escape up']);
  device.isGone = true;
  device.handlers?.onDropped();
  t.match(host.problems, [{ message: 'no keys' }]);
  await session.close();
  t.ok(device.isClosed);
});

t.test('keys that cannot be asked for', async (t) => {
  const host = new FakeHost();
  const device = new FakeInput();
  device.isGone = true;
  host.devices.set('button@16', device);
  await t.rejects(gpioKeys.open(config, host.io), { message: 'no keys' });
  t.ok(device.isClosed);
});
