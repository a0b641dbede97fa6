import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../image/package/bundle.ts';

const folder = path.join(projectRoot, 'systemd');
const textOf = (name: string): string => readFileSync(path.join(folder, name), 'utf8');

/** Values of each key of a unit, in order; the key with its section, as in `Service.User`. */
function read(name: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  let section = '';
  for (const line of textOf(name).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (heading !== undefined) section = heading;
    else if (key === '') throw new Error(`${name}: ${line}`);
    else values.set(`${section}.${key}`, [...(values.get(`${section}.${key}`) ?? []), value]);
  }
  return values;
}

const device = read('surfaced-device.service');
const gateway = read('surfaced-gateway.service');
const is = (unit: Map<string, string[]>, key: string) => unit.get(key)?.join(' | ');

t.test('both tell systemd how they are, are watched, and are never given up', async (t) => {
  for (const unit of [device, gateway]) {
    t.equal(is(unit, 'Service.Type'), 'notify');
    t.equal(is(unit, 'Service.NotifyAccess'), 'main');
    t.match(is(unit, 'Service.WatchdogSec'), /^[23]0s$/);
    t.equal(is(unit, 'Service.Restart'), 'always');
    t.equal(is(unit, 'Unit.StartLimitIntervalSec'), '0');
    t.equal(is(unit, 'Service.RestartMaxDelaySec'), '60s');
    t.equal(is(unit, 'Service.User'), 'surfaced');
    t.equal(is(unit, 'Install.WantedBy'), 'multi-user.target');
  }
});

t.test('the device', async (t) => {
  t.equal(is(device, 'Unit.ConditionPathExists'), '/etc/surfaced/device.yaml');
  const after = is(device, 'Unit.After')?.split(' ') ?? [];
  t.ok(after.includes('time-set.target') && after.includes('dev-tpmrm0.device'));
  const all = ['Unit.After', 'Unit.Wants', 'Unit.Requires'].map((key) => is(device, key) ?? '').join(' ');
  t.notMatch(all, /udev-settle|time-sync\.target|network-online/, 'a panel works without a network');
  t.notOk(device.has('Unit.Requires') || device.has('Unit.Wants'), 'nothing that may be missing is wanted');
  t.equal(
    is(device, 'Service.ExecStartPre'),
    '-+/usr/bin/surfaced measure --self --at-start --config /etc/surfaced/device.yaml | ' +
      '-+/usr/bin/systemd-tmpfiles --create /usr/lib/tmpfiles.d/surfaced.conf',
  );
  t.equal(is(device, 'Service.ExecStart'), '/usr/bin/surfaced device --config /etc/surfaced/device.yaml');
  t.equal(is(device, 'Service.SupplementaryGroups'), 'audio dialout gpio i2c input spi tss video');
});

t.test('the device may open panels and the TPM, and nothing else', async (t) => {
  t.equal(is(device, 'Service.DevicePolicy'), 'closed');
  // Numbers: Linux Documentation/admin-guide/devices.txt.
  t.same(device.get('Service.DeviceAllow')?.sort(), [
    '/dev/char/4:64 rw',
    'char-116 rw',
    'char-13 r',
    'char-153 rw',
    'char-166 rw',
    'char-188 rw',
    'char-204 rw',
    'char-29 rw',
    'char-89 rw',
    'char-gpiochip rw',
    'char-tpm rw',
  ]);
  // koffi and V8 write code; groups of device files mean nothing to a user of another namespace.
  for (const key of [
    'MemoryDenyWriteExecute',
    'PrivateDevices',
    'PrivateUsers',
    'PrivateNetwork',
    'ProcSubset',
  ])
    t.notOk(device.has(`Service.${key}`), key);
});

t.test('the gateway', async (t) => {
  t.equal(is(gateway, 'Unit.ConditionPathExists'), '/etc/surfaced/gateway.yaml');
  t.equal(is(gateway, 'Service.PrivateDevices'), 'yes');
  t.equal(is(gateway, 'Service.StateDirectory'), 'surfaced-gateway');
  t.notOk(gateway.has('Service.DeviceAllow') || gateway.has('Service.SupplementaryGroups'));
  t.notOk(gateway.has('Service.MemoryDenyWriteExecute'));
});

