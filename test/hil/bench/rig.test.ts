/** A bench as a rig, down to what the firmware's own logic tells its hardware. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { stringify } from 'yaml';
import { ht16k33 } from '../../../daemon/hw/chips/ht16k33.ts';
import type { I2cDevice } from '../../../daemon/hw/i2c/bus.ts';
import { loadBench } from '../../../hil/bench/config.ts';
import { type BenchRig, openBench, openBenchOf } from '../../../hil/bench/rig.ts';
import { root } from '../../structure/source-files.ts';
import { Controller, noPython } from './controller.ts';
import { recordsOf, type Sent } from './waveform.ts';

const wiring = {
  encoders: { cart: { a: 2, b: 3, push: 4, bounces: 1 } },
  buttons: { arm: { line: 5, bounces: 0 } },
  faders: { web: { line: 6, low: 0.9, high: 0.1 } },
  power: { 'ads1115@48': 18, 'mcp23017@20': 19, 'ht16k33@70': 20 },
  sniffer: { sda: 16 },
};

/** The file of a bench for the panel of the example, in a folder of its own. */
function benchFile(t: Test, port: string, fields: object): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-bench-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  cpSync(path.join(root, 'hil/bench/example-panel.yaml'), path.join(folder, 'panel.yaml'));
  const file = path.join(folder, 'bench.yaml');
  const head = { apiVersion: 'surfaced.dev/v1alpha1', kind: 'Bench', port: { type: 'pty', path: port } };
  const device = { config: 'panel.yaml', command: ['ssh', 'panel', 'surfaced {arguments} & wait'] };
  writeFileSync(file, stringify({ ...head, device, ...wiring, ...fields }));
  return file;
}

async function opened(
  t: Test,
  { abilities = 'line,quad,fader,sniff', fields = {} }: { abilities?: string; fields?: object } = {},
): Promise<{ controller: Controller; rig: BenchRig }> {
  const controller = await Controller.start(abilities);
  t.teardown(() => controller.unplug());
  const file = benchFile(t, controller.path, fields);
  const rig = await openBenchOf(await loadBench(file), file, { replyTimeoutMs: 50, mostAttempts: 30 });
  t.teardown(() => rig.close());
  return { controller, rig };
}

t.test('hands', { skip: noPython }, async (t) => {
  const { controller, rig } = await opened(t);
  t.equal(rig.name, 'bench');
  t.same([...rig.abilities].sort(), ['lights', 'unplug-part']);
  t.match(rig.deviceConfig, /panel\.yaml$/);
  t.equal(rig.panelConfig, '/etc/surfaced/surfaced.yaml');
  t.same(rig.surfaced('monitor', "it's $&"), ['ssh', 'panel', "surfaced 'monitor' 'it'\\''s $&' & wait"]);
  t.same(await controller.done(), [['release'], ['sniff', 16], ['fader', 6, 58_982]]);
  await rig.turn('cart', 1, 100);
  await rig.turn('cart', -0.25, 0.0001);
  await rig.press('cart', null);
  await rig.release('cart', null);
  await rig.press('arm', null);
  await rig.move('web', 1);
  await rig.unplug('ads1115@48');
  await rig.plug('ads1115@48');
  t.same(await controller.done(), [
    ['turn', 2, 2500, [0b01, 0b00, 0b10, 0b11]],
    ['turn', 2, 1_000_000, [0b10]],
    ['line', 4, 'low', 1],
    ['line', 4, 'free', 1],
    ['line', 5, 'low', 0],
    ['fader', 6, 6554],
    ['line', 18, 'low', 0],
    ['line', 18, 'free', 0],
  ]);
  await t.rejects(rig.turn('web', 1, 1), /web is not under encoders in the file of the bench/);
  await t.rejects(rig.press('web', null), /web is not under buttons/);
  await t.rejects(rig.press('arm', 3), /arm is not under pads/);
  await t.rejects(rig.move('cart', 1), /cart is not under faders/);
  await t.rejects(rig.unplug('ht16k33@71'), /ht16k33@71 is not under power/);
  for (const cannot of [rig.fault('ads1115@48', 'half'), rig.unplugBus(1), rig.plugBus(1)])
    await t.rejects(cannot, /this bench cannot/);
  t.same(await controller.done(), []);
  await rig.close();
  await t.resolves(rig.close(), 'twice');
  t.same(await controller.done(), [['release']]);
});

