/** A surface with a software TPM against a whole gateway: what its panel shows from the first start to the last. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { createTpmCredentials } from '../daemon/attest/enrol/tpm-client.ts';
import { openProver } from '../daemon/attest/evidence/tpm-prover.ts';
import { swtpm, Tpm } from '../daemon/attest/tpm2/index.ts';
import { systemClock } from '../daemon/clock.ts';
import { approveIn } from '../daemon/commands/approve.ts';
import { runDevice } from '../daemon/commands/device.ts';
import { loadConfig } from '../daemon/config/load.ts';
import { startDevice } from '../daemon/device.ts';
import { pairingCodeIn } from '../daemon/first-boot/report.ts';
import { type Gateway, startGateway } from '../daemon/gateway.ts';
import { silentLog } from '../daemon/log.ts';
import { paintPicture } from '../daemon/surface/pictures.ts';
import type { Frame, Panel } from '../daemon/surface/types.ts';
import { leftIn } from './attest/tpm2/live/live.ts';
import { beginSoftwareTpm, type SoftwareTpm, withoutSwtpm } from './attest/tpm2/live/swtpm.ts';
import { nobodysKubeconfig as kubeconfig } from './nobodys-cluster.ts';

const head = 'apiVersion: surfaced.dev/v1alpha1\n';

async function newGateway(t: Test): Promise<Gateway> {
  const folder = t.testdir({ kubeconfig, surfaces: {} });
  const file = path.join(folder, 'gateway.yaml');
  await writeFile(
    file,
    `${head}kind: Gateway
stateDir: state
enrol: { listen: '127.0.0.1:0' }
broker: { listen: '127.0.0.1:0' }
registry: { folder: surfaces }
cluster: { kubeconfig: kubeconfig }
`,
  );
  const config = await loadConfig('Gateway', file);
  const gateway = await startGateway({ config, clock: systemClock, random: Math.random, log: silentLog });
  t.teardown(() => gateway.stop());
  return gateway;
}

async function newChip(t: Test): Promise<SoftwareTpm> {
  const chip = await beginSoftwareTpm();
  t.teardown(() => chip.end());
  return chip;
}

const approve = (gateway: Gateway, ekSha256: string) =>
  approveIn(gateway.registryFolder, {
    name: 'desk',
    ekSha256,
    level: null,
    policy: null,
    isReplacing: false,
  });

/** What is loaded in a TPM, as somebody else sees it. */
async function leftInside(chip: SoftwareTpm): Promise<readonly number[]> {
  const tpm = new Tpm({ transport: swtpm(chip.address) });
  const left = await leftIn(tpm);
  await tpm.close();
  return left;
}

