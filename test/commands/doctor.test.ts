import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { type DoctorIo, defaultAreaMs, examine, exitCodeOf } from '../../daemon/commands/doctor.ts';
import { type Network, systemNetwork } from '../../daemon/commands/doctor-gateway.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { areas } from '../../daemon/hw/doctor/report.ts';
import { Ads1115Model } from '../../hil/sim/chips/ads1115.ts';
import { checkOf, MadeUpMachine } from '../hw/doctor/made-up.ts';

const main = fileURLToPath(new URL('../../daemon/main.ts', import.meta.url));
const faders = { part: 'ads1115', channels: [{ channel: 0, name: 'fader1' }] };
const knob = { part: 'gpio-encoder', name: 'knob', a: 5, b: 6 };
const token = `abc123.${'s'.repeat(32)}`;
const pin = `sha256:${'ab'.repeat(32)}`;
const gateway = { url: 'https://gateway.example:8443', caPin: pin };

const device = (panel: object, more: object = {}) => ({
  apiVersion: 'surfaced.dev/v1alpha1',
  kind: 'Device',
  gateway,
  identity: { token },
  panel,
  ...more,
});
const parts = (...list: object[]) => ({ preset: 'parts', parts: list });

/** Writes a Device file below the machine's root: JSON is YAML. */
function fileIn(made: MadeUpMachine, content: object): string {
  made.put('/etc/surfaced.yaml', JSON.stringify(content));
  return path.join(made.root, 'etc/surfaced.yaml');
}

/** A machine on which the panel of these tests is well. */
function desk(t: Pick<Test, 'testdir'>): MadeUpMachine {
  const made = new MadeUpMachine(t).bus(1, 'bcm2835 (i2c@7e804000)').chip('gpiochip0', {});
  made.sim.plug(0x48, new Ads1115Model());
  return made;
}

class NetworkDouble implements Network {
  readonly asked: string[] = [];
  own: readonly string[] = ['192.0.2.7'];
  fails: Partial<Record<'lookup' | 'connect' | 'checkPin', Error>> = {};

  addresses(): readonly string[] {
    return this.own;
  }
  async lookup(host: string): Promise<readonly string[]> {
    this.#ask('lookup', host);
    return ['192.0.2.1'];
  }
  async connect(address: { host: string; port: number }): Promise<void> {
    this.#ask('connect', `${address.host} ${address.port}`);
  }
  async checkPin(_address: object, pinned: string): Promise<void> {
    this.#ask('checkPin', pinned);
  }
  #ask(step: 'lookup' | 'connect' | 'checkPin', what: string): void {
    this.asked.push(`${step} ${what}`);
    const error = this.fails[step];
    if (error !== undefined) throw error;
  }
}

function ioOf(made: MadeUpMachine, more: Partial<DoctorIo> = {}): DoctorIo & { readonly told: string[] } {
  const told: string[] = [];
  return {
    machine: made.machine,
    network: new NetworkDouble(),
    tellProgress: (line) => told.push(line),
    areaMs: defaultAreaMs,
    told,
    ...more,
  };
}

t.test('without a config it lists, and nothing is a fault', async (t) => {
  const network = new NetworkDouble();
  const io = ioOf(desk(t), { network });
  const report = await examine(null, io);
  t.equal(report.ok, true);
  t.equal(exitCodeOf(report), 0);
  const seen = new Set(report.checks.map(({ area }) => area));
  t.same(
    [...seen],
    areas.filter((area) => area !== 'config'),
    'every area, in order',
  );
  t.same(network.asked, [], 'nobody is called');
  t.match(report.found, {
    buses: [{ bus: 1, addresses: [{ address: 0x48 }] }],
    gpioChips: [{ label: 'pinctrl-bcm2711' }],
    networkAddresses: ['192.0.2.7'],
  });
  t.same(io.told, [], 'nothing took long');
});

t.test('a panel on which all is well', async (t) => {
  const network = new NetworkDouble();
  const made = desk(t);
  const io = ioOf(made, { network });
  const report = await examine(fileIn(made, device(parts(faders, knob))), io);
  t.same(
    report.checks.filter(({ result }) => result !== 'ok' && result !== 'skipped'),
    [],
  );
  t.equal(exitCodeOf(report), 0);
  t.match(checkOf(report, 'file').found, /surfaced.yaml: 2 parts, 2 controls$/);
  t.equal(checkOf(report, 'ads1115 at 0x48 on bus 1').result, 'ok');
  t.equal(checkOf(report, 'line 5').result, 'ok');
  t.same(network.asked, ['lookup gateway.example', 'connect gateway.example 8443', `checkPin ${pin}`]);
  t.notMatch(JSON.stringify(report), token, 'the token is nowhere');
});

