/**
 * The measurements of bench/image.ts, as a process run from source: what it starts finds things beside its sources. Prints
 * one JSON document (`ImageRounds`) on its standard output. Arguments: the number of rounds; `with-xz` or `without-xz`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { builtCard } from '../../hil/image/built-card.ts';
import { CardDesk } from '../../hil/image/card-desk.ts';
import { Desk, type DeskOptions } from '../../hil/image/desk.ts';
import { say } from '../../image/toolbox/command.ts';
import { ensureToolbox, type Toolbox } from '../../image/toolbox/toolbox.ts';
import { median } from '../statistics.ts';
import type { ImageRounds, Start, System } from './image-readings.ts';
import { availableKib, totalKib, uptimeSeconds } from './image-readings.ts';
import { type Login, MachineSession } from './machine-session.ts';
import { makePeerCard } from './peer-card.ts';

/** From the live panel to the reading of memory: what starts late has started. */
const restMs = 10_000;
const clockReadings = 5;
/** Writing what is left and ending everything takes an emulated machine half of it when this one is busy. */
const shutdownMs = 120_000;
const counts = [2, 5] as const;
/** The longest that the gateway gives: no renewal while something is measured. */
const certificateTtlSeconds = 600;

/** A system that is turned on again and again. */
interface Contender {
  readonly desk: Desk;
  readonly powerOn: () => Promise<unknown>;
  readonly login: Login;
  readonly turnOff: string;
  /** Replicas that its workload has. */
  count: number;
}

const ends: (() => unknown)[] = [];
const test = { teardown: (end: () => unknown) => void ends.push(end) };
async function endAll(): Promise<void> {
  for (let end = ends.pop(); end !== undefined; end = ends.pop())
    try {
      await end();
    } catch (problem) {
      say(`something did not end: ${String(problem)}`);
    }
}

/** When the kernel's clock was 0, on this process's clock, milliseconds: the shortest question tells best. */
async function kernelStart(session: MachineSession): Promise<number> {
  let best = { tookMs: Number.POSITIVE_INFINITY, at: Number.NaN };
  for (let reading = 0; reading < clockReadings; reading++) {
    const from = performance.now();
    const up = uptimeSeconds(await session.ask('cat /proc/uptime'));
    const tookMs = performance.now() - from;
    if (tookMs < best.tookMs) best = { tookMs, at: from + tookMs / 2 - up * 1000 };
  }
  return best.at;
}

/** Ends the system as its user would, so that the next start finds its disks in order. */
async function turnOff({ desk, turnOff: line }: Contender, session: MachineSession): Promise<void> {
  const { machine } = desk;
  await session.tell(line);
  const late = setTimeout(() => void machine.stop(), shutdownMs);
  if (!(await machine.ended)) say('it did not turn itself off in time');
  clearTimeout(late);
  await desk.powerCut();
}

/** The start that nothing is measured of: the surface is let in, and what is made once is made. */
async function firstStart(contender: Contender): Promise<void> {
  const { desk, powerOn, login, count } = contender;
  await powerOn();
  await desk.approve();
  await desk.untilLive(count);
  const session = await MachineSession.open(login);
  await pause(restMs);
  await turnOff(contender, session);
}

async function start(contender: Contender): Promise<Start> {
  const { desk, powerOn, login, count } = contender;
  const { gateway } = desk.site;
  const before = gateway.logLength;
  const poweredAt = performance.now();
  await powerOn();
  const attested = gateway.loggedFrom(before, 'certificate issued', {}).then(() => performance.now());
  const [litAt, attestedAt, liveAt] = await Promise.all([desk.untilLit(), attested, desk.untilLive(count)]);
  const next = count === counts[0] ? counts[1] : counts[0];
  const scaledAt = await desk.slide(count, next);
  contender.count = next;
  await pause(liveAt + restMs - performance.now());
  const session = await MachineSession.open(login);
  const memory = await session.ask('cat /proc/meminfo');
  const daemon = await session.ask('cat /sys/fs/cgroup/system.slice/surfaced-device.service/memory.current');
  const from = await kernelStart(session);
  await turnOff(contender, session);
  return {
    kernelMs: from - poweredAt,
    litMs: litAt - from,
    attestedMs: attestedAt - from,
    liveMs: liveAt - from,
    scaledMs: scaledAt - from,
    memoryUsedMib: (totalKib(memory) - availableKib(memory)) / 1024,
    daemonMib: Number(daemon) / 2 ** 20,
  };
}

