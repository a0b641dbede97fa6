import fc from 'fast-check';
import t, { type Test } from 'tap';
import { parseBootConfig } from '../../../daemon/hw/doctor/boot-config.ts';
import { lookAtI2c } from '../../../daemon/hw/doctor/i2c.ts';
import type { Program } from '../../../daemon/hw/doctor/processes.ts';
import { Ads1115Model } from '../../../hil/sim/chips/ads1115.ts';
import { Ads7830Model } from '../../../hil/sim/chips/ads7830.ts';
import type { BusFault, SimBus } from '../../../hil/sim/chips/bus.ts';
import { Ht16k33Model } from '../../../hil/sim/chips/ht16k33.ts';
import { Is31fl3741Model } from '../../../hil/sim/chips/is31fl3741.ts';
import { SeesawEncoderModel } from '../../../hil/sim/chips/seesaw-parts.ts';
import { SenseHatModel } from '../../../hil/sim/chips/sense-hat.ts';
import { checkOf, linesOf, MadeUpMachine } from './made-up.ts';

const faders = { part: 'ads1115', channels: [{ channel: 0, name: 'fader1' }] };
const panel = (...parts: object[]) => ({ preset: 'parts', parts });
const bootOf = (text: string) => parseBootConfig(text, '/boot/firmware/config.txt', null);
const adapter = 'bcm2835 (i2c@7e804000)';

const sims: SimBus[] = [];

function desk(t: Pick<Test, 'testdir'>): MadeUpMachine {
  const made = new MadeUpMachine(t).bus(1, adapter);
  made.sim.plug(0x48, new Ads1115Model());
  made.sim.plug(0x70, new Ht16k33Model('8x8'));
  sims.push(made.sim);
  return made;
}

t.test('without a config: what answers, and what it may be', async (t) => {
  const look = await lookAtI2c(desk(t).context(null));
  t.same(linesOf(look), [`ok bus 1: ${adapter}: 0x48 ads1115 or ads7830 or neotrellis, 0x70 ht16k33`]);
  t.match(look.found.buses, [
    { bus: 1, path: '/dev/i2c-1', adapter, addresses: [{ address: 0x48 }, { address: 0x70 }] },
  ]);
});

t.test('with a config: its parts are recognized, strangers are named', async (t) => {
  const made = desk(t);
  made.sim.plug(0x36, new SeesawEncoderModel());
  const look = await lookAtI2c(made.context(panel(faders, { part: 'seesaw-encoder' })));
  t.same(linesOf(look), [
    `ok bus 1: ${adapter}: 0x36 seesaw-encoder, 0x48 ads1115, 0x70 (not in the config: ht16k33)`,
    'ok ads1115 at 0x48 on bus 1: an ADS1115 or one of its kin',
    'ok seesaw-encoder at 0x36 on bus 1: Adafruit rotary encoder, seesaw product 4991 on SAMD09',
  ]);
});

t.test('a part that does not answer, and where it may be instead', async (t) => {
  const look = await lookAtI2c(desk(t).context(panel({ ...faders, address: 0x4a })));
  const check = checkOf(look, 'ads1115 at 0x4A on bus 1');
  t.match(check, {
    result: 'fault',
    found: 'does not answer',
    remedy: /Something answers at 0x48: if that is it/,
  });
  const other = await lookAtI2c(desk(t).context(panel({ part: 'is31fl3741' })));
  t.match(checkOf(other, 'is31fl3741 at 0x30 on bus 1').remedy, /address jumpers\.$/);
});

t.test('a part at an address that it cannot have is not asked there', async (t) => {
  const made = desk(t);
  made.sim.plug(0x2f, new Is31fl3741Model(0x30));
  const look = await lookAtI2c(made.context(panel({ part: 'is31fl3741', address: 0x2f }, faders)));
  t.notOk(look.checks.some(({ name }) => name.startsWith('is31fl3741')));
  t.match(checkOf(look, 'bus 1').found, /0x2F \(not in the config: neotrellis\)/, 'nor is it hidden');
});

