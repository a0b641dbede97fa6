/**
 * Runs inside the rig: the whole path. Hands on kernel devices, `surfaced device`, `surfaced gateway`, the API server
 * of the simulated cluster, and lights back.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { Program } from '../guest/program.ts';
import { Site } from '../guest/site.ts';
import { openVirtualRig } from '../virtual.ts';

if (process.env.SURFACED_RIG !== '1') throw new Error('This runs inside the rig only; see hil/rig/boot.ts');

// One after the other: all have the same panel.
t.jobs = 1;
t.setTimeout(270_000);

/** What the demo's cluster runs; the fader has cart, a row of pads checkout, the encoders flaky and search. */
const namespace = 'shop';
const cart = { namespace, name: 'cart' };
const cartAtStart = 3;
const most = 8;
/** One colour, on or off: its first row is the first of the rows of the panel's first control, fader1. */
const matrix = 'ht16k33@70';
const rowLights = 8;
const partsWithControls = ['ads1115@48', 'mcp23017@20', 'neotrellis@2e'];
/** Long enough to pull a part or end the daemon between the hand and the command, also on a busy machine. */
const settleMs = 1000;
/** The whole site has one processor, which is one of a busy host's. */
const patienceMs = 20_000;
/** Blinking lights are on or dark for at least a tenth of a second. */
const lookMs = 20;
const tapMs = 60;
const garbageMs = 5000;
/** How soon the lights have to be right again once the daemon runs. */
const lightsAgainMs = 5000;
/** A gesture that the machine has spoilt is made so often. */
const mostTries = 4;

const binding = (control: string, name: string, more: object): object => ({
  control,
  target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name },
  max: most,
  ...more,
});

const rig = await openVirtualRig(process.env);
t.teardown(() => rig.close());
await rig.move('fader1', 0.9);
const site = await Site.start({
  folder: mkdtempSync(path.join(tmpdir(), 'whole-path-')),
  rig,
  bindings: [
    binding('fader1', cart.name, { min: 0, zero: 'arm' }),
    binding('row1', 'checkout', {}),
    binding('encoder1', 'flaky', {}),
    binding('encoder2', 'search', {}),
  ],
  // Those that have a hand or an eye on them here; the processor need not poll the others.
  parts: [...partsWithControls, matrix, 'gpio-encoder', 'rotary-encoder'],
  behaviour: { settleMs, longestMoveMs: 5 * settleMs },
});
t.teardown(() => site.close());
let device = startDevice();
t.teardown(() => device.end('SIGKILL'));

function startDevice(): Program {
  return new Program(rig.surfaced('device', '--config', site.deviceFile));
}

const replicas = (name: string): Promise<number> => site.replicas(namespace, name);

/** Which lights of the first row are on. */
async function row(): Promise<readonly boolean[]> {
  const { rgb } = await rig.lights(matrix);
  return Array.from({ length: rowLights }, (_, light) =>
    rgb.subarray(3 * light, 3 * light + 3).some((part) => part > 0),
  );
}
const litOf = (lights: readonly boolean[]): number => lights.filter((isLit) => isLit).length;

/** Looks again and again until it is so. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      const seen = `the row is ${JSON.stringify(await row())}, written was ${(await written()).join(', ')}`;
      throw new Error(
        `${what} did not come within ${patienceMs / 1000} s; ${seen}\n${device.log()}\nThe gateway:\n${site.gatewayLog()}`,
      );
    }
    await pause(lookMs);
  }
}
const untilRow = (what: string, isRight: (lights: readonly boolean[]) => boolean): Promise<void> =>
  until(what, async () => isRight(await row()));
/** So many ready Pods; those that stay keep their places. */
const untilLit = (count: number): Promise<void> =>
  untilRow(`${count} lights`, (lights) => litOf(lights) === count);
const untilWrites = (count: number): Promise<void> =>
  until(`write ${count}`, async () => (await site.writes()).length >= count);

/** Methods and Deployments of what was written, in order. */
async function written(): Promise<string[]> {
  const nameOf = (where: string): string => /deployments\/([a-z]+)\/scale/.exec(where)?.[1] ?? where;
  return (await site.writes()).map(({ method, path: where }) => `${method} ${nameOf(where)}`);
}

