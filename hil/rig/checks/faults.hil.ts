/**
 * Parts that answer garbage, half of it, or never, parts that stretch the clock, a wiper that jumps: nothing that no hand
 * did is told, the part is named, the others work on, and it comes back by itself. On a busy machine a bus may be lost at
 * any time for a moment, so resets are borne everywhere.
 */
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { loadDevice } from '../../../daemon/commands/load-device.ts';
import { partDrivers } from '../../../daemon/hw/chips/table.ts';
import { isMidi } from '../../../daemon/hw/panels.ts';
import { composePanel } from '../../../daemon/hw/parts/compose.ts';
import { partName } from '../../bench/lights.ts';
import { openRig } from '../../scenarios/open-rig.ts';
import { Hands, limitMs, tolerance } from '../guest/hands.ts';
import { WatchedMonitor } from '../guest/watched-monitor.ts';

const rig = await openRig();
const { panel: panelConfig } = await loadDevice(rig.deviceConfig);
const composed = isMidi(panelConfig) ? null : composePanel(panelConfig, partDrivers).panel;
const parts = (composed?.parts ?? []).flatMap((part) => {
  const name = partName(part);
  return name === null ? [] : [{ name, controls: part.spec.controls }];
});
/** Where the faders were put; the others are at the bottom. */
const places: Record<string, number> = { fader1: 0.2, fader2: 0.6 };
const faders = parts.flatMap(({ controls }) =>
  controls.flatMap(({ kind, name }) => (kind === 'fader' ? [name] : [])),
);
for (const [fader, place] of Object.entries(places)) await rig.move(fader, place);
const monitor = new WatchedMonitor(rig, rig.panelConfig, []);
const hands = new Hands({ rig, monitor });
t.teardown(async () => {
  await monitor.end('SIGTERM');
  await rig.close();
});
const canFault = rig.abilities.has('part-fault');
const skip = canFault ? false : `the ${rig.name} rig has not the ability part-fault`;
await monitor.until('a whole panel', limitMs, () => {
  const isRead = monitor.positions('fader2', 0).length > 0;
  return isRead && monitor.missing.length === 0 && monitor.problem === null;
});

/** Nothing was told since then that no hand did. */
function assertNoHand(t: Test, from: number, turnedBefore: object): void {
  t.same(monitor.touches(from), [], 'nothing was pressed');
  t.same(monitor.turned, turnedBefore, 'nothing was turned');
  const strays = faders.flatMap((fader) =>
    monitor
      .positions(fader, from)
      .filter((position) => Math.abs(position - (places[fader] ?? 0)) > tolerance)
      .map((position) => `${fader} ${position}`),
  );
  t.same(strays, [], 'faders are where they are');
}

const isNamed = (label: string, from: number): boolean =>
  monitor.lines.slice(from).some(({ type, problem }) => type === 'panel' && `${problem}`.includes(label));
const isWhole = (): boolean => monitor.missing.length === 0 && monitor.problem === null;

async function press(t: Test, control: string, pad: number | null): Promise<void> {
  t.same(await hands.press(control, pad), { presses: 1, releases: 1 }, `${control} is pressed once`);
}

async function move(fader: string): Promise<void> {
  const place = (places[fader] ?? 0) > 0.5 ? 0.3 : 0.7;
  places[fader] = place;
  await hands.move(fader, place);
}

const isLit = async (part: string): Promise<boolean> =>
  (await rig.lights(part)).rgb.some((level) => level > 0);

async function light(t: Test, part: string): Promise<void> {
  await rig.press('arm', null);
  const deadline = performance.now() + limitMs;
  while (!(await isLit(part)) && performance.now() < deadline) await pause(20);
  t.ok(await isLit(part), 'what is held is lit');
  await rig.release('arm', null);
  while ((await isLit(part)) && performance.now() < deadline) await pause(20);
  t.notOk(await isLit(part), 'and dark again');
}

const samples: Readonly<Record<string, { label: string; works: (t: Test) => Promise<void> }>> = {
  'ads1115@48': { label: 'ads1115 at 0x48', works: () => move('fader1') },
  'mcp23017@20': { label: 'mcp23017 at 0x20', works: (t) => press(t, 'arm', null) },
  'neotrellis@2e': { label: 'neotrellis at 0x2E', works: (t) => press(t, 'row2', 1) },
  'ht16k33@70': { label: 'ht16k33 at 0x70', works: (t) => light(t, 'ht16k33@70') },
};

