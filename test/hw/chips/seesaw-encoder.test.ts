/** The encoder boards against their models: turns, pushes, lights, and positions that cannot be. */
import fc from 'fast-check';
import t from 'tap';
import { Dial, mostPulses, seesawEncoder, startPosition } from '../../../daemon/hw/chips/seesaw-encoder.ts';
import { seesawQuadEncoder } from '../../../daemon/hw/chips/seesaw-quad-encoder.ts';
import type { ControlFeedback, Rgb } from '../../../daemon/surface/types.ts';
import { SeesawEncoderModel, SeesawQuadEncoderModel } from '../../../hil/sim/chips/seesaw-parts.ts';
import { partRig } from './part-rig.ts';

const lit = (light: Rgb): ControlFeedback => ({ position: null, ring: null, light, hint: null });
const unsure = { type: 'unsure', controls: ['encoder1'] };

t.test('a session from the first reading on: pushed while it was opened, turned both ways', async (t) => {
  const model = new SeesawEncoderModel();
  const rig = partRig(t, seesawEncoder, { name: 'knob' }, model);
  model.press(0);
  await rig.open();
  model.turn(0, 7);
  t.same(await rig.poll(), [], 'a first reading');
  model.turn(0, 3);
  t.match(await rig.poll(), [
    { type: 'turn', control: 'knob', pulses: 3 },
    { type: 'switch', control: 'knob', isDown: true },
  ]);
  model.release(0);
  model.turn(0, -2);
  t.match(await rig.poll(), [
    { type: 'turn', pulses: -2, at: rig.time.now() },
    { type: 'switch', isDown: false },
  ]);
  t.same(await rig.poll(), []);
});

t.test('inverted, and nothing lost while polls fail', async (t) => {
  const model = new SeesawEncoderModel();
  const rig = partRig(t, seesawEncoder, { invert: true }, model);
  await rig.open();
  await rig.poll();
  await rig.poll();
  rig.bus.fault(0x36, 'no-ack');
  model.turn(0, 2);
  await t.rejects(rig.poll(), { code: 'E_HW_NO_ACK' });
  model.turn(0, 2);
  rig.bus.fault(0x36, 'none');
  t.match(await rig.poll(), [{ type: 'turn', pulses: -4 }]);
});

t.test('a poll that fails at a later knob loses nothing of those before it', async (t) => {
  const model = new SeesawQuadEncoderModel();
  const transfer = model.transfer.bind(model);
  let isLastSilent = false;
  // Register 0x33: the position of the fourth.
  model.transfer = (messages, at) => {
    const [message] = messages;
    const isLast = message?.isRead === false && message.bytes[0] === 0x11 && message.bytes[1] === 0x33;
    return isLast && isLastSilent ? null : transfer(messages, at);
  };
  const rig = partRig(t, seesawQuadEncoder, { names: ['a', 'b', 'c', 'd'] }, model);
  await rig.open();
  await rig.poll();
  await rig.poll();
  isLastSilent = true;
  model.turn(0, 2);
  await t.rejects(rig.poll(), { code: 'E_HW_NO_ACK' });
  model.turn(0, 1);
  isLastSilent = false;
  t.match(await rig.poll(), [{ type: 'turn', control: 'a', pulses: 3 }]);
});

t.test('a jump counts nothing: what comes next is a first reading', async (t) => {
  const model = new SeesawEncoderModel();
  const rig = partRig(t, seesawEncoder, {}, model);
  await rig.open();
  await rig.poll();
  await rig.poll();
  model.turn(0, 500);
  t.match(await rig.poll(), [unsure]);
  model.turn(0, 1);
  t.same(await rig.poll(), []);
  model.turn(0, 1);
  t.match(await rig.poll(), [
    { type: 'turn', pulses: 1 },
    { type: 'switch', isDown: false },
  ]);
});

t.test('reads that end early with FF are garbage, again and again', async (t) => {
  const rig = partRig(t, seesawEncoder, {}, new SeesawEncoderModel());
  await rig.open();
  await rig.poll();
  rig.bus.fault(0x36, 'half');
  t.match(await rig.poll(), [unsure]);
  rig.bus.fault(0x36, 'none');
  t.same(await rig.poll(), []);
  t.match(await rig.poll(), [{ type: 'switch', isDown: false }]);
});

t.test(
  'jumps that go on are a broken part; readings that hold in between start the count over',
  async (t) => {
    const model = new SeesawEncoderModel();
    const rig = partRig(t, seesawEncoder, {}, model);
    await rig.open();
    await rig.poll();
    const jump = async () => {
      model.turn(0, 5000);
      await rig.poll();
      await rig.poll();
    };
    for (let n = 0; n < 6; n++) {
      await jump();
      if (n % 2 === 1) await rig.poll();
    }
    await jump();
    await jump();
    await t.rejects(jump(), { code: 'E_HW_PART' });
    await t.rejects(rig.poll(), { code: 'E_HW_PART' });
    await rig.open();
    await rig.poll();
    model.turn(0, 1);
    t.match((await rig.poll()).slice(-2), [{ type: 'turn', pulses: 1 }, { type: 'switch' }]);
  },
);

