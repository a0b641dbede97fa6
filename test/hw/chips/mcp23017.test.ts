import fc from 'fast-check';
import t from 'tap';
import { decodeReading, levelsSince, mcp23017 } from '../../../daemon/hw/chips/mcp23017.ts';
import { Mcp23017Model } from '../../../hil/sim/chips/mcp23017.ts';
import { numbers, PartRig, partRig } from './part-rig.ts';

const names = [...'AB'].flatMap((port) => [...'01234567'].map((bit) => `${port}${bit}`));
const sixteen = { buttons: names.map((pin) => ({ pin, name: pin.toLowerCase() })) };
const newModel = () => new Mcp23017Model(numbers(7));

/** Readings in short, e.g. `a0 down`. */
const short = (reports: readonly { type: string }[]) =>
  reports.map((report) => {
    const { control, isDown } = report as { control?: string; isDown?: boolean };
    return `${control} ${isDown ? 'down' : 'up'}`;
  });

/** How sixteen buttons stand, in short, with some of them down. */
const standing = (...down: readonly string[]) =>
  sixteen.buttons.map(({ name }) => `${name} ${down.includes(name) ? 'down' : 'up'}`);

t.test('sixteen buttons, one after the other', async (t) => {
  const chip = newModel();
  const rig = partRig(t, mcp23017, sixteen, chip);
  await rig.open();
  t.same(short(await rig.poll()), standing(), 'the first poll tells all');
  t.same(await rig.poll(), [], 'nothing moved');
  for (const [pin, name] of names.entries()) {
    chip.press(pin);
    t.same(short(await rig.poll()), [`${name.toLowerCase()} down`]);
    t.same(await rig.poll(), [], 'once');
    chip.release(pin);
    t.same(short(await rig.poll()), [`${name.toLowerCase()} up`]);
  }
  rig.bus.busTimeMs = 0;
  await rig.poll();
  const share = rig.bus.busTimeMs / rig.session.pollMs;
  t.ok(share < 0.07, `polling takes ${(100 * share).toFixed(1)} % of the bus`);
});

t.test('a press or a gap that is shorter than a poll is not lost', async (t) => {
  const chip = newModel();
  const rig = partRig(t, mcp23017, sixteen, chip);
  await rig.open();
  chip.press(9);
  chip.release(9);
  t.same(
    short(await rig.poll()),
    [...standing(), 'b1 down', 'b1 up'],
    'before the first poll: after how all stood',
  );
  chip.press(9);
  chip.release(9);
  t.same(short(await rig.poll()), ['b1 down', 'b1 up']);
  chip.press(9);
  await rig.poll();
  chip.release(9);
  chip.press(9);
  t.same(short(await rig.poll()), ['b1 up', 'b1 down']);
  chip.press(0);
  chip.press(1);
  chip.release(0);
  t.same(short(await rig.poll()), ['a0 down', 'a0 up', 'a1 down'], 'beside another of the same port');
});

t.test('what is down at the start is told as down first', async (t) => {
  const chip = newModel();
  const rig = partRig(t, mcp23017, sixteen, chip);
  chip.press(3);
  await rig.open();
  t.same(short(await rig.poll()), standing('a3'));
  t.same(await rig.poll(), [], 'once');
  chip.release(3);
  t.same(short(await rig.poll()), ['a3 up']);
  chip.press(3);
  t.same(short(await rig.poll()), ['a3 down']);
  await rig.open();
  chip.release(3);
  t.same(
    short(await rig.poll()),
    [...standing('a3'), 'a3 up'],
    'opened again, and let go of before the poll',
  );
});

t.test('a button to the supply, with a pull-down on the board', async (t) => {
  const chip = newModel();
  const rig = partRig(t, mcp23017, { buttons: [{ pin: 'B7', name: 'arm', activeLow: false }] }, chip);
  chip.drive(15, 'low');
  await rig.open();
  t.same(short(await rig.poll()), ['arm up']);
  t.same(await rig.poll(), []);
  chip.drive(15, 'high');
  t.same(short(await rig.poll()), ['arm down']);
  chip.drive(15, 'low');
  t.same(short(await rig.poll()), ['arm up']);
});

t.test('the interrupt line: low from a change until the poll, not for pins without a button', async (t) => {
  const chip = newModel();
  const wire: boolean[] = [];
  const rig = partRig(t, mcp23017, { buttons: [{ pin: 'B2', name: 'arm' }] }, chip);
  await rig.open();
  chip.onInterrupt = (isLow) => wire.push(isLow);
  chip.press(0);
  t.notOk(chip.interruptIsLow);
  chip.press(10);
  t.ok(chip.interruptIsLow, 'port B is seen at INTA');
  await rig.poll();
  t.notOk(chip.interruptIsLow);
  chip.release(10);
  await rig.session.close();
  chip.press(10);
  t.same(wire, [true, false, true, false], 'closed: no more');
});

t.test('whatever another program left in it', async (t) => {
  for (const left of [
    [[0x0a, 0x80]],
    [
      [0x02, 0xff],
      [0x08, 0xff],
      [0x06, 0x55],
      [0x00, 0x00],
      [0x14, 0xff],
    ],
    [[0x0a, 0x20]],
    [[0x0a, 0xa2]],
  ]) {
    const chip = newModel();
    const rig = partRig(t, mcp23017, sixteen, chip);
    for (const bytes of left) await rig.device.write('input', bytes);
    await rig.open();
    t.same(short(await rig.poll()), standing());
    t.same(await rig.poll(), []);
    chip.press(4);
    t.ok(chip.interruptIsLow);
    t.same(short(await rig.poll()), ['a4 down']);
    t.notOk(chip.interruptIsLow);
  }
});

