/** `surfaced device` with a large panel at rest, round by round beside a naive poller. Inside the rig; see bench/idle-panel.ts. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { apiVersion } from '../../daemon/config/schema.ts';
import type { IdleInput, IdleRound, Rest } from '../idle-panel.ts';
import { cpuSeconds, endProcess, Part, Surfaced, wakeUps } from '../processes.ts';
import { binding, Stack } from '../stack.ts';
import type { BenchContext } from '../types.ts';
import { giveResult, rigInput } from './in-rig.ts';
import { PanelBuses } from './panel-buses.ts';

/** Of the buses of the peer's panel. */
const peerOffset = 4;
/** Start-up, its garbage and the first look of everything at everything are over by then. */
const calmMs = 8000;
const peerCalmMs = 1500;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One binding of each kind of control, and more faders. */
const bound = [...[1, 2, 3, 4].map((each) => `fader${each}`), 'row1', 'row2', 'encoder1', 'encoder2', 'dial', 'quad1'];

async function rest(pid: number, buses: PanelBuses, seconds: number): Promise<Rest> {
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

const { seconds, rounds } = rigInput<IdleInput>();
const folder = await mkdtemp(path.join(os.tmpdir(), 'idle-panel-'));
const ends: (() => Promise<unknown> | unknown)[] = [];
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const context: BenchContext = { isQuick: false, folder, say, defer: (end) => void ends.push(end) };

const ours = await PanelBuses.plug(context, 0);
const theirs = await PanelBuses.plug(context, peerOffset);
const deployments = bound.map((control) => ({ name: control, replicas: 3 }));
const stack = await Stack.start(context, {
  deployments,
  surfaces: { desk: bound.map((control) => binding(control, control, 8)) },
});
const { panel } = parse(await readFile('hil/rig/panel.yaml', 'utf8')) as { readonly panel: object };

async function oursAtRest(round: number): Promise<Rest> {
  const file = path.join(folder, `device-${round}.yaml`);
  const identity = { token: await stack.token('desk') };
  await writeFile(
    file,
    stringify({ apiVersion, kind: 'Device', gateway: stack.gatewayAddress, identity, panel }),
  );
  const device = new Surfaced('device', '--config', file);
  context.defer(() => endProcess(device.child));
  await device.logged('connected');
  await sleep(calmMs);
  const measured = await rest(device.child.pid ?? 0, ours, seconds);
  await endProcess(device.child);
  return measured;
}

const poller = new Part('naive-poller');
context.defer(() => poller.end());
async function theirsAtRest(): Promise<Rest> {
  await poller.call('start', peerOffset);
  await sleep(peerCalmMs);
  const measured = await rest(poller.pid, theirs, seconds);
  const failed = await poller.call<number>('stop');
  if (failed > 0) throw new Error(`${failed} transfers of the peer failed: ${theirs.protocolErrors.slice(0, 3).join('; ')}`);
  return measured;
}

const all: IdleRound[] = [];
for (let round = 0; round < rounds; round++) {
  const [first, second] = [await oursAtRest(round), await theirsAtRest()];
  all.push({ ours: first, theirs: second });
  say(`round ${round + 1} of ${rounds}: ${JSON.stringify(all.at(-1))}`);
}
if (ours.protocolErrors.length > 0) throw new Error(ours.protocolErrors.join('; '));
for (const end of ends.reverse()) await end();
giveResult(all);