/** Bytes of the file that are not holes, and bytes of it compressed as the image is published; null: not asked for. */
async function sizes(toolbox: Toolbox, image: string, isXz: boolean, work: string) {
  const sparse = path.join(work, 'sparse');
  const binds = [path.dirname(image), work];
  await toolbox.run('cp', ['--sparse=always', image, sparse], { binds });
  const { blocks } = await stat(sparse);
  await rm(sparse);
  if (!isXz) return { usedBytes: blocks * 512, xzBytes: null };
  say(`compressing ${path.basename(image)}`);
  const compress = 'nice xz -6 --threads=2 --block-size=24MiB --stdout "$1" | wc -c';
  const text = await toolbox.run('sh', ['-euc', compress, 'compress', image], { binds });
  return { usedBytes: blocks * 512, xzBytes: Number(text) };
}

async function measure(rounds: number, isXz: boolean): Promise<ImageRounds> {
  const toolbox = await ensureToolbox();
  const card = builtCard();
  const { info } = card;
  const work = await mkdtemp(path.join(tmpdir(), 'surfaced-image-'));
  test.teardown(() => rm(work, { recursive: true, force: true }));
  const keyFile = path.join(work, 'key');
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bench', '-f', keyFile]);
  const sshKey = (await readFile(`${keyFile}.pub`, 'utf8')).trim();

  const options = { test, toolbox, policy: {}, updates: null, certificateTtlSeconds };
  const preseed = `config_version = "1.0"\n\n[ssh]\nenabled = true\nauthorized_keys = ["${sshKey}"]\n`;
  const own = await CardDesk.lay({ ...options, card, bootFiles: { 'rpi-preseed.toml': preseed } });
  const us: Contender = {
    desk: own.desk,
    powerOn: () => own.powerOn(null),
    login: { port: own.desk.sshPort, user: 'maker', keyFile },
    turnOff: 'sudo systemctl poweroff',
    count: counts[0],
  };
  const peer = await peerDesk({ ...options, kernelVersion: info.kernel }, path.join(work, 'peer'), {
    packageFile: path.join(card.folder, `surfaced_${info.version}_arm64.deb`),
    sshKey,
  });
  const them: Contender = {
    desk: peer.desk,
    powerOn: () => peer.desk.powerOn(peer.image, null),
    login: { port: peer.desk.sshPort, user: 'root', keyFile },
    turnOff: 'systemctl poweroff',
    count: counts[0],
  };
  const ours: System = {
    packages: info.packages,
    kernel: info.kernel,
    ...(await sizes(toolbox, card.image, isXz, work)),
  };
  const theirs: System = { ...peer.system, ...(await sizes(toolbox, peer.image, isXz, work)) };
  const starts = { ours: [] as Start[], theirs: [] as Start[] };
  say('first start of the image');
  await firstStart(us);
  say('first start of Debian');
  await firstStart(them);
  for (let round = 1; round <= rounds; round++) {
    starts.ours.push(await start(us));
    starts.theirs.push(await start(them));
    const last = [starts.ours, starts.theirs].map((all) =>
      (median(all.map(({ scaledMs }) => scaledMs)) / 1000).toFixed(1),
    );
    say(`round ${round} of ${rounds}: first scale after ${last.join(' s and ')} s (medians)`);
  }
  return { ours: { system: ours, starts: starts.ours }, theirs: { system: theirs, starts: starts.theirs } };
}

async function peerDesk(
  options: DeskOptions,
  image: string,
  parts: { readonly packageFile: string; readonly sshKey: string },
) {
  const desk = await Desk.make(options);
  const deviceFile = await desk.deviceFile();
  const { packages, kernelVersion } = await makePeerCard({
    ...parts,
    toolbox: options.toolbox,
    deviceFile,
    output: image,
  });
  return { desk, image, system: { packages, kernel: kernelVersion } };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void endAll().finally(() => process.exit(1)));
try {
  const [rounds = '3', xz] = process.argv.slice(2);
  const measured = await measure(Number(rounds), xz === 'with-xz');
  process.stdout.write(`${JSON.stringify(measured)}\n`);
} finally {
  await endAll();
}