t.test('two that share an address: what is there is not what the config says', async (t) => {
  const made = desk(t);
  made.sim.plug(0x48, new Ads7830Model(Math.random));
  const look = await lookAtI2c(made.context(panel(faders)));
  t.match(checkOf(look, 'ads1115 at 0x48 on bus 1'), {
    result: 'fault',
    found: 'something answers, but not as ads1115 does; at 0x48 there can also be ads7830, neotrellis',
    remedy: /Correct `part` or `address`/,
  });
});

t.test('an address that a kernel driver has', async (t) => {
  const made = desk(t).link('/sys/bus/i2c/devices/1-0046/driver', '../../../drivers/rpi-sense');
  made.sim.plug(0x46, new SenseHatModel());
  made.claimed.add(0x46);
  const look = await lookAtI2c(made.context(panel({ part: 'sense-hat' })));
  t.match(checkOf(look, 'sense-hat at 0x46 on bus 1'), {
    result: 'fault',
    found: 'claimed by the kernel driver rpi-sense',
    remedy: /`sense-hat-kernel`/,
  });
  t.match(
    checkOf(await lookAtI2c(made.context(null)), 'bus 1').found,
    /0x46 in use by the kernel driver rpi-sense/,
  );
  made.claimed.add(0x48);
  const faderLook = await lookAtI2c(made.context(panel(faders)));
  t.match(checkOf(faderLook, 'ads1115 at 0x48 on bus 1'), {
    found: 'claimed by a kernel driver',
    remedy: /Remove the overlay/,
  });
});

t.test('a bus that hangs holds nobody up', async (t) => {
  const made = desk(t);
  made.sim.fault(0x48, 'stuck');
  const look = await lookAtI2c(made.context(panel(faders, { part: 'ht16k33', display: '8x8' })));
  t.match(checkOf(look, 'ads1115 at 0x48 on bus 1'), { result: 'fault', found: /0x48 took over 30 ms/ });
  t.match(checkOf(look, 'ht16k33 at 0x70 on bus 1'), { result: 'skipped', found: 'the bus is stuck' });
  const listed = await lookAtI2c(made.context(null));
  t.match(checkOf(listed, 'bus 1'), {
    result: 'warning',
    found: /stuck: a transfer with 0x48 took over 30 ms/,
  });
});

t.test('a part that may hold the clock may want a slower bus', async (t) => {
  const made = desk(t);
  made.sim.plug(0x36, new SeesawEncoderModel());
  made.sim.fault(0x36, 'stuck');
  const seesaw = await lookAtI2c(made.context(panel({ part: 'seesaw-encoder' })));
  t.match(checkOf(seesaw, 'seesaw-encoder at 0x36 on bus 1').remedy, /i2c_arm_baudrate=100000/);
  made.sim.fault(0x48, 'stuck');
  const converter = await lookAtI2c(made.context(panel(faders)));
  t.notMatch(checkOf(converter, 'ads1115 at 0x48 on bus 1').remedy, /baudrate/);
});

t.test('a bus that does not open, and one that opens too late', async (t) => {
  const made = desk(t);
  made.change = { openI2c: () => Promise.reject(new Error('EIO')) };
  t.match(checkOf(await lookAtI2c(made.context(panel(faders))), 'bus 1'), { result: 'fault', found: /EIO/ });
  made.change = { openI2c: () => new Promise(() => {}), limits: { transferMs: 30, busMs: 20 } };
  t.match(
    checkOf(await lookAtI2c(made.context(panel(faders))), 'bus 1').found,
    /does not open within 0.02 s/,
  );
  t.equal(checkOf(await lookAtI2c(made.context(null)), 'bus 1').result, 'warning');
});

t.test('SDA that is held low looks like an answer everywhere', async (t) => {
  const made = new MadeUpMachine(t).bus(1, null);
  const transport = { transfer: async () => new Uint8Array(1), close: async () => {} };
  made.change = { openI2c: async () => transport };
  t.match(checkOf(await lookAtI2c(made.context(panel(faders))), 'bus 1'), {
    result: 'fault',
    found: '112 addresses answer, which cannot be',
    remedy: /holds SDA low/,
  });
  const unnamed = checkOf(await lookAtI2c(made.context(null)), 'bus 1');
  t.match(unnamed, { result: 'warning', found: /^112 addresses/ }, 'nobody says that a panel is there');
});