t.test('a part that is missing: exit 1', async (t) => {
  const made = desk(t);
  made.sim.unplug(0x48);
  const report = await examine(fileIn(made, device(parts(faders))), ioOf(made));
  t.equal(exitCodeOf(report), 1);
  t.match(checkOf(report, 'ads1115 at 0x48 on bus 1'), { result: 'fault', remedy: /power/ });
});

t.test('a config that is wrong: exit 2, and the rest is looked at all the same', async (t) => {
  const made = desk(t);
  const ads7830 = { part: 'ads7830', channels: [{ channel: 0, name: 'fader2' }] };
  const clash = await examine(fileIn(made, device(parts(faders, ads7830))), ioOf(made));
  t.equal(exitCodeOf(clash), 2);
  t.match(checkOf(clash, 'file'), {
    result: 'fault',
    found: /ads7830 and ads1115 \(parts\.0\) are both at 0x48 on bus 1: .* can be set to 0x49/,
    remedy: /Correct the fields/,
  });
  t.equal(checkOf(clash, 'ads1115 at 0x48 on bus 1').result, 'ok', 'its parts are asked');

  const wrong = await examine(fileIn(made, { kind: 'Device' }), ioOf(made));
  t.equal(exitCodeOf(wrong), 2);
  t.match(checkOf(wrong, 'file').found, /apiVersion/);
  t.equal(checkOf(wrong, 'bus 1').result, 'ok', 'as without a config');

  const absent = await examine('/no/such/file.yaml', ioOf(made));
  t.equal(exitCodeOf(absent), 2);
  t.match(checkOf(absent, 'file'), { result: 'fault', found: /file\.yaml: cannot be read \(ENOENT\)/ });

  const silent = await examine(
    fileIn(made, { ...device(parts(faders)), gateway: undefined, identity: undefined }),
    ioOf(made),
  );
  t.match(checkOf(silent, 'gateway'), { result: 'warning', remedy: /enroll config/ });
  t.equal(exitCodeOf(silent), 0, 'a warning is no fault');
});

t.test('the file of a token, whose text is not told', async (t) => {
  const made = desk(t);
  const tokenFile = path.join(made.root, 'token');
  const file = fileIn(made, device(parts(faders), { identity: { tokenFile } }));
  const look = async () => checkOf(await examine(file, ioOf(made)), 'token');
  t.match(await look(), { result: 'fault', found: /ENOENT/, remedy: /identity\.tokenFile/ });
  writeFileSync(tokenFile, `${token}\n`);
  const good = await look();
  t.match(good, { result: 'ok' });
  t.notMatch(JSON.stringify(good), token);
  writeFileSync(tokenFile, 'secret of something else');
  const bad = await look();
  t.match(bad, { result: 'fault', found: /holds no token/, remedy: /surfaced enroll token/ });
  t.notMatch(JSON.stringify(bad), 'secret');
});

t.test('a calibration', async (t) => {
  const made = desk(t);
  const calibration = path.join(made.root, 'calibration.yaml');
  const file = fileIn(made, device({ ...parts(faders), calibration }));
  const look = async () => checkOf(await examine(file, ioOf(made)), 'calibration');
  t.match(await look(), { result: 'ok', found: /^none/ });
  writeFileSync(
    calibration,
    'apiVersion: surfaced.dev/v1alpha1\nkind: Calibration\nfaders: { fader1: { low: 0.1, high: 0.9 } }\n',
  );
  t.match(await look(), { result: 'ok', found: /: 1 faders?$/ });
  writeFileSync(calibration, 'faders: [');
  t.match(await look(), { result: 'fault', remedy: /./ });
});