/** Time in which whatever is on its way would have arrived. */
const longEnough = (): Promise<void> => pause(settleMs * 3);

async function tap(control: string): Promise<void> {
  await rig.press(control, null);
  await pause(tapMs);
  await rig.release(control, null);
}

/** Puts fader1 where the number in force is, so that it has picked it up; resolves with the number. */
async function meet(): Promise<number> {
  const count = await replicas(cart.name);
  await rig.move('fader1', count / most);
  await longEnough();
  return count;
}

/** Has fader1 lead to a number; resolves when that is written. */
async function lead(count: number): Promise<void> {
  await meet();
  await site.clearRequests();
  await rig.move('fader1', count / most);
  await untilWrites(1);
}

/**
 * Makes a gesture, and makes it again when the I2C bus was lost meanwhile: on a host without time for the rig transfers
 * take too long, and a gesture is rightly lost with its bus.
 */
async function made<Outcome>(t: Test, gesture: () => Promise<Outcome>): Promise<Outcome> {
  const losses = (): number => device.lines.filter(({ msg }) => msg === 'I2C bus does not work').length;
  for (let tries = 1; ; tries += 1) {
    const before = losses();
    try {
      const outcome = await gesture();
      if (losses() === before || tries === mostTries) return outcome;
    } catch (error) {
      if (losses() === before || tries === mostTries) throw error;
    }
    t.comment('the bus was lost meanwhile: once more');
    await longEnough();
  }
}

t.test('the lights show the Pods', async (t) => {
  await device.logged('connected');
  await untilLit(cartAtStart);
  await longEnough();
  t.same(await written(), [], 'where the fader stands does nothing');
});

for (const [encoder, name] of [
  ['encoder1', 'flaky'],
  ['encoder2', 'search'],
] as const) {
  t.test(`${encoder}: so many detents are so many replicas`, async (t) => {
    const start = await replicas(name);
    await site.clearRequests();
    await rig.turn(encoder, 4, 25);
    await untilWrites(1);
    t.equal(await replicas(name), start + 4);
    await rig.turn(encoder, -3, 25);
    await untilWrites(2);
    t.equal(await replicas(name), start + 1);
    await longEnough();
    t.same(await written(), [`PUT ${name}`, `PUT ${name}`]);
  });
}

t.test('fader: nothing before it has met the number, then it leads', async (t) => {
  await site.clearRequests();
  await rig.move('fader1', 0.6);
  await longEnough();
  t.same(await written(), [], 'not picked up');
  for (const count of [2, 6]) {
    const writes = await made(t, async () => {
      await lead(count);
      await longEnough();
      return written();
    });
    t.equal(await replicas(cart.name), count);
    t.same(writes, ['PUT cart'], 'one write a move');
    await untilLit(count);
  }
});

t.test('undo: by a button', async (t) => {
  const { before, after } = await made(t, async () => {
    const before = await replicas(cart.name);
    await lead(before === 6 ? 2 : 6);
    await site.clearRequests();
    await tap('undo');
    await untilWrites(1);
    return { before, after: await replicas(cart.name) };
  });
  t.equal(after, before);
  await untilLit(before);
});

t.test('pads: held, a number is set', async (t) => {
  const pad = await made(t, async () => {
    const pad = (await replicas('checkout')) === 3 ? 3 : 2;
    await site.clearRequests();
    await rig.press('row1', pad);
    await untilWrites(1).finally(() => rig.release('row1', pad));
    return pad;
  });
  t.equal(await replicas('checkout'), pad + 1);
  t.same(await written(), ['PUT checkout']);
});

/** Has fader1 ask for zero; resolves when the row says that it waits to be armed. */
async function askForZero(): Promise<void> {
  if ((await replicas(cart.name)) !== 2) await lead(2);
  await meet();
  await untilLit(2);
  await site.clearRequests();
  await rig.move('fader1', 0);
  await untilRow('the request to arm', (lights) => litOf(lights) === rowLights);
}

t.test('zero: only while the arm control is held', async (t) => {
  const letGo = await made(t, async () => {
    await askForZero();
    await tap('arm');
    await untilLit(2);
    return written();
  });
  t.same(letGo, [], 'let go early: nothing');
  const unarmed = await made(t, async () => {
    await askForZero();
    const unarmed = await written();
    await rig.press('arm', null);
    await untilWrites(1).finally(() => rig.release('arm', null));
    return unarmed;
  });
  t.same(unarmed, [], 'nothing before it is held');
  t.equal(await replicas(cart.name), 0);
  await untilLit(0);
});

