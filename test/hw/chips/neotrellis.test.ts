/** The NeoTrellis against its model: keys, a queue that runs over, garbage, lights. */
import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { RawInput } from '../../../daemon/hw/chips/driver.ts';
import { decodeKey, keyNumber, neotrellis } from '../../../daemon/hw/chips/neotrellis.ts';
import type { ControlFeedback } from '../../../daemon/surface/types.ts';
import { NeoTrellisModel } from '../../../hil/sim/chips/seesaw-parts.ts';
import { partRig } from './part-rig.ts';

const rows = ['row1', 'row2', 'row3', 'row4'];
const allUp = rows.flatMap((control) =>
  [0, 1, 2, 3].map((index) => ({ type: 'switch', control, index, isDown: false })),
);
const plain = (inputs: readonly RawInput[]) => inputs.map(({ at: _, ...input }) => input);

t.test('numbers of keys: rows of four in places for eight, there and back', async (t) => {
  t.same([0, 3, 4, 7, 8, 15].map(keyNumber), [0, 3, 8, 11, 16, 27]);
  for (let byte = 0; byte < 256; byte++) {
    const event = decodeKey(byte);
    if (event === null) continue;
    t.equal((keyNumber(event.key) << 2) | (event.edge === 'rising' ? 3 : 2), byte);
  }
  t.equal(
    Array.from({ length: 256 }, (_, byte) => decodeKey(byte)).filter((event) => event !== null).length,
    32,
  );
});

t.test('keys go down and up, in their order, after a first reading that says that all are up', async (t) => {
  const model = new NeoTrellisModel();
  const rig = partRig(t, neotrellis, {}, model);
  model.pressKey(3);
  await rig.open();
  t.same(plain(await rig.poll()), allUp);
  model.pressKey(0);
  model.pressKey(15);
  model.releaseKey(0);
  t.ok(model.isInterrupting);
  t.same(plain(await rig.poll()), [
    { type: 'switch', control: 'row1', index: 0, isDown: true },
    { type: 'switch', control: 'row4', index: 3, isDown: true },
    { type: 'switch', control: 'row1', index: 0, isDown: false },
  ]);
  t.notOk(model.isInterrupting);
  t.same(await rig.poll(), []);
  t.same(rig.time.pauses.slice(-1), [8], 'one pause when nothing waits');
  t.ok(rig.session.pollMs >= 17);
});

t.test('sources disagree which edge is a press', async (t) => {
  const model = new NeoTrellisModel();
  const rig = partRig(t, neotrellis, { pressEdge: 'falling' }, model);
  await rig.open();
  await rig.poll();
  model.pressKey(6);
  t.same(plain(await rig.poll()), [{ type: 'switch', control: 'row2', index: 2, isDown: false }]);
  model.releaseKey(6);
  t.same(plain(await rig.poll()), [{ type: 'switch', control: 'row2', index: 2, isDown: true }]);
});

t.test('a queue that ran over has lost events: keys are learnt anew', async (t) => {
  const model = new NeoTrellisModel();
  const rig = partRig(t, neotrellis, {}, model);
  await rig.open();
  await rig.poll();
  for (let n = 0; n < 126; n++) model.pressKey(n % 16);
  t.equal((await rig.poll()).length, 126, 'all that it can keep and one less');
  for (let n = 0; n < 200; n++) model.pressKey(n % 16);
  t.same(plain(await rig.poll()), [{ type: 'unsure', controls: rows }]);
  model.pressKey(1);
  t.same(plain(await rig.poll()), [...allUp, { type: 'switch', control: 'row1', index: 1, isDown: true }]);
});

t.test('events that the part handed out in a read that failed are lost: keys are learnt anew', async (t) => {
  const model = new NeoTrellisModel();
  const rig = partRig(t, neotrellis, {}, model);
  await rig.open();
  await rig.poll();
  model.pressKey(5);
  t.same(plain(await rig.poll()), [{ type: 'switch', control: 'row2', index: 1, isDown: true }]);
  const read = rig.device.read.bind(rig.device);
  const failing = async (length: number): Promise<void> => {
    rig.device.read = async (priority, wanted) => {
      const bytes = await read(priority, wanted);
      if (wanted !== length) return bytes;
      throw new SurfacedError('E_HW_BUS', 'popped, then failed');
    };
    await t.rejects(rig.poll(), { code: 'E_HW_BUS' });
    rig.device.read = read;
  };
  model.releaseKey(5);
  await failing(3);
  t.same(plain(rig.reports.splice(0)), [{ type: 'unsure', controls: rows }]);
  t.same(plain(await rig.poll()), allUp, 'the release is gone, and nothing is taken for held');
  model.pressKey(5);
  await failing(1);
  t.same(rig.reports, [], 'counting takes no event away');
  t.same(plain(await rig.poll()), [{ type: 'switch', control: 'row2', index: 1, isDown: true }]);
});

