/**
 * `surfaced calibrate` as people run it: main.ts in a process of its own on the real i2c-bus binding, which a preloaded
 * library leads to chip models; then `surfaced monitor` on what was written.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { runCalibrate } from '../../daemon/commands/calibrate.ts';
import { silentLog } from '../../daemon/log.ts';
import { ensureAdapter } from '../../hil/rig/adapters/build.mjs';
import { Ads1115Model } from '../../hil/sim/chips/ads1115.ts';
import { SimBus } from '../../hil/sim/chips/bus.ts';
import { ChipServer } from '../../hil/sim/chips/server.ts';
import { shimMissing } from '../hil/rig/shim.ts';

const main = fileURLToPath(new URL('../../daemon/main.ts', import.meta.url));
const head = 'apiVersion: surfaced.dev/v1alpha1\nkind: Device\n';
const channels = '[{ channel: 0, name: fader1 }, { channel: 1, name: fader2 }]';
const parts = `${head}panel: { preset: parts, parts: [{ part: ads1115, channels: ${channels} }] }\n`;

const skip = shimMissing();
/** Two faders, each with a write, a look at whether it is converted, and the result. */
const transfersAPoll = 6;

/** `surfaced` in a process of its own. */
class Process {
  readonly #child: ChildProcess;
  readonly #heard = new EventEmitter();
  readonly #closed: Promise<unknown[]>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(process.execPath, ['--import=tsx', main, ...args], {
      env: { ...process.env, ...env },
    });
    this.#closed = once(this.#child, 'close');
    for (const name of ['stdout', 'stderr'] as const)
      this.#child[name]!.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        this.#heard.emit('text');
      });
  }

  /** Waits until all of this was said, on stdout or stderr. */
  async said(...patterns: readonly RegExp[]): Promise<void> {
    const isSaid = (): boolean => patterns.every((one) => one.test(this.stdout) || one.test(this.stderr));
    while (!isSaid()) {
      const heard = once(this.#heard, 'text');
      if (this.#child.exitCode !== null) throw new Error(`ended: ${this.stdout}${this.stderr}`);
      await Promise.race([heard, this.#closed]);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(): Promise<number | null> {
    const [code] = await this.#closed;
    return code as number | null;
  }
}

/** A Pi with an ADS1115 on bus 1, and a folder with a Device file. */
class Pi {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'surfaced-calibrate-'));
  readonly config = path.join(this.folder, 'device.yaml');
  readonly calibration = path.join(this.folder, 'calibration.yaml');
  readonly chip = new Ads1115Model();
  readonly #bus = new SimBus({ now: () => performance.now(), clockHz: 400_000, random: () => 0.5 });
  readonly #server = new ChipServer(new Map([[1, this.#bus]]));

  async start(t: Test): Promise<void> {
    t.teardown(async () => {
      await this.#server.close();
      rmSync(this.folder, { recursive: true });
    });
    writeFileSync(this.config, parts);
    this.#bus.plug(0x48, this.chip);
    await this.#server.listen(path.join(this.folder, 'chips'));
    this.move(0.5, 0.5);
  }

  /** Both faders to places of their scale. */
  move(fader1: number, fader2: number): void {
    this.chip.setVolts(0, fader1 * 3.3);
    this.chip.setVolts(1, fader2 * 3.3);
  }

  /** Waits until each fader has been read so often where it is now. */
  async rested(readings: number): Promise<void> {
    const end = this.#bus.records.length + readings * transfersAPoll;
    while (this.#bus.records.length < end) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  run(t: Test, ...args: readonly string[]): Process {
    const started = new Process(args, {
      LD_PRELOAD: ensureAdapter('i2c-shim.so'),
      SURFACED_I2C_SHIM: path.join(this.folder, 'chips'),
      SURFACED_I2C_BUSES: '1',
    });
    t.teardown(() => started.kill('SIGKILL'));
    return started;
  }

  get protocolErrors(): readonly string[] {
    return [...this.#bus.protocolErrors, ...this.#server.protocolErrors];
  }
}

t.test('faders are moved from end to end, the ends are kept, and monitor reads them', { skip }, async (t) => {
  const pi = new Pi();
  await pi.start(t);
  const calibrate = pi.run(t, 'calibrate', '--config', pi.config, '-o', 'json');
  await calibrate.said(/fader1 .*low end 0 of 2/, /fader2 .*low end 0 of 2/);
  const stations = [
    { places: [0.8, 0.9], told: 'low end 0 of 2, high end 1 of 2' },
    { places: [0.1, 0.2], told: 'low end 1 of 2, high end 1 of 2' },
    { places: [0.8, 0.9], told: 'low end 1 of 2, high end 2 of 2' },
    { places: [0.1, 0.2], told: 'done' },
  ] as const;
  for (const { places, told } of stations) {
    await pi.rested(20);
    pi.move(places[0], places[1]);
    await calibrate.said(new RegExp(`fader1 .*${told}`), new RegExp(`fader2 .*${told}`));
  }
  t.equal(await calibrate.end(), 0);
  const { isWritten, file, calibrated, rejected } = JSON.parse(calibrate.stdout);
  t.same({ isWritten, file, rejected }, { isWritten: true, file: pi.calibration, rejected: [] });
  for (const [name, ends] of Object.entries({ fader1: [0.1, 0.8], fader2: [0.2, 0.9] })) {
    t.ok(Math.abs(calibrated[name].low - ends[0]!) < 0.01, `${name} at the bottom`);
    t.ok(Math.abs(calibrated[name].high - ends[1]!) < 0.01, `${name} at the top`);
  }
  t.match(readFileSync(pi.calibration, 'utf8'), /kind: Calibration\nfaders:\n {2}fader1:\n/);

  pi.move(0.8, 0.55);
  const monitor = pi.run(t, 'monitor', '--config', pi.config);
  await monitor.said(/^fader1 100\.0 %$/m, /^fader2 (49|50)\.\d %$/m);
  monitor.kill('SIGINT');
  t.equal(await monitor.end(), 0);
  t.same(pi.protocolErrors, []);
});

t.test('Ctrl-C leaves everything as it was, exit 1', { skip }, async (t) => {
  const pi = new Pi();
  await pi.start(t);
  const before = `${head.replace('Device', 'Calibration')}faders: { fader2: { low: 0.2, high: 0.9 } }\n`;
  writeFileSync(pi.calibration, before);
  const calibrate = pi.run(t, 'calibrate', '--config', pi.config, '--control', 'fader2');
  await calibrate.said(/fader2 .*low end 0 of 2/);
  await pi.rested(20);
  pi.move(0.1, 0.1);
  await calibrate.said(/fader2 .*low end 1 of 2/);
  calibrate.kill('SIGINT');
  t.equal(await calibrate.end(), 1);
  t.equal(calibrate.stdout, 'Nothing was written.\n');
  t.notMatch(calibrate.stderr, 'fader1', 'only the fader that was named');
  t.equal(readFileSync(pi.calibration, 'utf8'), before);
  t.same(pi.protocolErrors, []);
});

t.test('what cannot be calibrated is said, with exit code 2', async (t) => {
  const folder = t.testdir({
    'midi.yaml': `${head}panel: { preset: nanokontrol2, port: { type: raw-midi, path: /dev/snd/midiC9D0 } }\n`,
    'parts.yaml': parts,
    'buttons.yaml': `${head}panel: { preset: parts, parts: [{ part: gpio-button, name: arm, line: 4 }] }\n`,
  });
  const calibrate = new Process(['calibrate', '--config', path.join(folder, 'midi.yaml')], {});
  const io = { input: process.stdin, screen: process.stderr, signal: new AbortController().signal };
  const run = (file: string, ...controls: readonly string[]) =>
    runCalibrate({ config: path.join(folder, file), controls, output: 'text' }, io, async () => silentLog);
  await t.rejects(run('buttons.yaml'), { code: 'E_USAGE', message: /this panel has no faders/ });
  await t.rejects(run('parts.yaml', 'fader1', 'knob'), {
    code: 'E_USAGE',
    message: 'control: knob: no such fader; this panel has fader1, fader2',
  });
  await t.rejects(run('none.yaml'), { code: 'E_CFG_READ' });
  t.equal(await calibrate.end(), 2);
  t.match(calibrate.stderr, /nanokontrol2 is on a MIDI port: its faders .* need no calibration/);
  t.equal(calibrate.stdout, '');
});