t.test('a part that another program has set up since is opened anew', async (t) => {
  for (const left of [
    [0x04, 0x00, 0x00],
    [0x00, 0xff, 0x7f],
    [0x02, 0x00, 0x01],
  ]) {
    const rig = partRig(t, mcp23017, sixteen, newModel());
    await rig.open();
    await rig.poll();
    await rig.device.write('input', left);
    await rig.time.pause(1000);
    await t.rejects(rig.poll(), { code: 'E_HW_PART', message: /another program/ });
    await t.rejects(rig.poll(), { code: 'E_HW_PART' }, 'until then');
    await rig.open();
    t.same(short(await rig.poll()), standing());
    await rig.time.pause(1000);
    t.same(await rig.poll(), []);
  }
});

t.test('a part that lost its power presses nothing, and works when it is opened again', async (t) => {
  const chip = newModel();
  const rig = partRig(t, mcp23017, sixteen, chip);
  await rig.open();
  chip.reset();
  await t.rejects(rig.poll(), { code: 'E_HW_PART' });
  rig.bus.unplug(0x20);
  await t.rejects(rig.poll(), { code: 'E_HW_NO_ACK' });
  await rig.session.close();
  rig.bus.plug(0x20, chip);
  t.same(rig.reports, []);
  await rig.open();
  t.same(short(await rig.poll()), standing(), 'opened again: all are told again');
  chip.press(1);
  t.same(short(await rig.poll()), ['a1 down']);
});

t.test('garbage and half transfers press nothing', async (t) => {
  const chip = newModel();
  const rig = partRig(t, mcp23017, { buttons: [{ pin: 'A0', name: 'arm' }] }, chip);
  await rig.open();
  chip.press(0);
  for (const fault of ['garbage', 'half'] as const) {
    rig.bus.fault(0x20, fault);
    for (let count = 0; count < 50; count++) await t.rejects(rig.poll(), { code: 'E_HW_PART' });
    await t.rejects(rig.open(), { code: 'E_HW_PART' });
  }
  t.same(rig.reports, []);
  rig.bus.fault(0x20, 'none');
  await rig.open();
  t.same(short(await rig.poll()), ['arm down'], 'opened again: held from before, a first reading');
  t.same(await rig.poll(), []);
});

t.test('probe: only reads', async (t) => {
  const rig = partRig(t, mcp23017, sixteen, newModel());
  t.match(await mcp23017.probe(rig.device, rig.time), /MCP23017/);
  t.same(rig.lines(), ['w 0a r 00 00']);
  await rig.open();
  t.match(await mcp23017.probe(rig.device, rig.time), /MCP23017/, 'in use');
});

t.test('the schema', async (t) => {
  const parse = (config: unknown) => mcp23017.schema.safeParse(config);
  t.ok(parse(sixteen).success);
  t.notOk(parse({ buttons: [] }).success);
  t.notOk(parse({ buttons: [{ pin: 'A8', name: 'arm' }] }).success);
  t.notOk(parse({ buttons: [{ pin: 'A0', name: 'Arm!' }] }).success);
  const twice = { pin: 'A0', name: 'arm' };
  t.match(parse({ buttons: [twice, twice] }).error?.issues[0]?.message, /each pin once/);
});

t.test('levels of the interrupt come before those of now, and only of ports that had one', async (t) => {
  const reading = decodeReading(Uint8Array.of(0x44, 0x44, 0xff, 0xff, 1, 0, 0xfe, 0x11, 0xff, 0xff, 0, 0));
  t.same(levelsSince(0xffff, reading), [0xfffe, 0xffff]);
  t.equal(reading.intf, 0x0001);
  t.equal(reading.gpio, 0xffff);
});

t.test('any bytes: an error with a code, or changes that take turns', async (t) => {
  const byte = fc.integer({ min: 0, max: 255 });
  /** Readings that pass for settings, with anything in INTF, INTCAP and GPIO. */
  const plausible = fc
    .array(byte, { minLength: 6, maxLength: 6 })
    .map((bytes) => [0x44, 0x44, 0xff, 0xff, ...bytes, 0, 0]);
  const any = fc.array(byte, { minLength: 12, maxLength: 12 });
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(plausible, plausible, any), { maxLength: 12 }), async (readings) => {
        const chip = newModel();
        const rig = new PartRig(mcp23017, sixteen, chip);
        await rig.open();
        const left = [...readings];
        chip.transfer = () => [Uint8Array.from(left.shift() ?? [])];
        const isDown = new Map<string, boolean>();
        while (left.length > 0) {
          const outcome = await rig.poll().catch((error: { code?: string }) => error.code);
          if (outcome === 'E_HW_PART') continue;
          if (!Array.isArray(outcome)) throw new Error(`ended with ${outcome}`);
          for (const report of outcome) {
            if (report.type !== 'switch') throw new Error('no switch');
            if (isDown.get(report.control) === report.isDown) throw new Error('twice the same');
            if (!isDown.has(report.control) && report.isDown)
              throw new Error('up at the opening, told as down');
            isDown.set(report.control, report.isDown);
          }
          if (isDown.size !== names.length) throw new Error('the first poll tells all');
        }
      }),
    ),
  );
});