t.test('garbage: no press, and a fault when it goes on', async (t) => {
  const model = new NeoTrellisModel();
  const rig = partRig(t, neotrellis, {}, model);
  await rig.open();
  await rig.poll();
  rig.bus.fault(0x2e, 'half');
  for (let n = 0; n < 3; n++) {
    // Two of four are FF; half of a single byte is all of it.
    for (const key of [1, 2, 3, 4]) model.pressKey(key);
    const poll = rig.poll();
    if (n < 2) t.same(plain(await poll), [{ type: 'unsure', controls: rows }]);
    else await t.rejects(poll, { code: 'E_HW_PART' });
  }
});

t.test('an event that is followed by what is none and not FF is garbage', async (t) => {
  let bytes: number[] = [];
  const model = new NeoTrellisModel();
  const rig = partRig(t, neotrellis, {}, model);
  await rig.open();
  await rig.poll();
  const read = rig.device.read.bind(rig.device);
  rig.device.read = async (priority, length) =>
    Uint8Array.from([...(await read(priority, length))], () => bytes.shift() ?? 0xff);
  const press = (keyNumber(5) << 2) | 3;
  bytes = [1, press, 0x30, 0xff];
  t.same(plain(await rig.poll()), [{ type: 'unsure', controls: rows }]);
  bytes = [1, press, 0xff, 0xff];
  t.same(plain(await rig.poll()), [...allUp, { type: 'switch', control: 'row2', index: 1, isDown: true }]);
  bytes = [1, press - 1, press, 0xff];
  t.equal((await rig.poll()).length, 2, 'one that came late');
});

t.test('rows of pads are the matrix, buttons have a light of their own', async (t) => {
  const model = new NeoTrellisModel();
  const buttons = ['arm', 'undo', 'previous', 'next'];
  const rig = partRig(t, neotrellis, { rows: [buttons, 'a', 'b', 'c'] }, model);
  const { controls, lights } = neotrellis.declare(rig.config);
  t.same(lights, { width: 4, height: 3, colours: 'rgb' });
  t.same(
    controls.map(({ name, kind }) => `${kind} ${name}`),
    ['button arm', 'button undo', 'button previous', 'button next', 'pads a', 'pads b', 'pads c'],
  );
  await rig.open();
  await rig.poll();
  model.pressKey(1);
  model.pressKey(6);
  t.same(plain(await rig.poll()), [
    { type: 'switch', control: 'undo', isDown: true },
    { type: 'switch', control: 'a', index: 2, isDown: true },
  ]);
  const rgb = new Uint8Array(36);
  rgb.set([255, 0, 0], 0);
  rgb.set([0, 0, 255], 33);
  const undo: ControlFeedback = { position: null, ring: null, light: [255, 255, 255], hint: null };
  await rig.show({ rgb, controls: new Map([['undo', undo]]) });
  const shown = Array.from({ length: 16 }, (_, key) =>
    [...model.lights().rgb.subarray(3 * key, 3 * key + 3)].join(),
  );
  const wanted = new Map([
    [1, '255,255,255'],
    [4, '255,0,0'],
    [15, '0,0,255'],
  ]);
  t.same(
    shown,
    Array.from({ length: 16 }, (_, key) => wanted.get(key) ?? '0,0,0'),
  );
  t.equal(neotrellis.declare({ ...rig.config, rows: rows.map(() => buttons) }).lights, null);
});

t.test('whatever is pressed between polls is reported in its order', async () => {
  const change = fc.record({ key: fc.nat(15), isDown: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { maxLength: 100 }), { maxLength: 4 }), async (polls) => {
      const model = new NeoTrellisModel();
      const rig = partRig(t, neotrellis, {}, model);
      await rig.open();
      await rig.poll();
      for (const changes of polls) {
        for (const { key, isDown } of changes) isDown ? model.pressKey(key) : model.releaseKey(key);
        const seen = (await rig.poll()).map((input) =>
          input.type === 'switch'
            ? { key: 4 * rows.indexOf(input.control) + (input.index ?? 0), isDown: input.isDown }
            : input,
        );
        if (JSON.stringify(seen) !== JSON.stringify(changes)) throw new Error('another order');
      }
    }),
    { numRuns: 40 },
  );
});

t.test('config', async (t) => {
  t.same(neotrellis.schema.parse({}), { rows, pressEdge: 'rising' });
  t.throws(() => neotrellis.schema.parse({ rows: ['a', 'b', 'c'] }));
  t.throws(() => neotrellis.schema.parse({ rows: ['a', 'b', 'c', ['d']] }));
  t.same([neotrellis.addresses[0], neotrellis.addresses.at(-1)], [0x2e, 0x4d]);
});
