import { chmodSync, chownSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { panelSchema } from '../../../daemon/config/panel.ts';
import { partDrivers } from '../../../daemon/hw/chips/table.ts';
import { lookAtClock, lookAtMachine, lookAtPackages } from '../../../daemon/hw/doctor/basics.ts';
import { parseBootConfig } from '../../../daemon/hw/doctor/boot-config.ts';
import { groupsOf, parseGroups, permissionRemedy } from '../../../daemon/hw/doctor/machine.ts';
import { holdersNote, holdersOf, opensPanel, readPrograms } from '../../../daemon/hw/doctor/processes.ts';
import { systemMachine } from '../../../daemon/hw/doctor/system.ts';
import { wantedPackages, wantsOf } from '../../../daemon/hw/doctor/wants.ts';
import { checkOf, linesOf, MadeUpMachine } from './made-up.ts';

t.test('the machine, its user and config.txt', async (t) => {
  const made = new MadeUpMachine(t)
    .put('/proc/device-tree/model', 'Raspberry Pi 4 Model B Rev 1.4\0')
    .put('/proc/sys/kernel/osrelease', '6.12.47\n')
    .put('/etc/group', 'root:x:0:\npi:x:1000:\n');
  const boot = parseBootConfig('dtparam=spi=on', '/boot/firmware/config.txt', null);
  t.same(linesOf(await lookAtMachine(made.context(null, { boot }))), [
    'ok model: Raspberry Pi 4 Model B Rev 1.4, Linux 6.12.47',
    'ok user: pi, in the groups pi',
    'ok config.txt: /boot/firmware/config.txt: dtparam=spi=on',
  ]);
  const image = parseBootConfig('upstream_kernel=1\ndtparam=spi=on', '/boot/firmware/config.txt', null);
  t.match(checkOf(await lookAtMachine(made.context(null, { boot: image })), 'dtparam'), {
    result: 'warning',
    found: 'line 2 of /boot/firmware/config.txt: `dtparam=spi=on` does nothing',
    remedy: /docs\/image\.md/,
  });
  made.change = { user: { name: 'root', groupIds: [0, 77], processId: 1 } };
  const look = await lookAtMachine(made.context(null));
  t.match(checkOf(look, 'user').found, /^root, who may use everything/);
  t.same(look.found.user, { name: 'root', groups: ['root', '77'] });
  t.equal(checkOf(look, 'config.txt').result, 'skipped');
});

t.test('groups and permissions', async (t) => {
  t.same(parseGroups('i2c:x:44:pi,ada\nbroken\n:x:1:\nx:y:z:\n'), [
    { name: 'i2c', id: 44, members: ['pi', 'ada'] },
  ]);
  fc.assert(fc.property(fc.string(), (text) => parseGroups(text).every(({ id }) => Number.isInteger(id))));
  const made = new MadeUpMachine(t).put('/dev/i2c-1');
  const file = path.join(made.root, 'dev/i2c-1');
  // Group 0 counts as nobody's, whatever it is called; root can give the file to another.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(file, 0, 44);
  const own = isRoot ? 44 : (process.getgid?.() ?? 0);
  const remedy = async (group: string, mode: number) => {
    made.put('/etc/group', group);
    chmodSync(file, mode);
    return permissionRemedy(made.machine, '/dev/i2c-1', 'i2c');
  };
  t.match(await remedy(`i2c:x:${own}:`, 0o600), /for root alone: a rule of udev .*GROUP="i2c"/);
  t.match(await remedy('', 0o660), /for root alone/, 'a group that nobody knows');
  t.match(await remedy(`wires:x:${own}:ada`, 0o660), /`sudo usermod -aG wires pi`/);
  t.match(await remedy(`wires:x:${own}:ada,pi`, 0o660), /counts from the next login/);
  made.change = { user: { name: 'pi', groupIds: [44], processId: 1 } };
  made.put('/etc/group', 'i2c:x:44:pi');
  t.same(await groupsOf(made.machine), ['i2c']);
});

t.test('packages: those that the config needs, else all', async (t) => {
  const made = new MadeUpMachine(t);
  const parts = [{ part: 'ads1115', channels: [{ channel: 0, name: 'f' }] }];
  t.same(linesOf(await lookAtPackages(made.context({ preset: 'parts', parts }))), [
    'ok i2c-bus: for I2C buses',
  ]);
  made.missingPackages.add('i2c-bus');
  t.match((await lookAtPackages(made.context({ preset: 'parts', parts }))).checks, [
    {
      result: 'fault',
      found: 'not installed; it is for I2C buses',
      remedy: /--include=optional`, after gcc, make and Python/,
    },
  ]);
  const all = await lookAtPackages(made.context(null));
  t.same(
    all.checks.map(({ name, result }) => [name, result]),
    [
      ['i2c-bus', 'warning'],
      ['koffi', 'ok'],
      ['serialport', 'ok'],
      ['onoff', 'ok'],
    ],
  );
  made.missingPackages.add('koffi');
  const prebuilt = checkOf(await lookAtPackages(made.context(null)), 'koffi').remedy;
  t.equal(prebuilt, 'Install with `npm install --include=optional`.');
  made.change = { loadPackage: () => Promise.reject(new Error('GLIBC_2.38 not found\nmore')) };
  t.match((await lookAtPackages(made.context({ preset: 'parts', parts }))).checks, [
    { found: 'cannot be loaded: GLIBC_2.38 not found; it is for I2C buses', remedy: /npm rebuild i2c-bus/ },
  ]);
});

t.test('which packages a panel needs', async (t) => {
  const names = (panel: object) => [...wantedPackages(wantsOf(panelSchema.parse(panel), partDrivers)).keys()];
  const encoder = { part: 'gpio-encoder', name: 'k', a: 5, b: 6 };
  t.same(names({ preset: 'parts', parts: [encoder] }), ['koffi']);
  t.same(names({ preset: 'parts', parts: [encoder], gpio: { via: 'sysfs' } }), ['onoff']);
  t.same(names({ preset: 'sense-hat' }), ['koffi']);
  t.same(names({ preset: 'neotrellis' }), ['i2c-bus']);
  t.same(names({ preset: 'neotrellis', parts: [{ part: 'neotrellis', interrupt: 4 }] }), [
    'i2c-bus',
    'koffi',
  ]);
  t.same(names({ preset: 'mackie-control', port: { type: 'serial', path: '/dev/ttyS0' } }), [
    'koffi',
    'serialport',
  ]);
  t.same(
    names({ preset: 'parts', parts: [{ part: 'no-such-part' }] }),
    [],
    'the check of the config names it',
  );
});

t.test('the clock', async (t) => {
  const made = new MadeUpMachine(t);
  const at = async (now: number, isSynchronized: boolean | null) => {
    made.change = { now: () => now, isSynchronized: async () => isSynchronized };
    return lookAtClock(made.context(null));
  };
  t.same(linesOf(await at(Date.UTC(2026, 5, 1), true)), [
    'ok time: 2026-06-01T00:00:00.000Z',
    'ok time server: the clock follows one',
  ]);
  t.match((await at(Date.UTC(2026, 5, 1), false)).checks, [{}, { result: 'warning', remedy: /set-ntp/ }]);
  t.match((await at(Date.UTC(2026, 5, 1), null)).checks, [{}, { result: 'skipped' }]);
  t.match((await at(0, false)).checks, [
    { result: 'fault', found: /cannot be: .*installed on 2026-05-01/ },
    {},
  ]);
  t.match(
    (await at(Date.UTC(2025, 5, 1), false)).checks,
    [{ result: 'fault' }, {}],
    'before it was installed',
  );
  t.match((await at(Date.UTC(2101, 0, 1), true)).checks, [{ result: 'fault', found: /no certificate/ }, {}]);
  made.change = { now: () => 0, builtAt: 0 };
  t.match((await lookAtClock(made.context(null))).checks, [{ found: /installed on 2025-01-01/ }, {}]);
});

t.test('who has which file open', async (t) => {
  const made = new MadeUpMachine(t)
    .put('/proc/7/cmdline', 'node\0/usr/bin/surfaced\0device\0--config\0x.yaml\0')
    .put('/proc/7/comm', 'node\n')
    .link('/proc/7/fd/3', '/dev/i2c-1')
    .link('/proc/7/fd/4', 'socket:[1]')
    .put('/proc/8/cmdline', 'bash\0')
    .put('/proc/8/comm', 'bash\n')
    // No folder: it cannot be read, like those of others.
    .put('/proc/8/fd', '')
    .put('/proc/9/comm', 'ended\n')
    .put('/proc/4242/cmdline', 'surfaced\0device\0')
    .put('/proc/self/cmdline', '');
  const programs = await readPrograms(made.machine);
  t.same(programs, [
    { id: 7, label: 'surfaced (process 7)', hasPanel: true, files: ['/dev/i2c-1'] },
    { id: 8, label: 'bash (process 8)', hasPanel: false, files: null },
    { id: 9, label: 'ended (process 9)', hasPanel: false, files: [] },
  ]);
  t.match(holdersNote(programs), /holders not known/);
  t.equal(holdersNote(programs.filter(({ id }) => id !== 8)), '');
  t.same(
    holdersOf(programs, '/dev/i2c-1').map(({ id }) => id),
    [7],
  );
  t.same(holdersOf(programs, '/dev/i2c-2'), []);
});

t.test('which command lines are those of surfaced with a panel', async (t) => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['node /usr/lib/node_modules/.bin/surfaced device --config x', true],
    ['node --import tsx daemon/main.ts monitor', true],
    ['node /opt/surfaced/dist/daemon/main.js demo', true],
    ['surfaced --log-level debug device', true],
    ['surfaced gateway --config x', false],
    ['surfaced doctor', false],
    ['vi /etc/surfaced/device', false],
    ['node main.js device', false],
  ];
  for (const [line, isIt] of cases) t.equal(opensPanel(line.split(' ')), isIt, line);
});

t.test('this machine can be looked at', async (t) => {
  const machine = await systemMachine();
  t.equal(machine.root, '/');
  t.ok(machine.builtAt < Date.now());
  t.ok([true, false, null].includes(await machine.isSynchronized()));
  t.equal(await machine.isAllowed('/proc/self/status', 4), true);
  t.equal(await machine.isAllowed('/no/such/file', 4), false);
  await t.rejects(machine.openMidi('/no/such/file'), { code: 'ENOENT' });
  const programs = await readPrograms(machine);
  t.notOk(programs.some(({ id }) => id === process.pid));
});