t.test('an adapter on which every transfer fails', async (t) => {
  const made = new MadeUpMachine(t).bus(1, null);
  let count = 0;
  const transfer = async () => {
    count += 1;
    throw Object.assign(new Error('ETIMEDOUT'), { errno: -110 });
  };
  made.change = { openI2c: async () => ({ transfer, close: async () => {} }) };
  t.match(checkOf(await lookAtI2c(made.context(null)), 'bus 1'), { result: 'warning', found: /ETIMEDOUT/ });
  t.ok(count < 10, `${count} transfers and no more`);
});

t.test('why a bus is not there', async (t) => {
  const remedyOf = async (made: MadeUpMachine, boot: string | null, bus = 1) => {
    const context = made.context(panel({ ...faders, bus }), boot === null ? {} : { boot: bootOf(boot) });
    const check = checkOf(await lookAtI2c(context), `bus ${bus}`);
    t.equal(check.result, 'fault');
    return check.remedy ?? '';
  };
  const bare = () => new MadeUpMachine(t).put('/dev/null');
  t.match(
    await remedyOf(bare(), ''),
    /^Add `dtparam=i2c_arm=on` to \/boot\/firmware\/config.txt and restart\.$/,
  );
  t.match(await remedyOf(bare(), 'dtparam=i2c_arm=off'), /^Add/);
  t.match(await remedyOf(bare(), 'dtparam=i2c_arm=on'), /has it switched on: restart if that is new/);
  t.match(await remedyOf(bare(), '[pi5]\ndtparam=i2c_arm=on'), /under the filter \[pi5\]/);
  t.match(await remedyOf(bare(), null), /device tree, firmware/);
  const image = 'upstream_kernel=1\ndtparam=i2c_arm=on';
  t.match(await remedyOf(bare(), image), /^Add `dtoverlay=header` to /, 'the image has no dtparam');
  t.match(await remedyOf(bare(), `${image}\ndtoverlay=header`), /has the overlay of the header: restart/);
  t.match(await remedyOf(bare(), image, 3), /^The image has no overlay for that bus/);
  t.match(await remedyOf(bare(), '', 3), /`dtoverlay=i2c3`/);
  t.match(
    await remedyOf(bare().bus(22, 'i2c-gpio'), 'dtoverlay=tpm-slb9673'),
    /tpm-slb9673 has taken it away. There are buses 22/,
  );
  t.match(await remedyOf(bare().put('/sys/bus/i2c/devices/i2c-1/name'), ''), /modprobe i2c-dev/);
});

t.test('a machine without I2C', async (t) => {
  const made = new MadeUpMachine(t).put('/dev/null');
  t.match((await lookAtI2c(made.context(null))).checks, [{ result: 'skipped', remedy: /device tree/ }]);
  const midi = { preset: 'mackie-control', port: { type: 'raw-midi', path: 'hw:1,0,0' } };
  t.match((await lookAtI2c(made.context(midi))).checks, [{ result: 'skipped', remedy: null }]);
  const broken = new MadeUpMachine(t).put('/dev', 'no folder');
  t.match((await lookAtI2c(broken.context(null))).checks, [{ result: 'fault', name: 'buses' }]);
});

t.test('a bus that is not for this user', async (t) => {
  const made = desk(t);
  made.forbidden.add('/dev/i2c-1');
  const check = checkOf(await lookAtI2c(made.context(panel(faders))), 'bus 1');
  t.match(check, { result: 'fault', found: `${adapter}: pi may not use /dev/i2c-1`, remedy: /GROUP="i2c"/ });
  t.equal(checkOf(await lookAtI2c(made.context(null)), 'bus 1').result, 'warning');
  t.equal(made.transferCount, 0);
});