t.test('both have the same locks', async (t) => {
  for (const unit of [device, gateway]) {
    t.equal(is(unit, 'Service.CapabilityBoundingSet'), '');
    t.equal(
      is(unit, 'Service.SystemCallFilter'),
      '@system-service | ~@privileged @resources @mount @obsolete',
    );
    for (const key of ['NoNewPrivileges', 'ProtectHome', 'PrivateTmp', 'LockPersonality', 'RestrictRealtime'])
      t.equal(is(unit, `Service.${key}`), 'yes', key);
    t.equal(is(unit, 'Service.ProtectSystem'), 'strict');
  }
});

/** Release of systemd on this machine, null when it has none. */
function systemdRelease(): number | null {
  const { stdout, status } = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
  return status === 0 ? Number(/^systemd (\d+)/.exec(stdout)?.[1] ?? 0) : null;
}
const release = systemdRelease();
const tooOld =
  release === null || release < 250 ? `systemd-analyze cannot judge units offline here (${release})` : false;

t.test('systemd calls both well locked: 2.0 at most', { skip: tooOld }, async (t) => {
  for (const name of ['surfaced-device.service', 'surfaced-gateway.service']) {
    const words = ['security', '--offline=true', '--threshold=20', '--no-pager', path.join(folder, name)];
    const { status, stdout, stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8' });
    t.equal(status, 0, `${name}: ${stdout.trim().split('\n').at(-1)}`);
    const complaints = stderr.split('\n').filter((line) => /surfaced-/.test(line));
    const unknown =
      release !== null && release < 254 ? /Unknown key.*'Restart(?:Steps|MaxDelaySec)'/ : /(?!)/;
    t.same(
      complaints.filter((line) => !unknown.test(line)),
      [],
      `${name}: every key is known`,
    );
  }
});

t.test('root at a start of the image: no network, no clock, 4.0 at most', { skip: tooOld }, async (t) => {
  const units = path.join(projectRoot, 'image/root/files/usr/lib/systemd/system');
  for (const name of ['surfaced-first-boot.service', 'surfaced-report.service']) {
    const file = path.join(units, name);
    const text = readFileSync(file, 'utf8');
    t.match(text, /^IPAddressDeny=any$/m, name);
    t.notMatch(text, /AF_INET/, name);
    // The boot partition is mounted anew for a moment, in the system's own namespace.
    t.match(text, /^SystemCallFilter=@system-service @mount$/m, name);
    t.notMatch(text, /^(?:Protect(?:System|Home|Kernel\w+)|Private\w+|ReadWritePaths)=/m, name);
    const words = ['security', '--offline=true', '--threshold=40', '--no-pager', file];
    const { status, stdout } = spawnSync('systemd-analyze', words, { encoding: 'utf8' });
    t.equal(status, 0, `${name}: ${stdout.trim().split('\n').at(-1)}`);
  }
});

t.test('users, folders, modules and device files', async (t) => {
  const lines = (name: string) =>
    textOf(name)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
  const groups = lines('surfaced.sysusers').flatMap((line) => /^g (\w+) -$/.exec(line)?.[1] ?? []);
  t.same(groups, ['gpio', 'i2c', 'spi', 'tss']);
  const ofSystem = ['audio', 'dialout', 'input', 'video'];
  t.same([...groups, ...ofSystem].sort(), is(device, 'Service.SupplementaryGroups')?.split(' '));
  const rules = textOf('70-surfaced.rules');
  for (const group of groups) t.match(rules, new RegExp(`GROUP="${group}", MODE="0660"`), group);
  t.notMatch(rules, /KERNEL=="tpm\[/, 'only the device with the resource manager');
  t.same(lines('surfaced.modules'), ['i2c-dev', 'tpm']);
  t.same(lines('surfaced.tmpfiles'), [
    'd /run/surfaced 0755 root root -',
    'd /etc/surfaced 0750 root surfaced -',
    'd /var/lib/surfaced-gateway 0700 surfaced surfaced -',
    'd /var/lib/surfaced-gateway/surfaces 0700 surfaced surfaced -',
    'z /sys/kernel/security/integrity/ima/binary_runtime_measurements* 0440 root surfaced -',
    'z /sys/kernel/security/tpm*/binary_bios_measurements 0440 root surfaced -',
  ]);
  const units = readdirSync(folder).filter((name) => name.endsWith('.service'));
  t.same(
    lines('50-surfaced.preset'),
    units.map((name) => `enable ${name}`),
  );
});
