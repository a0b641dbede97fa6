/**
 * Two encoders as fast as a hand can turn them, for a minute: one on lines of the character device, one behind the
 * kernel's driver. No pulse is counted twice; one that is lost is logged; everything else goes on; memory stays.
 */
import t, { type Test } from 'tap';
import { openRig } from '../../scenarios/open-rig.ts';
import { Hands, limitMs } from '../guest/hands.ts';
import { WatchedMonitor } from '../guest/watched-monitor.ts';

/** A flick of a good encoder: 200 detents of four edges each. */
const detentsPerSecond = 200;
/** In each direction. */
const detents = 6000;
const pulses = detents * 4;
/** The program may grow by this while it is turned; a queue that is never read would take ten times that. */
const mostGrowthBytes = 48 * 1024 * 1024;
/** Messages of the log that say that turns were lost, by encoder. */
const losses: Readonly<Record<string, RegExp>> = {
  encoder1: /^GPIO edges were lost$/,
  encoder2: /^input events were lost$/,
};

const rig = await openRig();
await rig.move('fader1', 0.2);
const monitor = new WatchedMonitor(rig, rig.panelConfig, []);
const hands = new Hands({ rig, monitor });
t.teardown(async () => {
  await monitor.end('SIGTERM');
  await rig.close();
});
const canWeigh = rig.name === 'virtual';

await monitor.until('a whole panel', limitMs, () => {
  const isRead = monitor.positions('fader2', 0).length > 0;
  return isRead && monitor.missing.length === 0 && monitor.problem === null;
});

/** Where fader1 is moved next: never where it stands, as nothing would tell that. */
let place = 0.7;

/** Turns both, one the other way, and works other controls meanwhile. */
async function turnBoth(t: Test, direction: 1 | -1): Promise<void> {
  const before = { encoder1: monitor.pulsesOf('encoder1'), encoder2: monitor.pulsesOf('encoder2') };
  let isTurning = true;
  const turning = Promise.all([
    rig.turn('encoder1', detents * direction, detentsPerSecond),
    rig.turn('encoder2', -detents * direction, detentsPerSecond),
  ]).finally(() => {
    isTurning = false;
  });
  let rounds = 0;
  for (; isTurning; rounds++) {
    t.same(await hands.press('arm', null), { presses: 1, releases: 1 });
    await hands.move('fader1', place);
    place = place === 0.7 ? 0.3 : 0.7;
  }
  await turning;
  t.ok(rounds > 0, `${rounds} presses and moves meanwhile`);
  await settled();
  for (const [encoder, sign] of [
    ['encoder1', direction],
    ['encoder2', -direction],
  ] as const) {
    const told = (monitor.pulsesOf(encoder) - before[encoder]) * sign;
    const isLossTold = monitor.logs.some(({ msg }) => losses[encoder]?.test(`${msg}`));
    t.comment(`${encoder}: ${told} of ${pulses} pulses${isLossTold ? ', a loss was logged' : ''}`);
    t.ok(told <= pulses, 'none is counted twice');
    t.ok(told > pulses / 10, 'and what is told goes the right way');
    t.ok(told === pulses || isLossTold, 'none is lost silently');
  }
}

/** Resolves when what was turned has been told: two short turns more, the newest behind all else. */
async function settled(): Promise<void> {
  for (const encoder of ['encoder1', 'encoder2']) {
    const quietMs = 1500;
    for (let seen = Number.NaN; seen !== monitor.pulsesOf(encoder); ) {
      seen = monitor.pulsesOf(encoder);
      await new Promise((resolve) => setTimeout(resolve, quietMs));
    }
  }
}

t.test('a minute at full speed', { timeout: 200_000 }, async (t) => {
  await hands.press('arm', null);
  const memory = canWeigh ? monitor.memoryBytes() : 0;
  await turnBoth(t, 1);
  await turnBoth(t, -1);
  if (!canWeigh) return t.comment(`memory of a program on the ${rig.name} rig cannot be seen from here`);
  const growth = monitor.memoryBytes() - memory;
  const [wasMb, growthMb] = [memory, growth].map((bytes) => (bytes / 1_048_576).toFixed(1));
  t.ok(growth < mostGrowthBytes, `${wasMb} MB, and ${growthMb} more after a minute`);
});

t.test('afterwards every pulse counts', async (t) => {
  for (const encoder of ['encoder1', 'encoder2']) {
    const before = monitor.pulsesOf(encoder);
    await rig.turn(encoder, 10, 25);
    await monitor.until('forty pulses', limitMs, () => monitor.pulsesOf(encoder) >= before + 40);
    t.equal(monitor.pulsesOf(encoder) - before, 40, encoder);
  }
  t.same(await monitor.end('SIGTERM'), { code: 0, signal: null });
  t.same(await rig.protocolErrors(), []);
});
