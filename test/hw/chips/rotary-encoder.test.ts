import t from 'tap';
import type { PartIo } from '../../../daemon/hw/chips/driver.ts';
import { rotaryEncoder } from '../../../daemon/hw/chips/rotary-encoder.ts';
import { FakeHost, FakeInput } from './host-io.ts';

const parse = (config: object) => rotaryEncoder.schema.parse(config);
const push = { device: 'button@16', code: 28 };

async function open(more: object = {}) {
  const host = new FakeHost();
  const knob = new FakeInput();
  const button = new FakeInput();
  host.devices.set('rotary@11', knob).set('button@16', button);
  const session = await rotaryEncoder.open(parse({ name: 'knob', device: 'rotary@11', ...more }), host.io);
  return { host, knob, button, session };
}

t.test('what it is and needs', async (t) => {
  const config = parse({ name: 'knob', device: 'rotary@11' });
  t.same(rotaryEncoder.declare(config), {
    controls: [{ name: 'knob', kind: 'encoder', pulsesPerDetent: 1 }],
    lights: null,
  });
  t.same(rotaryEncoder.needs(config), { lines: [], inputs: ['rotary@11'], files: [] });
  t.same(rotaryEncoder.needs({ ...config, push }).inputs, ['rotary@11', 'button@16']);
  t.notOk(rotaryEncoder.schema.safeParse({ name: 'knob', device: 'x', push: { device: 'y' } }).success);
});

t.test('turns on any axis; a loss leaves nothing to put right', async (t) => {
  const { host, knob, session } = await open();
  knob.send([2, 7, 1]);
  knob.send([2, 0, -1], [2, 0, -1], [4, 4, 1]);
  t.match(host.inputs[0], { type: 'turn', control: 'knob', pulses: 1, at: 5 });
  t.same(host.words(), ['knob +1', 'knob -2']);
  knob.send([2, 7, 1], [2, 7, -1]);
  knob.send([1, 28, 1]);
  knob.handlers?.onDropped();
  t.same(host.words(), []);
  knob.handlers?.onLost(new Error('gone'));
  t.equal(host.problems.length, 1);
  await session.close();
  t.ok(knob.isClosed);
});

t.test('the other way round, with a push switch', async (t) => {
  const { host, knob, button, session } = await open({ invert: true, push });
  t.same(host.words(), ['knob up'], 'how it stands');
  knob.send([2, 7, 1]);
  button.send([1, 28, 1], [1, 29, 1]);
  button.send([1, 28, 2]);
  button.send([1, 28, 0]);
  t.same(host.words(), ['knob -1', 'knob down', 'knob up']);
  await session.close();
  t.ok(knob.isClosed && button.isClosed);
});

t.test('an encoder that closes badly does not keep its push switch open', async (t) => {
  const { host, button } = await open();
  const { openInput } = host.io;
  const io: PartIo = {
    ...host.io,
    openInput: async (name, handlers) => {
      const device = await openInput(name, handlers);
      return name === 'rotary@11' ? { ...device, close: () => Promise.reject(new Error('EIO')) } : device;
    },
  };
  const session = await rotaryEncoder.open(parse({ name: 'knob', device: 'rotary@11', push }), io);
  await t.resolves(session.close());
  t.ok(button.isClosed);
});

t.test('a push switch that is not there', async (t) => {
  const host = new FakeHost();
  const knob = new FakeInput();
  host.devices.set('rotary@11', knob);
  const config = parse({ name: 'knob', device: 'rotary@11', push });
  await t.rejects(rotaryEncoder.open(config, host.io), { message: 'no device button@16' });
  t.ok(knob.isClosed);
});
