import fc from 'fast-check';
import t from 'tap';
import { ads1115, decodeVolts, encodeStart, fullScaleFor } from '../../../daemon/hw/chips/ads1115.ts';
import { Ads1115Model } from '../../../hil/sim/chips/ads1115.ts';
import { Ads7830Model } from '../../../hil/sim/chips/ads7830.ts';
import { PartRig, partRig } from './part-rig.ts';

const four = {
  channels: [0, 1, 2, 3].map((channel) => ({ channel, name: `fader${channel + 1}` })),
};

t.test('config register: the example of the reference and every field', async (t) => {
  t.equal(encodeStart(0, 4.096, 860), 0xc3e3);
  t.equal(encodeStart(3, 6.144, 8), 0xf103);
  t.equal(encodeStart(1, 0.512, 128), 0xd983);
  t.equal(decodeVolts(0x8000, 4.096), -4.096);
  t.equal(decodeVolts(0x4000, 4.096), 2.048);
  t.same([0.5, 1.8, 3.3, 4.096, 5].map(fullScaleFor), [0.512, 2.048, 4.096, 4.096, 6.144]);
});

t.test('four faders, each with its own voltage', async (t) => {
  const chip = new Ads1115Model();
  const rig = partRig(t, ads1115, four, chip);
  [0, 1.1, 2.2, 3.3].forEach((volts, channel) => {
    chip.setVolts(channel, volts);
  });
  await rig.open();
  rig.bus.busTimeMs = 0;
  const reports = await rig.poll();
  const levels = reports.map((report) => report.type === 'level' && Number(report.value.toFixed(4)));
  t.same(levels, [0, 0.3333, 0.6667, 1]);
  t.same(
    reports.map((report) => report.at - (reports[0]?.at ?? 0)),
    [0, 2, 4, 6],
    'each with the time of its own conversion',
  );
  t.equal(rig.session.pollMs, 20, 'four faders 50 times a second');
  t.ok(rig.bus.busTimeMs < 1.5, `they take ${rig.bus.busTimeMs.toFixed(2)} ms of the bus`);
});

t.test('the fastest and the slowest part that are allowed', async (t) => {
  for (const speed of [0.9, 1.1]) {
    for (const rate of [8, 16, 32, 64, 128, 250, 475, 860]) {
      const chip = new Ads1115Model();
      chip.speed = speed;
      chip.setVolts(1, 1.65);
      const rig = partRig(t, ads1115, { channels: [{ channel: 1, name: 'fader1' }], rate }, chip);
      await rig.open();
      rig.lines();
      const [report] = await rig.poll();
      t.equal(report?.type === 'level' && report.value.toFixed(3), '0.500');
      t.equal(rig.lines().length, 3, `${rate} a second: ready at the first look`);
    }
  }
});

t.test('another supply gives another full scale; too much or too little is no fader', async (t) => {
  const chip = new Ads1115Model();
  const rig = partRig(t, ads1115, { channels: [{ channel: 0, name: 'fader1' }], supplyVolts: 1.8 }, chip);
  chip.setVolts(0, 0.9);
  await rig.open();
  const [report] = await rig.poll();
  t.equal(report?.type === 'level' && report.value.toFixed(3), '0.500');
  for (const volts of [2.0, -0.4]) {
    chip.setVolts(0, volts);
    await t.rejects(rig.poll(), { code: 'E_HW_PART', message: /supplyVolts is 1.8/ });
    t.same(rig.reports, []);
  }
  chip.setVolts(0, 1.8);
  t.equal((await rig.poll()).length, 1, 'goes on when it is right again');
});

t.test('a conversion of somebody else is never taken for ours', async (t) => {
  for (const left of [
    [1, 0xc1, 0x03] /* 8 a second, under way */,
    [1, 0xc2, 0x83] /* continuous */,
  ]) {
    const chip = new Ads1115Model();
    const rig = partRig(t, ads1115, { channels: [{ channel: 3, name: 'fader4' }] }, chip);
    chip.setVolts(0, 3.3);
    chip.setVolts(3, 0.33);
    await rig.device.write('input', left);
    await rig.open();
    const [report] = await rig.poll();
    t.equal(report?.type === 'level' && report.value.toFixed(3), '0.100');
  }
});

