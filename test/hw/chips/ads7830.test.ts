import fc from 'fast-check';
import t from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import { ads7830, encodeCommand } from '../../../daemon/hw/chips/ads7830.ts';
import type { RawInput } from '../../../daemon/hw/chips/driver.ts';
import { Ads1115Model } from '../../../hil/sim/chips/ads1115.ts';
import { Ads7830Model } from '../../../hil/sim/chips/ads7830.ts';
import { PartRig, partRig } from './part-rig.ts';

const eight = {
  channels: [0, 1, 2, 3, 4, 5, 6, 7].map((channel) => ({ channel, name: `fader${channel + 1}` })),
};
const newModel = () => new Ads7830Model(() => 0.5);

t.test('commands of all channels, as in the reference', async (t) => {
  const commands = (isOn: boolean) => eight.channels.map(({ channel }) => encodeCommand(channel, isOn));
  t.same(commands(true), [0x8c, 0xcc, 0x9c, 0xdc, 0xac, 0xec, 0xbc, 0xfc]);
  t.same(commands(false), [0x84, 0xc4, 0x94, 0xd4, 0xa4, 0xe4, 0xb4, 0xf4]);
});

t.test('eight faders, each with its own voltage', async (t) => {
  const chip = newModel();
  const rig = partRig(t, ads7830, eight, chip);
  for (const { channel } of eight.channels) chip.setVolts(channel, (3.3 * channel) / 7);
  await rig.open();
  const levels = (await rig.poll()).map((report) => report.type === 'level' && report.value.toFixed(2));
  t.same(levels, ['0.00', '0.14', '0.29', '0.43', '0.57', '0.71', '0.86', '1.00']);
  rig.bus.busTimeMs = 0;
  await rig.poll();
  const share = rig.bus.busTimeMs / rig.session.pollMs;
  t.ok(share < 0.09, `all eight take ${(100 * share).toFixed(1)} % of the bus`);
});

t.test('the reference of the part is on and steady before the first reading counts', async (t) => {
  const chip = newModel();
  chip.referenceVolts = null;
  const config = { channels: [{ channel: 2, name: 'fader1', invert: true }], internalReference: true };
  const rig = partRig(t, ads7830, config, chip);
  chip.setVolts(2, 0.5);
  await rig.open();
  const [report] = await rig.poll();
  t.equal(report?.type === 'level' && report.value.toFixed(2), '0.80');
});

t.test('a part that is gone', async (t) => {
  const rig = partRig(t, ads7830, eight, newModel());
  await rig.open();
  rig.bus.unplug(0x48);
  await t.rejects(rig.poll(), { code: 'E_HW_NO_ACK' });
  await t.rejects(rig.open(), { code: 'E_HW_NO_ACK' });
  await t.rejects(ads7830.probe(rig.device, rig.time), { code: 'E_HW_NO_ACK' });
  t.same(rig.reports, []);
});

t.test('probe: at any place of the faders, and not an ADS1115 in any state', async (t) => {
  const chip = newModel();
  const rig = partRig(t, ads7830, eight, chip);
  for (let volts = 0; volts < 3.3; volts += 0.1) {
    chip.setVolts(0, volts);
    t.match(await ads7830.probe(rig.device, rig.time), /ADS7830/);
  }
  const other = new Ads1115Model();
  rig.bus.plug(0x48, other);
  t.equal(await ads7830.probe(rig.device, rig.time), null, 'after power-on');
  for (let volts = -0.3; volts < 3.4; volts += 0.1) {
    other.setVolts(0, volts);
    await rig.device.write('input', [1, 0xc3, 0xe3]);
    rig.time.pass(2);
    t.equal(await ads7830.probe(rig.device, rig.time), null, `in use, ${volts.toFixed(1)} V`);
  }
});

t.test('nothing is reported after close', async (t) => {
  const rig = partRig(t, ads7830, eight, newModel());
  await rig.open();
  const poll = rig.poll();
  await rig.session.close();
  t.same(await poll, []);
});

t.test('any bytes: levels from 0 to 1, each of them read twice, or a fault', async (t) => {
  const counts = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 100, max: 120 }));
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(counts, { maxLength: 20 }), async (bytes) => {
        const left = [...bytes];
        const chip = { part: 'noise', reset: () => {}, transfer: () => [Uint8Array.of(left.shift() ?? 0)] };
        const rig = new PartRig(ads7830, eight, chip);
        await rig.open();
        const pairs = Array.from({ length: 8 }, (_, index) => [
          left[2 * index] ?? 0,
          left[2 * index + 1] ?? 0,
        ]);
        const isSound = pairs.every(([first = 0, second = 0]) => Math.abs(first - second) <= 16);
        let reports: readonly RawInput[] | null = null;
        try {
          reports = await rig.poll();
        } catch (error) {
          if (!(error instanceof SurfacedError) || error.code !== 'E_HW_PART') throw error;
        }
        if ((reports !== null) !== isSound) throw new Error(isSound ? 'a fault' : 'no fault');
        for (const [index, report] of (reports ?? []).entries())
          if (report.type !== 'level' || report.value !== (pairs[index]?.[1] ?? 0) / 255)
            throw new Error('another level');
      }),
    ),
  );
});

t.test('a fader that is moved at once to the other end is followed; garbage is none', async (t) => {
  const chip = newModel();
  const rig = partRig(t, ads7830, { channels: [{ channel: 3, name: 'fader1' }] }, chip);
  await rig.open();
  for (const volts of [0, 3.3, 0, 1.65]) {
    chip.setVolts(3, volts);
    t.same(
      (await rig.poll()).map((report) => report.type === 'level' && report.value.toFixed(2)),
      [(volts / 3.3).toFixed(2)],
    );
  }
  rig.bus.fault(0x48, 'garbage');
  let faults = 0;
  for (let poll = 0; poll < 100; poll++) await rig.poll().catch(() => faults++);
  t.ok(faults > 50, `${faults} of 100 readings`);
});