t.test('the way to the gateway ends at the first step that fails', async (t) => {
  const made = desk(t);
  const file = fileIn(made, device(parts(faders)));
  const look = async (fails: NetworkDouble['fails'], own?: readonly string[]) => {
    const network = new NetworkDouble();
    network.fails = fails;
    network.own = own ?? network.own;
    const report = await examine(file, ioOf(made, { network }));
    return { report, asked: network.asked.length };
  };
  const nameless = await look({ lookup: new Error('ENOTFOUND') });
  t.match(checkOf(nameless.report, 'name'), { result: 'fault', remedy: /getent hosts/ });
  t.equal(nameless.asked, 1);
  t.equal(exitCodeOf(nameless.report), 1);
  const closed = await look({ connect: new Error('ECONNREFUSED') });
  t.match(checkOf(closed.report, 'connection'), { result: 'fault', found: /gateway\.example:8443: ECONN/ });
  t.equal(closed.asked, 2);
  const stranger = await look({ checkPin: new SurfacedError('E_GATEWAY_PIN', 'another CA') });
  t.match(checkOf(stranger.report, 'CA pin'), { result: 'fault', found: /another CA/, remedy: /./ });
  const alone = await look({}, []);
  t.match(checkOf(alone.report, 'addresses'), { result: 'fault', remedy: /cable/ });

  const network = new NetworkDouble();
  const byNumber = device(parts(faders), { gateway: { url: 'https://192.0.2.1', caPin: pin } });
  await examine(fileIn(made, byNumber), ioOf(made, { network }));
  t.same(network.asked, ['connect 192.0.2.1 443', `checkPin ${pin}`], 'an address needs no name server');
});

t.test('a look that hangs or breaks is a fault, and the others go on', async (t) => {
  const made = desk(t);
  made.change = { isSynchronized: () => new Promise(() => {}) };
  const late = await examine(null, ioOf(made, { areaMs: 20 }));
  t.match(
    late.checks.find(({ area }) => area === 'clock'),
    { result: 'fault', found: 'no answer within 0.02 s', remedy: /dmesg/ },
  );
  t.equal(checkOf(late, 'addresses').result, 'ok');
  made.change = { isSynchronized: () => Promise.reject(new Error('a defect')) };
  t.match(
    (await examine(null, ioOf(made))).checks.find(({ area }) => area === 'clock'),
    { result: 'fault', found: 'a defect', remedy: 'Please report this.' },
  );
});

t.test('who waits is told what for', async (t) => {
  const io = ioOf(desk(t));
  const { timers } = io.machine;
  let end = (_: boolean) => {};
  const isSynchronized = () => new Promise<boolean>((resolve) => (end = resolve));
  // The time after which people are told is over at once; the look ends when they were.
  const after = (ms: number, run: () => void) => timers.after(ms === 2000 ? 0 : ms, run);
  const report = await examine(null, {
    ...io,
    machine: { ...io.machine, timers: { ...timers, after }, isSynchronized },
    tellProgress: (line) => line === 'still looking at: clock' && end(true),
  });
  t.match(checkOf(report, 'time server'), { result: 'ok' });
});

t.test("this machine's network", async (t) => {
  t.ok(systemNetwork.addresses().every((address) => !/^(?:127\.|::1$|fe80:)/.test(address)));
  t.ok((await systemNetwork.lookup('localhost')).length > 0);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const place = { host: '127.0.0.1', port };
  await systemNetwork.connect(place);
  server.close();
  await once(server, 'close');
  await t.rejects(systemNetwork.connect(place), { code: 'ECONNREFUSED' });
  await t.rejects(systemNetwork.checkPin(place, pin), { code: 'E_GATEWAY_UNREACHABLE' });
});

async function surfaced(...words: readonly string[]) {
  const child = spawn(process.execPath, ['--import=tsx', main, 'doctor', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, noise, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  // On a busy machine it may tell that it still looks.
  const problems = noise.split('\n').filter((line) => !/still looking at/.test(line));
  return { output, noise: problems.join('\n'), code };
}

t.test('the command', async (t) => {
  const help = await surfaced('--help');
  t.equal(help.code, 0);
  for (const word of ['--config <file>', '--output <format>', 'changes nothing']) t.match(help.output, word);

  const listed = await surfaced();
  t.match(listed, { code: 0, output: /^machine\n.*\n0 faults, \d+ warnings?, \d+ ok, \d+ skipped\.\n$/s });
  const lines = listed.output.split('\n');
  t.notMatch(listed.output, '\u001b', 'no colour into a pipe');
  t.same(
    lines.filter((line) => line.length > 80 || line !== line.trimEnd()),
    [],
  );

  const absent = await surfaced('--config', '/no/such/file.yaml', '-o', 'json');
  t.equal(absent.code, 2);
  const report = JSON.parse(absent.output);
  t.match(report, { ok: false, checks: [{ area: 'config', name: 'file', result: 'fault' }] });
  t.equal(absent.noise, '', 'a fault is a result, no error of the command');

  t.match(await surfaced('-o', 'xml'), { code: 2, output: '', noise: /Allowed choices are text, json/ });
});
