/** Touches each control in turn, beside bare loops. Inside the rig; see bench/touch-to-intent.ts. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { parse, stringify } from 'yaml';
import { apiVersion } from '../../daemon/config/schema.ts';
import { pullPath } from '../../hil/rig/guest/lines.ts';
import { BareClient } from '../bare-client.ts';
import { endProcess, Part, sharedNow, startProgram } from '../processes.ts';
import { binding, namespace, Stack } from '../stack.ts';
import type { TouchInput, TouchRound, TouchTimes } from '../touch-to-intent.ts';
import type { BenchContext } from '../types.ts';
import type { BareI2cWish } from './bare-i2c.ts';
import { giveResult, rigInput } from './in-rig.ts';
import { PanelBuses } from './panel-buses.ts';
import { publishedMark } from './publish-times.ts';

const peerOffset = 4;
/** Lines of panel.yaml, and a free one for the peer. */
const lines = { a: 5, b: 6, button: 16, bare: 12 };
const pads = 4;
const most = 8;
const pressMs = 80;
const pauseMs = 60;
/** Nothing of one touch is still on its way when the next begins. */
const betweenMs = 400;
const calmMs = 6000;
/** A fader that is put where its number is has come to rest, and has picked it up. */
const meetMs = 1200;
const givenUpMs = 4000;
const onlineMs = 120_000;
const mostTries = 6;
const warmUpRounds = 2;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const { rounds } = rigInput<TouchInput>();
const folder = await mkdtemp(path.join(os.tmpdir(), 'touch-'));
const ends: (() => Promise<unknown> | unknown)[] = [];
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const context: BenchContext = { isQuick: false, folder, say, defer: (end) => void ends.push(end) };

const { SURFACED_CUSE_I2C: cuse = null, SURFACED_QUADRATURE: quadrature = null } = process.env;
const ours = await PanelBuses.plug(context, { offset: 0, cuse, quadrature });
const theirs = await PanelBuses.plug(context, { offset: peerOffset, cuse, quadrature });
const stack = await Stack.start(context, {
  deployments: ['knob', 'pads', 'fader', 'bare'].map((name) => ({ name, replicas: 2 })),
  surfaces: {
    desk: [
      binding('encoder1', 'knob', most),
      binding('row1', 'pads', pads),
      binding('fader1', 'fader', most),
    ],
  },
});
const bareClient = await BareClient.connect(stack.kubeconfigPath, namespace);
context.defer(() => bareClient.close());

// Where a level is written, so that no folder is searched between the clock and the edge.
const pulls = new Map(Object.values(lines).map((line) => [line, pullPath(line)]));
const pull = (line: number, isHigh: boolean): void =>
  writeFileSync(pulls.get(line) ?? '', isHigh ? 'pull-up' : 'pull-down');
pull(lines.button, true);
const switchOf = (control: string) => ours.world.switches[control] ?? fail(`no ${control}`);
const faderOf = (panel: PanelBuses) => panel.world.faders.fader1 ?? fail('no fader1');
function fail(words: string): never {
  throw new Error(words);
}

/** `surfaced device`, which tells when an intent leaves it. */
async function startDevice(): Promise<{ readonly pid: number; readonly log: Interface }> {
  const { panel } = parse(await readFile('hil/rig/panel.yaml', 'utf8')) as { readonly panel: object };
  const file = path.join(folder, 'device.yaml');
  await writeFile(
    file,
    stringify({
      apiVersion,
      kind: 'Device',
      gateway: stack.gatewayAddress,
      identity: { token: await stack.token('desk') },
      panel: { ...panel, roles: { arm: 'arm', undo: 'button' } },
    }),
  );
  const loaded = ['--import=tsx', '--import=./bench/parts/publish-times.ts', 'daemon/main.ts'];
  const child = startProgram(process.execPath, [...loaded, 'device', '--config', file]);
  context.defer(() => endProcess(child));
  const log = createInterface({ input: child.stderr! });
  await lineWith(log, 'connected', onlineMs);
  return { pid: child.pid ?? 0, log };
}

/** The next line of a log that has this message; rejects when it does not come in time. */
async function lineWith(log: Interface, message: string, limitMs: number): Promise<Record<string, unknown>> {
  const signal = AbortSignal.timeout(limitMs);
  for (;;) {
    const [line] = (await once(log, 'line', { signal })) as [string];
    if (line.includes(`"msg":"${message}"`)) return JSON.parse(line) as Record<string, unknown>;
  }
}

const device = await startDevice();

interface Touch {
  /** What has to be done before, so that the touch asks for something. */
  readonly begin: () => Promise<void>;
  /** @returns its moment on the shared clock */
  readonly touch: () => number;
  readonly end: () => void;
}

/**
 * One touch of ours. On a machine that has no time for the rig a bus can be lost meanwhile, and the touch with it, rightly:
 * it is made again then.
 */
