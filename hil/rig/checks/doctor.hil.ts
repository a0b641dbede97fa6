/** Runs inside the rig: `surfaced doctor` on the kernel's own buses, lines, input devices and MIDI ports. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, constants, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { defaultAreaMs, examine, exitCodeOf } from '../../../daemon/commands/doctor.ts';
import { systemNetwork } from '../../../daemon/commands/doctor-gateway.ts';
import type { Report } from '../../../daemon/commands/doctor-text.ts';
import type { Check } from '../../../daemon/hw/doctor/report.ts';
import { systemMachine } from '../../../daemon/hw/doctor/system.ts';
import { lineOpener } from '../../../daemon/hw/gpio/open.ts';
import { silentLog } from '../../../daemon/log.ts';
import { Ads1115Model } from '../../sim/chips/ads1115.ts';
import { SimBus } from '../../sim/chips/bus.ts';
import { Ht16k33Model } from '../../sim/chips/ht16k33.ts';
import { Mcp23017Model } from '../../sim/chips/mcp23017.ts';
import { SeesawEncoderModel } from '../../sim/chips/seesaw-parts.ts';
import { ChipServer } from '../../sim/chips/server.ts';
import { type I2cBus, startI2cBus } from '../guest/chips.ts';

if (process.env.SURFACED_RIG !== '1') throw new Error('This runs inside the rig only; see hil/rig/boot.ts');
const adapter = process.env.SURFACED_CUSE_I2C;
if (adapter === undefined) throw new Error('SURFACED_CUSE_I2C has to name the adapter cuse-i2c');

// A Node of its own takes seconds to start here.
t.setTimeout(240_000);
t.jobs = 1;

const main = fileURLToPath(new URL('../../../daemon/main.ts', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'doctor-'));
// For the user nobody.
chmodSync(folder, 0o755);
const sim = new SimBus({ now: () => performance.now(), clockHz: 400_000, random: Math.random });
const server = new ChipServer(new Map([[1, sim]]));
const socket = path.join(folder, 'chips.sock');
const plugBus = () => startI2cBus({ adapter, bus: 1, socket });
let bus: I2cBus;

t.before(async () => {
  sim.plug(0x20, new Mcp23017Model(Math.random));
  sim.plug(0x48, new Ads1115Model());
  sim.plug(0x70, new Ht16k33Model('8x8'));
  await server.listen(socket);
  bus = await plugBus();
});
t.teardown(async () => {
  await bus.remove();
  await server.close();
});

const faders = { part: 'ads1115', channels: [{ channel: 0, name: 'fader1' }] };
const goodParts = [
  faders,
  { part: 'ht16k33', display: '8x8' },
  { part: 'seesaw-encoder', name: 'volume' },
  { part: 'gpio-encoder', name: 'knob', a: 5, b: 6, push: 13 },
  { part: 'rotary-encoder', name: 'dial', device: 'rotary@11' },
  { part: 'gpio-keys', device: 'button@16', keys: [{ code: 28, name: 'key' }] },
];
const partsPanel = (...parts: object[]) => ({ preset: 'parts', parts });

function configOf(panel: object): string {
  const file = path.join(folder, 'panel.yaml');
  writeFileSync(file, JSON.stringify({ apiVersion: 'surfaced.dev/v1alpha1', kind: 'Device', panel }));
  return file;
}

/** The check of that name; one that says so when there is none. */
function checkOf({ checks }: Pick<Report, 'checks'>, name: string): Partial<Check> {
  return checks.find((check) => check.name === name) ?? { found: `no check ${name}` };
}

/** The report of this process; the chips, which it serves as well, answer meanwhile. */
async function examined(panel: object | null): Promise<Report> {
  return examine(panel === null ? null : configOf(panel), {
    machine: await systemMachine(),
    network: systemNetwork,
    tellProgress: (line) => t.comment(line),
    areaMs: defaultAreaMs,
  });
}