t.test('a bus that somebody has is left alone', async (t) => {
  const made = desk(t);
  const program = (files: readonly string[] | null, hasPanel: boolean): Program => ({
    id: 7,
    label: 'surfaced (process 7)',
    hasPanel,
    files,
  });
  const lookWith = async (...programs: Program[]) =>
    checkOf(await lookAtI2c(made.context(panel(faders), { programs })), 'bus 1');
  t.match(await lookWith(program(['/dev/i2c-1'], true)), {
    result: 'skipped',
    found: /in use by surfaced \(process 7\)/,
    remedy: /systemctl stop surfaced-device`/,
  });
  t.match(await lookWith(program(['/dev/i2c-1'], false)), { result: 'skipped', remedy: /^End it/ });
  t.match(await lookWith(program(null, true)), { result: 'skipped' }, 'its files are not for us to know');
  t.equal(made.transferCount, 0);
  const others = await lookWith(program(['/dev/i2c-3'], false), program(['/dev/i2c-2'], true));
  t.match(others, { result: 'ok', found: /0x48 ads1115, 0x70 \(not in the config: ht16k33\)$/ });
  const unknown = await lookWith(program(null, false), program(['/dev/i2c-2'], true));
  t.match(unknown, { result: 'ok', found: /0x48 ads1115, .*; holders not known: only root sees/ });
});

t.test('without a config buses of displays and mainboards are not asked', async (t) => {
  const full = { transfer: async () => new Uint8Array(1), close: async () => {} };
  const lookAt = async (bus: number, name: string | null, compatible: string | null) => {
    const made = new MadeUpMachine(t).bus(bus, name);
    if (compatible !== null)
      made.put(`/sys/class/i2c-dev/i2c-${bus}/device/of_node/compatible`, `${compatible}\0`);
    let opened = 0;
    made.change = {
      openI2c: async () => {
        opened += 1;
        return full;
      },
    };
    const look = await lookAtI2c(made.context(null));
    t.equal(opened, checkOf(look, `bus ${bus}`).result === 'skipped' ? 0 : 1);
    return checkOf(look, `bus ${bus}`);
  };
  const foreign = { result: 'skipped', found: /serves displays or the mainboard; asked when a config/ };
  // As they are called on a Pi 4 and a Pi 5; Debian's kernel counts them from 0.
  const nodes = ['brcm,bcm2711-hdmi-i2c', 'brcm,brcmstb-i2c', 'brcm,bcm2712-hdmi-i2c\0brcm,brcmstb-i2c'];
  for (const bus of [0, 1, 4, 20, 21])
    for (const node of nodes)
      t.match(await lookAt(bus, 'i2c', node), foreign, `${bus} ${node.replaceAll('\0', ' ')}`);
  const names = [
    ...['Broadcom STB : ', 'fef04500.i2c', 'fef09500.i2c', '107d508200.i2c', '107d508280.i2c'],
    ...['SMBus I801 adapter at efa0', 'i915 gmbus dpb', 'NVIDIA i2c adapter 1'],
  ];
  for (const name of names) t.match(await lookAt(1, name, null), foreign, name);
  const elsewhere = { result: 'skipped', found: /not on the header; asked when a config names it/ };
  for (const bus of [2, 10, 13, 20, 22]) t.match(await lookAt(bus, adapter, 'brcm,bcm2711-i2c'), elsewhere);
  for (const bus of [0, 1, 3, 4, 5, 6])
    t.match(await lookAt(bus, adapter, 'brcm,bcm2711-i2c\0brcm,bcm2835-i2c'), { result: 'warning' });
  t.match(await lookAt(1, 'Synopsys DesignWare I2C adapter', 'snps,designware-i2c'), { result: 'warning' });
});

t.test('a bus that a config names is asked, whoever it is', async (t) => {
  const made = desk(t).bus(20, 'fef04500.i2c');
  const named = made.context(panel({ ...faders, bus: 20 }));
  t.match(checkOf(await lookAtI2c(named), 'bus 20'), { result: 'ok' });
});

t.test('how long lights take at the speed of the bus', async (t) => {
  const lights = panel({ part: 'is31fl3741' }, faders);
  const speedOf = async (made: MadeUpMachine, boot: string | null = null) => {
    made.sim.plug(0x30, new Is31fl3741Model(0x30));
    const context = made.context(lights, boot === null ? {} : { boot: bootOf(boot) });
    const look = await lookAtI2c(context);
    return look.checks.find(({ name }) => name === 'bus 1 speed') ?? null;
  };
  const node = '/sys/class/i2c-dev/i2c-1/device/of_node';
  const cell = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  t.equal(await speedOf(desk(t)), null, 'nobody knows');
  t.match(await speedOf(desk(t), ''), {
    result: 'warning',
    found: '100 kHz: a picture in which every light changes takes about 34 ms',
    remedy: /i2c_arm_baudrate=400000/,
  });
  t.match(await speedOf(desk(t), 'dtparam=i2c_arm_baudrate=400000'), {
    result: 'ok',
    found: '400 kHz: a picture in which every light changes takes about 8.4 ms',
  });
  const image = 'upstream_kernel=1\ndtparam=i2c_arm_baudrate=400000\n';
  t.match(await speedOf(desk(t), image), { result: 'warning', remedy: /^Add `dtoverlay=i2c1-400k`/ });
  t.match(await speedOf(desk(t), `${image}[all]\ndtoverlay=i2c1-400k`), { result: 'ok', found: /^400 kHz/ });
  const live = desk(t)
    .put(`${node}/compatible`, 'brcm,bcm2711-i2c\0')
    .put(`${node}/clock-frequency`, cell(400_000));
  t.match(await speedOf(live, ''), { result: 'ok' }, 'what the kernel does counts');
  const bitBanged = desk(t).put(`${node}/compatible`, 'i2c-gpio\0').put(`${node}/i2c-gpio,delay-us`, cell(2));
  t.match(await speedOf(bitBanged, 'dtoverlay=tpm-slb9673'), {
    result: 'warning',
    found: /^250 kHz by i2c-gpio/,
    remedy: /TPM on SPI/,
  });
  const slow = async (...parts: object[]) =>
    checkOf(await lookAtI2c(desk(t).context(panel(...parts), { boot: bootOf('') })), 'bus 1 speed');
  t.match(
    await slow({ part: 'ht16k33', display: '16x8' }),
    { result: 'ok', found: /^100 kHz: .* 1\.6 ms$/ },
    'a bit a light is quick at any speed',
  );
  t.match(
    (await slow({ part: 'is31fl3741' }, { part: 'neoslider', address: 0x31 })).remedy,
    /neoslider then/,
  );
  const dark = await lookAtI2c(desk(t).context(panel(faders), { boot: bootOf('') }));
  t.notOk(
    dark.checks.some(({ name }) => name.endsWith('speed')),
    'faders have no pictures',
  );
});

t.test('the overlay of the I2C TPM is warned of', async (t) => {
  const look = await lookAtI2c(desk(t).context(null, { boot: bootOf('\ndtoverlay=tpm-slb9673') }));
  t.match(checkOf(look, 'tpm-slb9673'), { result: 'warning', found: /^line 2 of .* switches i2c_arm off/ });
});

t.test('whatever the parts do, every part gets its line and nothing rejects', async (t) => {
  const faults: BusFault[] = ['none', 'no-ack', 'garbage', 'half', 'stuck'];
  const addresses = [0x30, 0x36, 0x48, 0x70] as const;
  const parts = panel(
    faders,
    { part: 'is31fl3741' },
    { part: 'seesaw-encoder' },
    { part: 'ht16k33', display: '8x8' },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...faults), { minLength: 4, maxLength: 4 }),
      fc.boolean(),
      async (chosen, isClaimed) => {
        const made = new MadeUpMachine(t).bus(1, null);
        made.change = { limits: { transferMs: 15, busMs: 5000 } };
        made.sim.plug(0x48, new Ads1115Model());
        made.sim.plug(0x70, new Ht16k33Model('8x8'));
        made.sim.plug(0x30, new Is31fl3741Model(0x30));
        made.sim.plug(0x36, new SeesawEncoderModel());
        for (const [index, address] of addresses.entries()) made.sim.fault(address, chosen[index]!);
        if (isClaimed) made.claimed.add(0x70);
        const { checks } = await lookAtI2c(made.context(parts));
        t.equal(checks.filter(({ name }) => / at 0x/.test(name)).length, 4);
        const isAllWell = chosen.every((fault) => fault === 'none') && !isClaimed;
        if (isAllWell) t.ok(checks.every(({ result }) => result === 'ok'));
        const isMissing = chosen.includes('no-ack') || isClaimed;
        if (isMissing) t.ok(checks.some(({ result }) => result === 'fault'));
      },
    ),
    { numRuns: 25 },
  );
});

t.test('it does no harm', async (t) => {
  const errors = sims.flatMap(({ protocolErrors }) => protocolErrors);
  t.same(errors, [], 'no part was asked what it would not take');
});
