/**
 * `surfaced device` with a large panel at rest, round by round beside a naive poller; see bench/idle-panel.ts. Inside the
 * rig, or with the input as its argument on this host, with the I2C parts behind the shim.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parse, stringify } from 'yaml';
import { apiVersion } from '../../daemon/config/schema.ts';
import { ensureAdapter } from '../../hil/rig/adapters/build.mjs';
import type { IdleInput, IdleRound, Rest } from '../idle-panel.ts';
import { cpuSeconds, endProcess, Part, startProgram } from '../processes.ts';
import { binding, Stack } from '../stack.ts';
import type { BenchContext } from '../types.ts';
import { giveResult, rigInput } from './in-rig.ts';
import { PanelBuses } from './panel-buses.ts';
import { wakeUps } from './wake-ups.ts';

/** Of the buses of the peer's panel. */
const peerOffset = 4;
/** Start-up, its garbage and the first look of everything at everything are over by then. */
const calmMs = 8000;
const peerCalmMs = 1500;
const onlineMs = 120_000;
/** A round that the machine has spoilt is measured so often. */
const mostTries = 6;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const [nativeInput] = process.argv.slice(2);
const isNative = nativeInput !== undefined;
const { seconds, rounds }: IdleInput = isNative ? (JSON.parse(nativeInput) as IdleInput) : rigInput();
const shim = isNative ? ensureAdapter('i2c-shim.so') : null;
const { SURFACED_CUSE_I2C: cuse = null, SURFACED_QUADRATURE: quadrature = null } = process.env;

const folder = await mkdtemp(path.join(os.tmpdir(), 'idle-panel-'));
const ends: (() => Promise<unknown> | unknown)[] = [() => rm(folder, { recursive: true, force: true })];
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const context: BenchContext = { isQuick: false, folder, say, defer: (end) => void ends.push(end) };

/** Controls of every kind. */
const faders = [1, 2, 3, 4].map((each) => `fader${each}`);
const bound = [...faders, 'row1', 'row2', 'dial', 'quad1', ...(isNative ? [] : ['encoder1', 'encoder2'])];
const stack = await Stack.start(context, {
  deployments: bound.map((control) => ({ name: control, replicas: 3 })),
  surfaces: { desk: bound.map((control) => binding(control, control, 8)) },
});
const ours = await PanelBuses.plug(context, { offset: 0, cuse, quadrature });
const theirs = await PanelBuses.plug(context, { offset: peerOffset, cuse, quadrature });
if (shim !== null) theirs.claim(shim);
const poller = new Part('naive-poller');
context.defer(() => poller.end());
if (shim !== null) ours.claim(shim);

interface DeviceFile {
  readonly panel: { readonly parts: readonly { readonly interrupt?: number; readonly address?: number }[] };
}
const { panel } = parse(await readFile('hil/rig/panel.yaml', 'utf8')) as DeviceFile;
/** Without lines there are neither parts on them nor interrupts. */
const parts = isNative
  ? panel.parts.filter(({ address }) => address !== undefined).map(({ interrupt: _, ...part }) => part)
  : panel.parts;

async function rest(pid: number, buses: PanelBuses): Promise<Rest> {
  buses.takeTraffic();
  const before = { cpu: cpuSeconds(pid), wakeUps: wakeUps(pid), at: performance.now() };
  await sleep(seconds * 1000);
  const tookSeconds = (performance.now() - before.at) / 1000;
  const traffic = buses.takeTraffic();
  return {
    cpuPercent: ((cpuSeconds(pid) - before.cpu) * 100) / tookSeconds,
    wakeUps: (wakeUps(pid) - before.wakeUps) / tookSeconds,
    transfers: traffic.transfers / tookSeconds,
    bytes: traffic.bytes / tookSeconds,
    busPercent: traffic.busiestMs / tookSeconds / 10,
    lightBytes: traffic.lightBytes / tookSeconds,
  };
}

/** Null when a bus was lost meanwhile: the machine had no time for its transfers. */
async function oursAtRest(): Promise<Rest | null> {
  const file = path.join(folder, 'device.yaml');
  const identity = { token: await stack.token('desk') };
  const device = { apiVersion, kind: 'Device', gateway: stack.gatewayAddress, identity };
  await writeFile(file, stringify({ ...device, panel: { ...panel, parts } }));
  const child = startProgram(process.execPath, [
    '--import=tsx',
    'daemon/main.ts',
    'device',
    '--config',
    file,
  ]);
  const log = createInterface({ input: child.stderr! });
  const late = AbortSignal.timeout(onlineMs);
  let losses = 0;
  log.on('line', (line) => {
    if (line.includes('I2C bus does not work')) losses += 1;
  });
  for (let line = ''; !line.includes('"connected"'); )
    [line] = (await once(log, 'line', { signal: late })) as [string];
  await sleep(calmMs);
  const before = losses;
  const measured = await rest(child.pid ?? 0, ours);
  const isSpoilt = losses > before;
  await endProcess(child);
  return isSpoilt ? null : measured;
}

async function theirsAtRest(): Promise<Rest> {
  await poller.call('start', peerOffset);
  await sleep(peerCalmMs);
  const measured = await rest(poller.pid, theirs);
  const failed = await poller.call<number>('stop');
  if (failed === 0) return measured;
  throw new Error(`${failed} transfers of the peer failed: ${theirs.protocolErrors.slice(0, 3).join('; ')}`);
}

const all: IdleRound[] = [];
for (let tries = 0; all.length < rounds; tries++) {
  if (tries === rounds + mostTries)
    throw new Error('the machine is too busy: the I2C buses of the panel were lost in nearly every round');
  const measured = await oursAtRest();
  if (measured === null) {
    say('a bus was lost meanwhile: once more');
    continue;
  }
  all.push({ ours: measured, theirs: await theirsAtRest() });
  say(`round ${all.length} of ${rounds}: ${JSON.stringify(all.at(-1))}`);
}
if (ours.protocolErrors.length > 0) throw new Error(ours.protocolErrors.join('; '));
for (const end of ends.reverse()) await end();
giveResult(all);