/** What a real driver sends for a picture whose first light is on, as it would go over the bus. */
async function picture(): Promise<Sent[][]> {
  const sent: Sent[][] = [];
  const device = {
    write: async (_: unknown, bytes: readonly number[]) => {
      sent.push([{ address: 0x70, isRead: false, bytes, isAcknowledged: true }]);
    },
  } as unknown as I2cDevice;
  const session = await ht16k33.open(ht16k33.schema.parse({ display: '8x8' }), device);
  const rgb = new Uint8Array(3 * 64);
  rgb[0] = 255;
  await session.show({ rgb, controls: new Map(), brightness: 1 });
  return sent;
}

t.test('eyes', { skip: noPython }, async (t) => {
  const { controller, rig } = await opened(t);
  const see = (transfers: readonly (readonly Sent[])[]) =>
    controller.order('see', Buffer.from(recordsOf(transfers, 0)).toString('hex'));
  const lit = async () => {
    const { rgb } = await rig.lights('ht16k33@70');
    return [...rgb].flatMap((value, at) => (value > 0 ? [at] : []));
  };
  t.same(await lit(), [], 'dark at first');
  await see(await picture());
  t.same(await lit(), [0, 1, 2], 'one colour is white');
  // Another part, a register that is read, and a write that nobody takes change nothing.
  const write = { isRead: false, isAcknowledged: true };
  await see([
    [{ ...write, address: 0x48, bytes: [0, 0] }],
    [
      { ...write, address: 0x70, bytes: [0] },
      { address: 0x70, isRead: true, bytes: [0, 0, 0], isAcknowledged: true },
    ],
    [{ ...write, address: 0x70, bytes: [0x20], isAcknowledged: false }],
  ]);
  t.same(await lit(), [0, 1, 2]);
  t.same(await rig.protocolErrors(), []);
  await see([[{ ...write, address: 0x70, bytes: [0x83] }]]);
  t.match(await rig.protocolErrors(), [/ht16k33: blinking/]);
  await controller.order('miss');
  await t.rejects(rig.lights('ht16k33@70'), /the sniffer lost transfers/);
  await rig.unplug('ht16k33@70');
  await rig.plug('ht16k33@70');
  t.same(await lit(), [], 'freshly powered');
  await see(await picture());
  t.same(await lit(), [0, 1, 2]);
  await t.rejects(rig.lights('ads1115@48'), /not listened to/);
});

t.test('a bench says what it cannot do', { skip: noPython }, async (t) => {
  const { sniffer: _, power, ...rest } = wiring;
  const bare = await opened(t, { fields: { sniffer: undefined, power: { 'ads1115@48': 18 } } });
  t.same([...bare.rig.abilities], [], 'no sniffer, and parts that stay on their bus');
  await t.rejects(bare.rig.lights('ht16k33@70'), /cannot see lights/);
  t.same(await bare.rig.protocolErrors(), []);
  const simple = await opened(t, { abilities: 'line,quad,fader' });
  t.same([...simple.rig.abilities], ['unplug-part'], 'a controller that cannot listen');
  const elsewhere = await opened(t, { fields: { ...rest, power, sniffer: { bus: 0, sda: 16 } } });
  t.same([...elsewhere.rig.abilities], ['unplug-part'], 'the lights are on another bus');
});

t.test('a bench that does not fit its panel, and one that is not there', async (t) => {
  const refused = (fields: object, message: RegExp) =>
    t.rejects(openBench(benchFile(t, '/nowhere/tty', fields)), { code: 'E_CFG_INVALID', message });
  await refused(
    { encoders: { web: { a: 2, b: 3 } }, buttons: { dog: { line: 5 } }, power: { 'ads1115@49': 18 } },
    /bench\.yaml: encoders\.web: it is a fader in .*\n.*: buttons\.dog: .* has no such control\n.*: power\.ads1115@49: .* has no such part/,
  );
  await refused(
    { device: { config: path.join(root, 'docs/examples/launchpad.yaml'), command: ['{arguments}'] } },
    /device\.config: expected a panel made of parts/,
  );
  const none = { device: { config: 'none.yaml', command: ['{arguments}'] } };
  await t.rejects(openBench(benchFile(t, '/nowhere/tty', none)), { code: 'E_CFG_READ' });
  await t.rejects(openBench(benchFile(t, '/nowhere/tty', {})), { code: 'E_HW_PORT_OPEN' });
});