t.test('a part that never ends a conversion, and one that loses its power', async (t) => {
  const chip = new Ads1115Model();
  const rig = partRig(t, ads1115, four, chip);
  await rig.open();
  chip.speed = 0;
  await t.rejects(rig.poll(), { code: 'E_HW_PART', message: /does not end/ });
  await t.rejects(rig.poll(), { code: 'E_HW_PART', message: /does not end its conversion/ });
  chip.speed = 1;
  chip.reset();
  t.equal((await rig.poll()).length, 4);
  rig.bus.fault(0x48, 'no-ack');
  await t.rejects(rig.poll(), { code: 'E_HW_NO_ACK' });
  rig.bus.fault(0x48, 'half');
  await t.rejects(rig.poll(), { code: 'E_HW_PART' });
  await t.rejects(rig.open(), { code: 'E_HW_PART' });
  t.same(rig.reports, []);
});

t.test('probe: only reads, and tells it from an ADS7830', async (t) => {
  const rig = partRig(t, ads1115, four, new Ads1115Model());
  t.match(await ads1115.probe(rig.device, rig.time), /^an ADS1115/);
  t.same(rig.lines(), ['w 02 r 80 00', 'w 03 r 7f ff']);
  for (let volts = 0; volts < 3.3; volts += 0.01) {
    const other = new Ads7830Model(() => 0.5);
    other.setVolts(0, volts);
    rig.bus.plug(0x48, other);
    t.equal(await ads1115.probe(rig.device, rig.time), null);
  }
  await t.rejects(rig.open(), { code: /^E_HW_/ }, 'nor is it opened as one');
  // The three bytes of the config write are what an ADS7830 would not take.
  rig.bus.protocolErrors.length = 0;
});

t.test('nothing is reported after close', async (t) => {
  const rig = partRig(t, ads1115, four, new Ads1115Model());
  await rig.open();
  const poll = rig.poll();
  await rig.session.close();
  await rig.session.close();
  t.same(await poll, []);
});

t.test('the schema', async (t) => {
  const parse = (config: unknown) => ads1115.schema.safeParse(config);
  t.ok(parse(four).success);
  t.notOk(parse({ channels: [] }).success);
  t.notOk(parse({ channels: [{ channel: 4, name: 'fader1' }] }).success);
  t.notOk(parse({ ...four, rate: 100 }).success);
  t.notOk(parse({ ...four, gain: 1 }).success, 'unknown fields');
  const twice = { channel: 0, name: 'fader1' };
  t.match(parse({ channels: [twice, twice] }).error?.issues[0]?.message, /each channel once/);
});

t.test('any bytes: an error with a code, or levels from 0 to 1', async (t) => {
  const word = fc.oneof(fc.constantFrom(0xc3e3, 0x43e3, 0x8583), fc.integer({ min: 0, max: 0xffff }));
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 40 }), async (words) => {
        const left = [...words];
        const chip = {
          part: 'noise',
          reset: () => {},
          transfer: () => {
            const next = left.shift() ?? 0xc3e3;
            return [Uint8Array.of(next >> 8, next & 0xff)];
          },
        };
        const rig = new PartRig(ads1115, { channels: [{ channel: 0, name: 'fader1' }] }, chip);
        const outcome = await rig
          .open()
          .then(() => rig.poll())
          .catch((error: { code?: string }) => error.code);
        if (outcome === 'E_HW_PART') return;
        if (!Array.isArray(outcome)) throw new Error(`ended with ${outcome}`);
        for (const report of outcome) {
          if (report.type !== 'level' || !(report.value >= 0 && report.value <= 1))
            throw new Error('no level');
        }
      }),
    ),
  );
});
