import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { systemClock } from '../daemon/clock.ts';
import { startDevice } from '../daemon/device.ts';
import { healthOf } from '../daemon/health.ts';
import { silentLog } from '../daemon/log.ts';
import { keepTold, loadKoffi, openServiceManager, statusOf } from '../daemon/notify.ts';
import { Bed } from './bridge/gateway/bed.ts';

const koffiMissing = await loadKoffi().then(
  () => false as const,
  () => 'the optional package koffi is not installed',
);
const folder = mkdtempSync(path.join(tmpdir(), 'notify-'));
t.teardown(() => rmSync(folder, { recursive: true }));

/** A real datagram socket that prints what it receives, one JSON string a line, in a process of its own: it waits in the kernel. */
const listener = `
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const name = process.argv[1];
  const path = Buffer.from(name.replace(/^@/, '\\0'));
  const address = Buffer.concat([new Uint8Array(Uint16Array.of(1).buffer), path, Buffer.alloc(name[0] === '@' ? 0 : 1)]);
  const descriptor = library.func('int socket(int, int, int)')(1, 2, 0);
  if (library.func('int bind(int, const uint8_t *, unsigned int)')(descriptor, address, address.length) !== 0)
    throw new Error('bind');
  const { writeSync } = await import('node:fs');
  const receive = library.func('long recv(int, _Out_ uint8_t *, size_t, int)');
  writeSync(1, '"listens"\\n');
  for (;;) {
    const buffer = Buffer.alloc(4096);
    const length = Number(receive(descriptor, buffer, buffer.length, 0));
    writeSync(1, JSON.stringify(buffer.toString('utf8', 0, length)) + '\\n');
  }`;

interface Listener {
  readonly name: string;
  next(): Promise<string>;
}

async function listen(t: Test, name: string): Promise<Listener> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', listener, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => JSON.parse((await lines.next()).value ?? '"closed"') as string;
  t.equal(await next(), 'listens');
  return { name, next };
}

const role = (script: string, env: Record<string, string>): ChildProcess =>
  spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
const runs = `import { runRole } from ${JSON.stringify(new URL('../daemon/commands/run.ts', import.meta.url).href)};
  await runRole(async () => ({
    stop: async () => {},
    health: () => ({ ok: true, parts: { link: { ok: true, detail: 'online, level 1' } } }),
    pulse: async () => {},
  }));
  setInterval(() => {}, 1000);`;

t.test('a role tells a real socket that it serves, lives and ends', { skip: koffiMissing }, async (t) => {
  const abstract = `@surfaced-test-${process.pid}-${'x'.repeat(60)}`;
  for (const name of [path.join(folder, 's'), abstract]) {
    const systemd = await listen(t, name);
    const child = role(runs, { NOTIFY_SOCKET: name, WATCHDOG_USEC: '40000' });
    t.equal(await systemd.next(), 'READY=1\nSTATUS=link: online, level 1');
    t.equal(await systemd.next(), 'WATCHDOG=1');
    t.equal(await systemd.next(), 'WATCHDOG=1');
    child.kill('SIGTERM');
    let last = 'WATCHDOG=1';
    while (last === 'WATCHDOG=1') last = await systemd.next();
    t.equal(last, 'STOPPING=1\nEXTEND_TIMEOUT_USEC=8000000\nSTATUS=ends');
    t.same(await once(child, 'exit'), [0, null]);
  }
});

t.test(
  'a socket that is not there is said once, and nothing else happens',
  { skip: koffiMissing },
  async (t) => {
    const child = role(runs, { NOTIFY_SOCKET: path.join(folder, 'gone'), WATCHDOG_USEC: '2000' });
    const [said] = (await once(child.stderr?.setEncoding('utf8') ?? child, 'data')) as [string];
    t.match(said, /^surfaced: systemd was not told: ENOENT: no such file or directory\n$/);
    child.kill('SIGTERM');
    t.same(await once(child, 'exit'), [0, null]);
  },
);