/** A panel that keeps what it is shown. */
class Watched implements Panel {
  readonly spec = { model: 'watched', controls: [], matrix: { width: 8, height: 8 }, roles: {} };
  readonly state = { isOpen: true, problem: null };
  readonly frames: Frame[] = [];
  readonly #looks = new Set<() => void>();

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  show(frame: Frame): void {
    this.frames.push(frame);
    for (const look of this.#looks) look();
  }

  /** Resolves when a frame that is shown from now on is as it should be. */
  until(isTrue: (frame: Frame) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const frame = this.frames.at(-1);
        if (frame === undefined || !isTrue(frame)) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }
}

/** A fault's picture in the moment of a flash. */
function pictureOf(fault: 'identity' | 'refused'): Buffer {
  const rgb = new Uint8Array(8 * 8 * 3);
  paintPicture({ width: 8, height: 8, rgb }, { kind: 'fault', fault }, 0);
  return Buffer.from(rgb);
}

t.test('a device from a TPM that is off to one that is trusted', { skip: withoutSwtpm }, async (t) => {
  const gateway = await newGateway(t);
  const chip = await newChip(t);
  await chip.cutPower();
  const none = path.join(t.testdirName, 'none');
  const prover = openProver({
    tpm: new Tpm({ transport: swtpm(chip.address) }),
    logs: { firmware: none, ima: none, measured: none, systemd: none },
    log: silentLog,
    random: Math.random,
  });
  t.teardown(() => prover.close());
  const credentials = createTpmCredentials({
    config: { url: `https://127.0.0.1:${gateway.enrolPort}`, caPin: gateway.caPin },
    prover,
    firmware: '1.2.3',
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  const panel = new Watched();
  const device = await startDevice({
    panel,
    credentials,
    surface: { settleMs: 150, longestMoveMs: 500, isLockedAtStart: false, lockAfterIdleMs: 0 },
    firmware: '1.2.3',
    updates: null,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    signal: new AbortController().signal,
  });
  t.teardown(() => device.stop());
  const link = () => device.health().parts.link;
  const shows = (picture: Buffer) => panel.until((frame) => picture.equals(frame.matrix?.rgb ?? picture));
  const isConnected = (frame: Frame) => frame.link.state !== 'offline' && frame.link.isAttested;

  await shows(pictureOf('identity'));
  t.match(link(), { ok: false, detail: /swtpm/ });

  await chip.start();
  await panel.until(({ link }) => /^Code \d{4}-\d{4},/.test(link.detail));
  const [waiting] = gateway.trust.quarantine();
  t.match(panel.frames.at(-1)?.link.detail, waiting?.pairingCode, 'the code of the gateway, worked out here');
  t.match(link(), { ok: false, detail: `waits to be let in with the code ${waiting?.pairingCode}` });
  t.equal(pairingCodeIn(link()?.detail ?? ''), waiting?.pairingCode, 'the report finds it there');

  await approve(gateway, waiting?.ekSha256 ?? '');
  await panel.until(isConnected);
  t.match(gateway.trust.of('desk'), { state: 'trusted', level: 0 });
  t.not(link()?.detail.includes(waiting?.pairingCode ?? ''), true);

  const since = panel.frames.length;
  const renewal = () => new Promise<void>((resolve) => credentials.onRenewed(() => resolve()));
  const renewed = renewal();
  credentials.renew();
  await renewed;
  await chip.cutPower();
  await chip.start();
  const afterReset = renewal();
  credentials.renew();
  await afterReset;
  t.ok(panel.frames.slice(since).every(isConnected), 'connected throughout, in the next epoch as well');

  const revoke = (isRevoked: boolean) =>
    writeFile(
      path.join(gateway.registryFolder ?? '', 'desk.yaml'),
      `${head}kind: ControlSurface
metadata: { name: desk }
spec: { isRevoked: ${isRevoked}, tpm: { ekSha256: ${waiting?.ekSha256} } }
`,
    );
  await revoke(true);
  await shows(pictureOf('refused'));
  await revoke(false);
  await panel.until(isConnected);
  t.pass('let in again, by new evidence that nobody had to ask for');

  await device.stop();
  await prover.close();
  t.same(await leftInside(chip), []);
});

t.test('surfaced device, by its file', { skip: withoutSwtpm }, async (t) => {
  const gateway = await newGateway(t);
  const chip = await newChip(t);
  const folder = path.join(t.testdirName, 'device');
  await mkdir(folder);
  const file = path.join(folder, 'surfaced.yaml');
  const write = (socket: string) =>
    writeFile(
      file,
      `${head}kind: Device
gateway: { url: 'https://127.0.0.1:${gateway.enrolPort}', caPin: '${gateway.caPin}' }
identity:
  tpm:
    swtpm: ${socket}
    firmwareLog: ${folder}/none
    imaLog: ${folder}/none
    measuredLog: ${folder}/none
    systemdLog: ${folder}/none
panel: { preset: launchpad-mini-mk3, port: { type: raw-midi, path: ${folder}/none } }
`,
    );
  let lines = '';
  let look = () => {};
  const log = pino(
    { level: 'debug' },
    {
      write: (line: string) => {
        lines += line;
        look();
      },
    },
  );
  const said = (words: RegExp) =>
    new Promise<void>((resolve) => {
      look = () => {
        if (words.test(lines)) resolve();
      };
      look();
    });
  const run = () =>
    runDevice({
      file,
      firmware: '1.2.3',
      updates: `${folder}/no-updates`,
      logFor: async () => log,
      signal: new AbortController().signal,
    });

  await write(path.join(folder, 'no-tpm'));
  const without = await run();
  await said(/E_TPM_OPEN/);
  await without.stop();

  await write(chip.path);
  const first = await run();
  await said(/compare the code/);
  await first.stop();
  t.same(await leftInside(chip), [], 'stopped while it waited for a person');

  await approve(gateway, gateway.trust.quarantine()[0]?.ekSha256 ?? '');
  const second = await run();
  await said(/"surface":"desk","trust":"tpm","attestedLevel":0,"msg":"connected"/);
  await second.stop();
  t.same(await leftInside(chip), []);
  t.notMatch(lines, /PRIVATE KEY/);
});
