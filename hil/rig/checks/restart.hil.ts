/**
 * The program ends at any time and is started again: lines are free, lights are dark, nothing is told that no hand did,
 * and the first press counts. Two at once: the second says who has the panel.
 */
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openRig } from '../../scenarios/open-rig.ts';
import { Hands, limitMs, tolerance } from '../guest/hands.ts';
import { WatchedMonitor } from '../guest/watched-monitor.ts';

const matrix = 'ht16k33@70';

const rig = await openRig();
await rig.move('fader1', 0.4);
t.teardown(() => rig.close());
const canKill =
  rig.name === 'virtual' ? false : `a program on the ${rig.name} rig cannot be killed from here`;
const canSee = rig.abilities.has('lights');

const start = (): WatchedMonitor => new WatchedMonitor(rig, rig.panelConfig, ['--log-level', 'info']);
const isLit = async (): Promise<boolean> => (await rig.lights(matrix)).rgb.some((level) => level > 0);

/** Resolves when the whole panel is open and read once. */
function whole(monitor: WatchedMonitor): Promise<void> {
  return monitor.until('a whole panel', limitMs, () => {
    const isRead = monitor.positions('fader2', 0).length > 0;
    return isRead && monitor.missing.length === 0 && monitor.problem === null;
  });
}

async function becomes(t: Test, wanted: 'lit' | 'dark'): Promise<void> {
  if (!canSee) return t.comment(`the ${rig.name} rig has not the ability lights`);
  const deadline = performance.now() + limitMs;
  while ((await isLit()) !== (wanted === 'lit') && performance.now() < deadline) await pause(20);
  t.equal((await isLit()) ? 'lit' : 'dark', wanted, `the matrix is ${wanted}`);
}

let monitor = start();
t.test('killed while it is turned, pressed and lit', { skip: canKill }, async (t) => {
  await whole(monitor);
  await rig.press('arm', null);
  await rig.press('row1', 2);
  await becomes(t, 'lit');
  const turning = rig.turn('encoder1', 150, 50);
  await monitor.until('turns', limitMs, () => monitor.pulsesOf('encoder1') > 40);
  t.same(await monitor.end('SIGKILL'), { code: null, signal: 'SIGKILL' });
  t.equal(await isLit(), true, 'a program that is killed leaves its lights as they are');
  await turning;
});

t.test('started again', async (t) => {
  monitor = start();
  await whole(monitor);
  t.notOk(
    monitor.logs.some(({ code }) => code === 'E_HW_GPIO' || code === 'E_HW_INPUT'),
    'the lines were free',
  );
  // First readings of faders light for a moment.
  await becomes(t, 'dark');
  await rig.release('arm', null);
  await rig.release('row1', 2);
  await pause(300);
  t.same(monitor.turned, {}, 'nothing was turned');
  t.same(monitor.touches(0), [], 'what was held was not pressed');
  t.notOk(
    monitor.positions('fader1', 0).some((position) => Math.abs(position - 0.4) > tolerance),
    'the fader is where it is',
  );
  const hands = new Hands({ rig, monitor });
  for (const [control, pad] of [
    ['arm', null],
    ['row1', 2],
    ['encoder1', null],
  ] as const)
    t.same(await hands.press(control, pad), { presses: 1, releases: 1 }, control);
  await rig.turn('encoder1', 5, 25);
  await monitor.until('twenty pulses', limitMs, () => monitor.pulsesOf('encoder1') >= 20);
  await rig.turn('encoder2', -5, 25);
  await monitor.until('twenty pulses', limitMs, () => monitor.pulsesOf('encoder2') <= -20);
  t.same([monitor.pulsesOf('encoder1'), monitor.pulsesOf('encoder2')], [20, -20]);
});

t.test('two at once: the second says who has the panel, and ends', async (t) => {
  const second = start();
  t.same(await second.ended, { code: 1, signal: null });
  t.match(JSON.stringify(second.logs), /I2C bus \d is used by the surfaced process \d+.*E_HW_IN_USE/);
  const before = monitor.pulsesOf('encoder1');
  await rig.turn('encoder1', 5, 25);
  await monitor.until('twenty pulses', limitMs, () => monitor.pulsesOf('encoder1') >= before + 20);
  t.equal(second.pulsesOf('encoder1'), 0, 'the second one does not read them');
});

t.test('ended while it is turned, pressed and lit', async (t) => {
  await whole(monitor);
  await rig.press('arm', null);
  await becomes(t, 'lit');
  const turning = rig.turn('encoder1', 50, 50);
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  await becomes(t, 'dark');
  await turning;
  await rig.release('arm', null);
});

t.test('ended while it is being opened', async (t) => {
  monitor = start();
  // The NeoTrellis is given half a second after its reset.
  await monitor.until('the first open part', limitMs, () =>
    monitor.logs.some(({ msg }) => msg === 'part opened'),
  );
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  await becomes(t, 'dark');
});

t.test('ended while a part never answers', { skip: skipUnless('part-fault') }, async (t) => {
  monitor = start();
  await whole(monitor);
  await rig.fault('neotrellis@2e', 'stuck');
  await monitor.until('its absence', limitMs, () => monitor.missing.includes('row1'));
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  await rig.fault('neotrellis@2e', 'none');
  await becomes(t, 'dark');
});

t.test('started without a bus, and ended so', { skip: skipUnless('unplug-bus') }, async (t) => {
  await rig.unplugBus(1);
  monitor = start();
  await monitor.until('its absence', limitMs, () => monitor.missing.includes('fader1'));
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  await rig.plugBus(1);
});

t.test('no part was asked what it would not take', async (t) => {
  t.same(await rig.protocolErrors(), []);
});

function skipUnless(ability: 'part-fault' | 'unplug-bus'): string | false {
  return rig.abilities.has(ability) ? false : `the ${rig.name} rig has not the ability ${ability}`;
}