t.test('what becomes of a Pod is seen', async (t) => {
  await site.control('replicas', { ...cart, manager: 'kubectl', replicas: 3 });
  await untilLit(3);
  await site.control('crashing', cart);
  await untilRow('a dark moment of failed Pods', (lights) => litOf(lights) === 0);
  await untilRow('a bright one', (lights) => litOf(lights) === 3);
  await site.control('crashing', { ...cart, on: false });
  await site.control('replicas', { ...cart, manager: 'kubectl', replicas: 0 });
  await untilLit(0);
  await site.control('replicas', { ...cart, manager: 'kubectl', replicas: 3 });
  await untilLit(3);
  t.equal(await replicas(cart.name), 3);
});

/** Has fader1 ask for 7 of 3; resolves when the lights show what is about to be sent. */
async function beginGesture(): Promise<void> {
  if ((await replicas(cart.name)) !== 3) await lead(3);
  await meet();
  await untilLit(3);
  await site.clearRequests();
  await rig.move('fader1', 7 / most);
  await untilRow('what the hand is about to ask for', (lights) => litOf(lights) > 3);
}

t.test('a part goes in the middle of a gesture: nothing comes of it, its row flashes', async (t) => {
  await made(t, beginGesture);
  await rig.unplug('ads1115@48');
  // On for 0.3 of a second, then dark though a ready Pod is there.
  for (const isLit of [false, true, false])
    await untilRow('the flash of a missing control', ([first]) => first === isLit);
  await longEnough();
  t.same(await written(), []);
  await rig.plug('ads1115@48');
  await untilLit(3);
  await longEnough();
  t.same(await written(), [], 'where it stands when it is back does nothing');
  t.equal(await replicas(cart.name), 3);
});

t.test('garbage from every part with controls: nothing is written', async (t) => {
  await site.clearRequests();
  for (const part of partsWithControls) await rig.fault(part, 'garbage');
  await pause(garbageMs);
  for (const part of partsWithControls) await rig.fault(part, 'none');
  await untilLit(3);
  await longEnough();
  t.same(await written(), []);
  await rig.turn('encoder1', 1, 25);
  await untilWrites(1);
  t.same(await written(), ['PUT flaky'], 'and the panel works');
});

t.test('the daemon is killed in the middle of a gesture', async (t) => {
  await made(t, beginGesture);
  const flaky = await replicas('flaky');
  await rig.turn('encoder1', 2, 25);
  await device.end('SIGKILL');
  await site.control('replicas', { ...cart, manager: 'kubectl', replicas: 5 });
  const startedAt = performance.now();
  device = startDevice();
  await device.logged('device started');
  const runsAt = performance.now();
  await untilLit(5);
  const rightMs = Math.round(performance.now() - runsAt);
  const loadMs = Math.round(runsAt - startedAt);
  t.comment(`lights right ${rightMs} ms after the daemon ran, which took ${loadMs} ms to load`);
  // A machine on which the program takes longer than that to load has no five seconds to measure with.
  t.ok(rightMs < Math.max(lightsAgainMs, loadMs), `lights right within ${lightsAgainMs / 1000} s`);
  await longEnough();
  t.same(await written(), [], 'nothing of the gesture was done, then or later');
  t.equal(await replicas('flaky'), flaky);
  await rig.turn('encoder1', -1, 25);
  await untilWrites(1);
  t.equal(await replicas('flaky'), flaky - 1, 'and the panel works');
});

t.test('kubectl says the same', async (t) => {
  const { stdout } = await promisify(execFile)('kubectl', [
    ...['--kubeconfig', site.kubeconfigPath, '--namespace', namespace],
    ...['get', 'deployment', cart.name, '--output', 'jsonpath={.spec.replicas}'],
  ]);
  t.equal(Number(stdout), 5);
});

t.test('dark in the end, and no part was mistreated', async (t) => {
  t.equal(await device.end('SIGTERM'), 0);
  await untilLit(0);
  t.same(await rig.protocolErrors(), []);
});