t.test('a part that lost its power is not taken for one that was turned back', async (t) => {
  const model = new SeesawEncoderModel();
  const rig = partRig(t, seesawEncoder, {}, model);
  await rig.open();
  model.turn(0, 3);
  await rig.poll();
  await rig.poll();
  model.reset();
  await t.rejects(rig.poll(), { code: 'E_HW_PART' });
  t.match(rig.reports.splice(0), [unsure]);
  await t.rejects(rig.poll(), { code: 'E_HW_PART' }, 'until it is set up anew');
  await rig.open();
  await rig.poll();
  t.match(await rig.poll(), [{ type: 'switch', isDown: false }]);
});

t.test('lights: one a knob, in its colour, as bright as asked', async (t) => {
  const model = new SeesawQuadEncoderModel();
  const rig = partRig(t, seesawQuadEncoder, { names: ['a', 'b', 'c', 'd'] }, model);
  await rig.open();
  const controls = new Map([
    ['a', lit([255, 0, 0])],
    ['c', lit([0, 255, 0])],
    ['d', lit([0, 158, 115])],
  ]);
  await rig.show({ controls });
  t.same([...model.lights().rgb], [255, 0, 0, 0, 0, 0, 0, 255, 0, 0, 158, 115].map(near(model)));
  await rig.show({ controls, brightness: 0.5 });
  t.same([...model.lights().rgb].slice(0, 9), [127, 0, 0, 0, 0, 0, 0, 127, 0].map(near(model)));
  await rig.session.close();
  t.ok(model.lights().rgb.every((level) => level === 0));
});

/** Within what one step of 255 makes to an eye. */
function near(model: SeesawQuadEncoderModel): (wanted: number, index: number) => number {
  const { rgb } = model.lights();
  return (wanted, index) => (Math.abs((rgb[index] ?? 0) - wanted) <= 2 ? (rgb[index] ?? 0) : wanted);
}

t.test('four knobs turned and pressed at once', async (t) => {
  const model = new SeesawQuadEncoderModel();
  const rig = partRig(t, seesawQuadEncoder, {}, model);
  await rig.open();
  await rig.poll();
  await rig.poll();
  for (const knob of [0, 1, 2, 3]) model.turn(knob, knob - 1);
  model.press(1);
  model.press(3);
  t.ok(model.isInterrupting);
  t.match(await rig.poll(), [
    { type: 'turn', control: 'encoder1', pulses: -1 },
    { type: 'switch', control: 'encoder2', isDown: true },
    { type: 'turn', control: 'encoder3', pulses: 1 },
    { type: 'turn', control: 'encoder4', pulses: 2 },
    { type: 'switch', control: 'encoder4', isDown: true },
  ]);
  t.notOk(model.isInterrupting);
  t.same(rig.time.pauses.slice(-5), [2, 2, 2, 2, 2]);
});

t.test('one garbled position: nothing of that poll counts, of no knob', async (t) => {
  const model = new SeesawQuadEncoderModel();
  const rig = partRig(t, seesawQuadEncoder, {}, model);
  await rig.open();
  await rig.poll();
  await rig.poll();
  model.turn(0, 1);
  model.turn(2, 4000);
  model.press(0);
  t.match(await rig.poll(), [{ type: 'unsure', controls: ['encoder1', 'encoder2', 'encoder3', 'encoder4'] }]);
});

t.test('all that a knob turns is counted, however it is polled, across the wrap of 32 bits', async () => {
  const step = fc.tuple(fc.integer({ min: -20, max: 20 }), fc.integer({ min: 40, max: 5000 }));
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.array(step), (start, steps) => {
      const dial = new Dial();
      let position = start;
      let at = 0;
      let sum = 0;
      if (dial.take(position, at) !== null) throw new Error('acted on the first reading');
      for (const [pulses, elapsedMs] of steps) {
        position = (position + pulses) | 0;
        at += elapsedMs;
        const travel = dial.take(position, at);
        if (typeof travel !== 'number') throw new Error(`${travel}`);
        sum += travel;
      }
      if (((start + sum) | 0) !== position) throw new Error(`${sum} pulses counted`);
    }),
  );
});

t.test('never more pulses than a hand can turn', async () => {
  const reading = fc.tuple(
    fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.integer({ min: -600, max: 600 }).map((offset) => startPosition + offset),
    ),
    fc.nat(3000),
  );
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const dial = new Dial();
      let at = 0;
      for (const [position, elapsedMs] of readings) {
        at += elapsedMs;
        const travel = dial.take(position, at);
        if (typeof travel === 'number' && Math.abs(travel) > mostPulses(elapsedMs))
          throw new Error(`${travel} after ${elapsedMs} ms`);
      }
    }),
  );
});

t.test('the bound: 12 pulses in 20 ms, 404 however long it was', async (t) => {
  t.same([0, 20, 1000, 60_000, -1].map(mostPulses), [4, 12, 404, 404, 4]);
});

t.test('config', async (t) => {
  t.same(seesawEncoder.schema.parse({}), { name: 'encoder1', invert: false });
  t.throws(() => seesawEncoder.schema.parse({ nane: 'x' }));
  t.throws(() => seesawQuadEncoder.schema.parse({ names: ['a', 'b', 'c'] }));
  t.same(seesawQuadEncoder.declare(seesawQuadEncoder.schema.parse({})), {
    controls: ['encoder1', 'encoder2', 'encoder3', 'encoder4'].map((name) => ({
      name,
      kind: 'encoder',
      pulsesPerDetent: 1,
    })),
    lights: null,
  });
});