/** The report of the command, run by a user. */
async function surfacedDoctor(t: Test, userId: number, ...words: readonly string[]) {
  const child = spawn(process.execPath, ['--import=tsx', main, 'doctor', ...words, '-o', 'json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    uid: userId,
    gid: userId,
  });
  const [output, noise, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  const problems = noise.split('\n').filter((line) => line !== '' && !/still looking at/.test(line));
  t.same(problems, [], 'nothing on stderr but progress');
  return { report: JSON.parse(output) as Report, code };
}

const faultsOf = ({ checks }: Report) => checks.filter(({ result }) => result === 'fault');

t.test('without a config it lists what the machine has', async (t) => {
  const report = await examined(null);
  t.same(faultsOf(report), []);
  t.match(report.found, {
    model: /^Raspberry Pi 4/,
    buses: [
      {
        bus: 1,
        addresses: [
          { address: 0x20, mayBe: ['mcp23017'] },
          { address: 0x48, mayBe: ['ads1115', 'ads7830', 'neotrellis'] },
          { address: 0x70, mayBe: ['ht16k33'] },
        ],
      },
    ],
    gpioChips: [{ label: 'pinctrl-bcm2711', lineCount: 28 }],
    tpm: null,
  });
  t.match(checkOf(report, 'gpiochip0').found, /held: 17 by "rotary@11", 22 by .*, 27 by "rotary@11"/);
  t.match(checkOf(report, 'devices').found, /"rotary@11".*"button@16"/);
  t.match(
    report.found.midiPorts.find(({ name }) => name === 'hw:0,0,0'),
    { path: '/dev/snd/midiC0D0', title: /^Virtual Raw MIDI/ },
  );
});

t.test('a panel on which all is well, by the command: exit 0', async (t) => {
  // There for this test alone: a scan reads a byte at 0x36, as i2cdetect does, for which the model is too strict.
  sim.plug(0x36, new SeesawEncoderModel());
  const { report, code } = await surfacedDoctor(t, 0, '--config', configOf(partsPanel(...goodParts)));
  sim.unplug(0x36);
  t.equal(code, 0);
  t.same(faultsOf(report), []);
  t.equal(checkOf(report, 'ads1115 at 0x48 on bus 1').found, 'an ADS1115 or one of its kin');
  t.equal(checkOf(report, 'ht16k33 at 0x70 on bus 1').result, 'ok');
  t.match(checkOf(report, 'seesaw-encoder at 0x36 on bus 1').found, /^Adafruit rotary encoder/);
  t.match(
    checkOf(report, 'bus 1').found,
    /0x20 \(not in the config: mcp23017\), 0x36 seesaw-encoder, 0x48 ads1115, 0x70 ht16k33/,
  );
  for (const line of [5, 6, 13]) t.equal(checkOf(report, `line ${line}`).result, 'ok');
  t.match(checkOf(report, 'rotary@11').found, /^\/dev\/input\/event\d+, for rotary-encoder/);
  t.match(checkOf(report, 'button@16'), { result: 'ok' });
});

t.test('parts that are missing, at another address, or broken', async (t) => {
  sim.fault(0x20, 'stuck');
  const report = await examined(
    partsPanel(
      { ...faders, address: 0x4b },
      { part: 'seesaw-quad-encoder', address: 0x49 },
      { part: 'mcp23017', address: 0x20, buttons: [{ pin: 'A0', name: 'button1' }] },
    ),
  );
  sim.fault(0x20, 'none');
  t.equal(exitCodeOf(report), 1);
  t.match(checkOf(report, 'ads1115 at 0x4B on bus 1'), {
    result: 'fault',
    found: 'does not answer',
    remedy: /Something answers at 0x48: if that is it, write so in `address`/,
  });
  t.match(checkOf(report, 'seesaw-quad-encoder at 0x49 on bus 1'), {
    result: 'fault',
    found: 'does not answer',
    remedy: /power, its wiring .* address jumpers/,
  });
  t.match(checkOf(report, 'mcp23017 at 0x20 on bus 1'), { result: 'fault', remedy: /Check wiring/ });
});

t.test('two parts at one address: exit 2, and who can move is told', async (t) => {
  const ads7830 = { part: 'ads7830', channels: [{ channel: 0, name: 'fader2' }] };
  const report = await examined(partsPanel(faders, ads7830));
  t.equal(exitCodeOf(report), 2);
  t.match(checkOf(report, 'file').found, /are both at 0x48 on bus 1: .* can be set to 0x49/);
  t.equal(checkOf(report, 'ads1115 at 0x48 on bus 1').result, 'ok', 'which of the two it is');
  t.match(checkOf(report, 'ads7830 at 0x48 on bus 1'), {
    result: 'fault',
    found: /something answers, but not as ads7830 does; at 0x48 there can also be ads1115/,
  });
});

t.test('a bus that is not there, and one that was pulled out', async (t) => {
  const other = await examined(partsPanel({ ...faders, bus: 3 }));
  t.equal(exitCodeOf(other), 1);
  t.match(checkOf(other, 'bus 3'), {
    result: 'fault',
    found: '/dev/i2c-3 is not there',
    remedy: /There are buses 1: `bus` in the config can name one/,
  });
  await bus.remove();
  const pulled = await examined(partsPanel(faders));
  bus = await plugBus();
  t.match(checkOf(pulled, 'bus 1'), { result: 'fault', remedy: /Switch the bus on/ });
});

t.test('lines and devices that the kernel or somebody else has', async (t) => {
  const openLines = lineOpener({ via: 'character-device' }, silentLog);
  const nothing = () => {};
  const group = await openLines(
    { chip: null, lines: [5], bias: 'none', isActiveLow: false, debounceMs: null, consumer: 'a tenant' },
    { onEdges: nothing, onMissed: nothing, onLost: nothing },
  );
  const report = await examined(
    partsPanel(
      { part: 'gpio-encoder', name: 'knob', a: 17, b: 27, push: 5 },
      { part: 'gpio-button', name: 'key', line: 40 },
      { part: 'gpio-keys', device: 'button@99', keys: [{ code: 28, name: 'enter' }] },
    ),
  );
  await group.close();
  t.equal(exitCodeOf(report), 1);
  t.match(checkOf(report, 'line 17'), { found: /^held by "rotary@11"/, remedy: /the part `rotary-encoder`/ });
  t.match(checkOf(report, 'line 5'), { result: 'fault', found: /^held by "a tenant", and gpio-encoder/ });
  t.match(checkOf(report, 'line 40'), { result: 'fault', found: /has no such line/ });
  t.match(checkOf(report, 'button@99'), {
    found: /it is not there.*rotary@11/,
    remedy: /dtoverlay=gpio-key/,
  });
});

t.test('a bus that somebody has open is left alone', async (t) => {
  const holder = spawn('/bin/sh', ['-c', 'exec 3<>/dev/i2c-1 && echo open && read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const before = sim.records.length;
  const report = await examined(partsPanel(faders));
  const transfers = sim.records.length - before;
  holder.stdin.end();
  await once(holder, 'exit');
  t.match(checkOf(report, 'bus 1'), {
    result: 'skipped',
    found: new RegExp(`in use by sh \\(process ${holder.pid}\\)`),
    remedy: /^End it/,
  });
  t.equal(transfers, 0, 'nothing went over the bus');
});

t.test('MIDI: a port that is free, one that somebody has, one that is not there', async (t) => {
  const midi = (port: string) => ({ preset: 'mackie-control', port: { type: 'raw-midi', path: port } });
  const free = await examined(midi('hw:0,1,0'));
  t.match(checkOf(free, 'hw:0,1,0').found, /^Virtual Raw MIDI.*, can be opened$/);
  // A virtual card has sixteen ports a file: all of them have to be taken.
  const taken = Array.from({ length: 16 }, () =>
    openSync('/dev/snd/midiC0D1', constants.O_RDWR | constants.O_NONBLOCK),
  );
  const busy = await examined(midi('hw:0,1,0'));
  for (const descriptor of taken) closeSync(descriptor);
  t.equal(exitCodeOf(busy), 1);
  t.match(checkOf(busy, 'hw:0,1,0'), { found: new RegExp(`in use by .*process ${process.pid}\\)`) });
  const file = await examined(midi('/dev/snd/midiC0D1'));
  t.equal(checkOf(file, '/dev/snd/midiC0D1 ports').result, 'warning');
  const absent = await examined(midi('hw:7,0,0'));
  t.match(checkOf(absent, 'hw:7,0,0').found, /^there is no such port; there are hw:0,0,0 Virtual Raw MIDI/);
});

const nobody = 65_534;
const canRead = spawnSync('/bin/sh', ['-c', `test -r ${main}`], { uid: nobody, gid: nobody }).status === 0;

t.test(
  'a user who may use nothing: each file is named, with the group that it needs',
  { skip: canRead ? false : 'the checkout is in a folder that the user nobody may not enter' },
  async (t) => {
    const { report, code } = await surfacedDoctor(t, nobody, '--config', configOf(partsPanel(...goodParts)));
    t.equal(code, 1);
    t.match(checkOf(report, 'user').found, /^nobody, in the groups nogroup/);
    const forbidden = { 'bus 1': 'i2c', gpiochip0: 'gpio', 'rotary@11': 'input', 'button@16': 'input' };
    for (const [name, group] of Object.entries(forbidden))
      t.match(checkOf(report, name), {
        result: 'fault',
        found: /nobody may not use \/dev\//,
        remedy: new RegExp(`for root alone: .*GROUP="${group}", MODE="0660"`),
      });
  },
);

t.test('it did no harm', async (t) => {
  t.same([...sim.protocolErrors, ...server.protocolErrors], [], 'no part was asked what it would not take');
});