for (const fault of ['garbage', 'half', 'stuck'] as const) {
  t.test(`all parts at once: ${fault}`, { skip }, async (t) => {
    const from = monitor.lines.length;
    const turned = monitor.turned;
    await Promise.all(parts.map(({ name }) => rig.fault(name, fault)));
    for (const [part, { label }] of Object.entries(samples)) {
      // Half of one byte is all of it, and that is all that is read of a NeoTrellis that nobody touches. Parts that are
      // missing because their bus is are named together, and not all of them.
      if (fault === 'stuck' || (fault === 'half' && part === 'neotrellis@2e')) continue;
      await monitor.until(`a word of ${label}`, limitMs, () => isNamed(label, from));
    }
    await monitor.until('missing faders', limitMs, () => monitor.missing.includes('fader1'));
    await pause(500);
    await Promise.all(parts.map(({ name }) => rig.fault(name, 'none')));
    await monitor.until('a whole panel', limitMs, isWhole);
    assertNoHand(t, from, turned);
    for (const { works } of Object.values(samples)) await works(t);
  });
}

for (const [part, { label, works }] of Object.entries(samples)) {
  t.test(`${part} never answers: the others work on`, { skip }, async (t) => {
    const from = monitor.lines.length;
    const turned = monitor.turned;
    await rig.fault(part, 'stuck');
    await monitor.until(`a word of ${label}`, limitMs, () => isNamed(label, from));
    if (part !== 'mcp23017@20') await press(t, 'undo', null);
    else await move('fader2');
    await rig.fault(part, 'none');
    await monitor.until('a whole panel', limitMs, isWhole);
    const others = monitor.touches(from).filter(({ control }) => control !== 'undo');
    t.same(others, [], 'nothing else was pressed');
    t.same(monitor.turned, turned, 'nothing was turned');
    await works(t);
  });
}

t.test('a wiper that jumps', async (t) => {
  const place = places.fader1 ?? 0;
  for (let jump = 0, sound = 0; sound < 8; jump++) {
    const from = monitor.lines.length;
    const began = performance.now();
    await rig.move('fader1', jump % 2);
    await pause(8);
    await rig.move('fader1', place);
    // On a machine that holds this process up it was a move: it is told, and so is the way back.
    const isJump = performance.now() - began < 25;
    await pause(300);
    if (!isJump) continue;
    sound += 1;
    const strays = monitor
      .positions('fader1', from)
      .filter((position) => Math.abs(position - place) > tolerance);
    t.same(strays, [], `jump ${sound} to ${jump % 2}`);
  }
  await move('fader1');
});

t.test('a wiper that goes on jumping', async (t) => {
  const place = places.fader1 ?? 0;
  const from = monitor.lines.length;
  const began = performance.now();
  for (let jump = 0; !isNamed('fader1 jumps', from) && performance.now() - began < limitMs; jump++) {
    await rig.move('fader1', jump % 2 === 0 ? 0.95 : 0.05);
    await pause(30);
  }
  t.ok(isNamed('fader1 jumps', from), 'it is named');
  await rig.move('fader1', place);
  await monitor.until('fader1 at rest', limitMs, () => isWhole());
  await move('fader1');
});

t.test('a part that stretches the clock, bearably', { skip }, async (t) => {
  const from = monitor.logs.length;
  await rig.fault('ads1115@48', 'slow');
  const isTold = ({ msg, address }: Readonly<Record<string, unknown>>): boolean =>
    address === 0x48 && `${msg}`.startsWith('I2C part is slow');
  await monitor.until('a word of the slow part', limitMs, () => monitor.logs.slice(from).some(isTold));
  await press(t, 'undo', null);
  await press(t, 'row1', 0);
  await rig.fault('ads1115@48', 'none');
  await monitor.until('a whole panel', limitMs, isWhole);
});

t.test('a part that holds the clock longer than anybody waits', { skip }, async (t) => {
  const from = monitor.lines.length;
  await rig.fault('ads1115@48', 'held');
  await monitor.until('a word of it', limitMs, () =>
    isNamed('is stuck: a transfer with 0x48 took over 200 ms', from),
  );
  // Between two looks at it the others are open again.
  await monitor.until('the others', limitMs, () => {
    const { missing } = monitor;
    return missing.includes('fader1') && !['arm', 'undo', 'row1'].some((name) => missing.includes(name));
  });
  await press(t, 'undo', null);
  await rig.fault('ads1115@48', 'none');
  await monitor.until('a whole panel', limitMs, isWhole);
  await move('fader1');
});

t.test('in the end', async (t) => {
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  t.same(await rig.protocolErrors(), []);
});