t.test('where nobody listens, or nobody can be told', async (t) => {
  const complaints: string[] = [];
  const open = (env: Record<string, string>, load = loadKoffi) =>
    openServiceManager({
      env,
      processId: 7,
      loadKoffi: load,
      complain: (problem) => complaints.push(problem),
    });
  t.equal(await open({}), null);
  t.equal(await open({ NOTIFY_SOCKET: '' }), null);
  t.same(complaints, []);
  t.equal(await open({ NOTIFY_SOCKET: '/run/x' }, () => Promise.reject(new Error('no koffi'))), null);
  t.same(complaints.splice(0), ['systemd cannot be told: no koffi']);
  if (koffiMissing) return;
  for (const name of ['vsock:2:9', 'relative', '@', `/${'x'.repeat(108)}`]) {
    t.equal(await open({ NOTIFY_SOCKET: name }), null, name);
    t.match(complaints.splice(0), [/^systemd cannot be told: NOTIFY_SOCKET is/]);
  }
  const watchdog = async (env: Record<string, string>) =>
    (await open({ NOTIFY_SOCKET: '/run/x', ...env }))?.watchdogMs;
  t.equal(await watchdog({}), null);
  t.equal(await watchdog({ WATCHDOG_USEC: '20000000' }), 20_000);
  t.equal(await watchdog({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '7' }), 20_000);
  t.equal(await watchdog({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '8' }), null, 'is meant for another');
  for (const time of ['0', '-1', 'x', '']) t.equal(await watchdog({ WATCHDOG_USEC: time }), null, time);
});

t.test('the watchdog is fed by the loop of the role, never by a timer alone', async (t) => {
  const told: string[] = [];
  const pulses: (() => void)[] = [];
  let onAsked = (): void => {};
  const asked = () =>
    new Promise<void>((resolve) => {
      onAsked = resolve;
    });
  const first = asked();
  const end = keepTold(
    {
      health: () => healthOf({ panel: { ok: true, detail: 'lit' } }),
      pulse: () =>
        new Promise((resolve) => {
          pulses.push(resolve);
          onAsked();
        }),
    },
    { watchdogMs: 2, tell: (assignments) => told.push(...assignments) },
  );
  await first;
  t.same(told.splice(0), ['READY=1', 'STATUS=panel: lit'], 'no word before the loop has gone round');
  // Nothing but its timer holds this process up: the feeding must not.
  const alive = setInterval(() => {}, 1000);
  const second = asked();
  pulses.shift()?.();
  await second;
  t.same(told.splice(0), ['WATCHDOG=1'], 'and one for each round');
  end();
  end();
  pulses.shift()?.();
  await new Promise(setImmediate);
  clearInterval(alive);
  t.equal(told.filter((word) => word === 'STOPPING=1').length, 1);
  t.notOk(told.includes('WATCHDOG=1'), 'an ended role is silent');
});

t.test('the status is one short line, what is not well first', async (t) => {
  t.equal(
    statusOf(
      healthOf({
        panel: { ok: true, detail: 'Launchpad' },
        link: { ok: false, detail: 'waits to be let in\nREADY=1' },
      }),
    ),
    'link not ok: waits to be let in READY=1; panel: Launchpad',
  );
  const part = fc.record({ ok: fc.boolean(), detail: fc.string({ unit: 'binary', maxLength: 200 }) });
  fc.assert(
    fc.property(fc.dictionary(fc.string(), part), (parts) => {
      const line = statusOf(healthOf(parts));
      return line.length <= 240 && !/\p{Cc}/u.test(line);
    }),
  );
});

t.test('the pulse of a device is a frame that was drawn', async (t) => {
  let shown = 0;
  const device = await startDevice({
    panel: {
      spec: { model: 'fake', controls: [], matrix: { width: 1, height: 1 }, roles: {} },
      state: { isOpen: false, problem: 'unplugged' },
      start: async () => {},
      show: () => void shown++,
      stop: async () => {},
    },
    credentials: {
      current: () => Promise.reject(new Error('the gateway is away')),
      onRenewed: () => () => {},
      onPairing: () => () => {},
      renew: () => {},
      stop: () => {},
    },
    surface: { settleMs: 150, longestMoveMs: 500, isLockedAtStart: false, lockAfterIdleMs: 0 },
    firmware: '',
    updates: null,
    clock: systemClock,
    random: () => 0,
    log: silentLog,
    signal: new AbortController().signal,
  });
  const before = shown;
  await device.pulse();
  t.ok(shown > before, 'though panel and gateway are away');
  t.match(statusOf(device.health()), /^panel not ok: unplugged/);
  await device.stop();
});

t.test('the pulse of a gateway is its heartbeat', async (t) => {
  const bed = await Bed.desk();
  // A surface that has just come is greeted by a beat of its own.
  await bed.time.advance(1000);
  let beats = 0;
  void bed.relay.pulse().then(() => beats++);
  await bed.time.advance(4000);
  t.equal(beats, 0);
  await bed.time.advance(1500);
  t.equal(beats, 1, 'every 5 s');
  await bed.relay.close();
});