async function touched({ begin, touch, end }: Touch): Promise<TouchTimes> {
  for (let tries = 0; tries < mostTries; tries++) {
    await sleep(betweenMs);
    await begin();
    await stack.clear();
    const passed = stack.passings('write', 1, givenUpMs);
    const published = lineWith(device.log, publishedMark, givenUpMs).catch(() => null);
    const at = touch();
    const write = (await passed).find(({ what }) => what === 'write');
    const toIntent = Number((await published)?.at) - at;
    end();
    if (write !== undefined) return { toIntent, toWrite: write.at - at };
    say('nothing came of a touch: once more');
  }
  return fail('nothing comes of a control');
}

const bareLines = startProgram(process.execPath, [
  '--import=tsx',
  'bench/parts/bare-gpio.ts',
  String(lines.bare),
]);
context.defer(() => endProcess(bareLines));
const bareLog = createInterface({ input: bareLines.stdout! });
await once(bareLog, 'line');
const bareI2c = new Part('bare-i2c');
context.defer(() => bareI2c.end());

/** What a bare loop needs, with nothing else at work. */
async function alone(work: () => Promise<number>): Promise<number> {
  process.kill(device.pid, 'SIGSTOP');
  try {
    await sleep(pauseMs);
    return await work();
  } finally {
    process.kill(device.pid, 'SIGCONT');
  }
}

let isBareHigh = false;
const bareLine = (): Promise<number> =>
  alone(async () => {
    const edge = once(bareLog, 'line') as Promise<[string]>;
    isBareHigh = !isBareHigh;
    const at = sharedNow();
    pull(lines.bare, isBareHigh);
    return Number((await edge)[0]) - at;
  });
const bareTouch = (part: BareI2cWish['part'], touch: () => void): Promise<number> =>
  alone(async () => {
    await bareI2c.call('start', { part, bus: 1 + peerOffset } satisfies BareI2cWish);
    const at = sharedNow();
    touch();
    return (await bareI2c.call<number>('seen')) - at;
  });
async function barePut(replicas: number): Promise<number> {
  await stack.clear();
  const passed = stack.passings('write', 1, givenUpMs);
  await sleep(pauseMs);
  const at = sharedNow();
  await bareClient.putScale({ metadata: { name: 'bare', namespace }, spec: {} }, replicas);
  return ((await passed).find(({ what }) => what === 'write')?.at ?? Number.NaN) - at;
}

/** Three edges of a detent, then the one that ends it. */
function detent(): number {
  pull(lines.a, true);
  pull(lines.b, true);
  pull(lines.a, false);
  const at = sharedNow();
  pull(lines.b, false);
  return at;
}

const faderAt = (count: number): number => (count - 1) / (most - 1);
faderOf(ours)(faderAt(2));
await sleep(calmMs);
const replicasOf = async (name: string): Promise<number> =>
  (await bareClient.getScale(name)).spec.replicas ?? 0;
const all: TouchRound[] = [];
for (let round = -warmUpRounds; round < rounds; round++) {
  const isOdd = round % 2 !== 0;
  const encoder = await touched({ begin: () => sleep(pauseMs), touch: detent, end: () => {} });
  // Undone, so that the knob is where it was.
  const button = await touched({
    begin: () => {
      pull(lines.button, false);
      return sleep(pressMs);
    },
    touch: () => {
      const at = sharedNow();
      pull(lines.button, true);
      return at;
    },
    end: () => {},
  });
  const padKey = switchOf(`row1 ${isOdd ? 1 : 2}`);
  const pad = await touched({
    begin: () => sleep(pauseMs),
    touch: () => {
      const at = sharedNow();
      padKey(true);
      return at;
    },
    end: () => padKey(false),
  });
  const fader = await touched({
    begin: async () => {
      faderOf(ours)(faderAt(await replicasOf('fader')));
      await sleep(meetMs);
    },
    touch: () => {
      const at = sharedNow();
      faderOf(ours)(faderAt(isOdd ? 2 : 3));
      return at;
    },
    end: () => {},
  });
  const line = await bareLine();
  const barePad = await bareTouch('neotrellis', () => theirs.world.switches['row1 0']?.(true));
  theirs.world.switches['row1 0']?.(false);
  const bareFader = await bareTouch('ads1115', () => faderOf(theirs)(isOdd ? 0.2 : 0.4));
  const put = await barePut(isOdd ? 2 : 3);
  if (round < 0) continue;
  all.push({
    ours: { encoder, button, pad, fader },
    bare: { line, pad: barePad, fader: bareFader },
    put,
  });
  say(`round ${round + 1} of ${rounds}: ${JSON.stringify(all.at(-1))}`);
}
if (ours.protocolErrors.length > 0) fail(ours.protocolErrors.join('; '));
for (const end of ends.reverse()) await end();
giveResult(all);
