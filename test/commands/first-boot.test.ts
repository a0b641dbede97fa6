/** The command on a folder that stands for the machine: real files, a process of its own, one that is killed as well. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { runFirstBoot, runReport } from '../../daemon/commands/first-boot-run.ts';
import type { TpmConfig } from '../../daemon/config/schema.ts';
import { SoftwareTpm, withoutSwtpm } from '../../hil/software-tpm.ts';
import { password, preseedText, token, withToken, withTpm } from '../first-boot/rig.ts';
import { root as project } from '../structure/source-files.ts';

const never = new AbortController().signal;
const boot = (root: string, tpm: TpmConfig | null = null) => runFirstBoot({ root, tpm, signal: never });
const report = (root: string, tpm: TpmConfig | null = null) => runReport({ root, tpm, signal: never });

/** A machine with these files on its boot partition. */
function machine(t: Test, files: Record<string, string>): { root: string; text: (name: string) => string } {
  const root = t.testdir({ boot: { firmware: files }, proc: { sys: { kernel: { hostname: 'old\n' } } } });
  return { root, text: (name) => readFileSync(path.join(root, name), 'utf8') };
}

t.test('files are where they belong, with the rights that they need', async (t) => {
  const { root, text } = machine(t, { 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText });
  t.match(await boot(root), /surfaced\.yaml: taken over\n[\s\S]*configured\n$/);
  const modeOf = (name: string) => statSync(path.join(root, name)).mode & 0o777;
  t.equal(modeOf('data/shared/surfaced/device.yaml'), 0o640);
  t.equal(modeOf('data/shared/secrets'), 0o700);
  t.equal(modeOf('data/shared/secrets/wifi'), 0o600);
  t.equal(modeOf('data/shared/ssh/authorized_keys'), 0o644);
  t.equal(modeOf('run/surfaced/token'), 0o640);
  t.equal(modeOf('var/lib/iwd/=436166c3a9.psk'), 0o600);
  t.equal(readlinkSync(path.join(root, 'data/shared/localtime')), '/usr/share/zoneinfo/Europe/Berlin');
  t.equal(text('proc/sys/kernel/hostname'), 'desk');
  t.notOk(existsSync(path.join(root, 'boot/firmware/rpi-preseed.toml')));
  t.match(text('boot/firmware/surfaced-report.txt'), /Network: not looked at yet\r\n/);

  t.equal(await report(root), 'report written\n');
  t.match(text('boot/firmware/surfaced-report.txt'), /Panel: launchpad-mini-mk3 at hw:1,0,1: NOT THERE\r\n/);
  const before = statSync(path.join(root, 'boot/firmware/surfaced-report.txt')).mtimeMs;
  await boot(root);
  t.equal(await report(root), 'nothing new to report\n');
  t.equal(statSync(path.join(root, 'boot/firmware/surfaced-report.txt')).mtimeMs, before);
});

t.test('with a TPM: sealed, and its key is in the report', { skip: withoutSwtpm }, async (t) => {
  const chip = await SoftwareTpm.begin({ listensOn: 'unix', state: null });
  t.teardown(() => chip.end());
  const socket = 'path' in chip.address ? chip.address.path : `${chip.address.host}:${chip.address.port}`;
  const { root, text } = machine(t, { 'surfaced.yaml': withTpm, 'rpi-preseed.toml': preseedText });
  await boot(root, { swtpm: socket });
  t.notOk(existsSync(path.join(root, 'data/shared/secrets/wifi')));
  t.notMatch(text('data/shared/secrets/wifi.sealed'), password);
  t.equal(await report(root, { swtpm: socket }), 'report written\n');
  t.match(text('boot/firmware/surfaced-report.txt'), /TPM: there\r\n {2}endorsement key [0-9a-f]{64}\r\n/);
});

t.test('what is wrong ends well, and is told', async (t) => {
  const { root, text } = machine(t, { 'surfaced.yaml': withToken.replace('https', 'http') });
  t.match(
    await boot(root),
    /refused: surfaced\.yaml:5:8 gateway\.url: expected a URL that begins with https/,
  );
  t.match(JSON.parse(text('run/surfaced/problem.json')), {
    code: 'E1',
    panel: { preset: 'launchpad-mini-mk3' },
  });
  t.notMatch(text('boot/firmware/surfaced-report.txt'), new RegExp(token));
});

t.test('only where it has something to do', async (t) => {
  await t.rejects(report(t.testdir({})), { code: 'E_USAGE', message: /has not run since the start/ });
  if (!existsSync('/run/surfaced/boot/slot')) await t.rejects(boot('/'), { code: 'E_NOT_IMAGE' });
});

t.test('killed in the middle, the next start comes to the same', async (t) => {
  const { root, text } = machine(t, { 'surfaced.yaml': withToken, 'rpi-preseed.toml': preseedText });
  const folder = path.join(root, 'data/shared/surfaced');
  mkdirSync(folder, { recursive: true });
  const main = path.join(project, 'daemon/main.ts');
  const child = execFile(process.execPath, ['--import=tsx', main, 'first-boot', '--root', root], {
    cwd: project,
  });
  const watcher = watch(folder, () => child.kill('SIGKILL'));
  const [, signal] = await once(child, 'exit');
  watcher.close();
  // On a machine that is busy it may have been quicker; every moment is tried on the disk in memory.
  t.comment(signal === null ? 'it was done before it was killed' : 'killed as the Device file came');
  await boot(root);
  t.equal(text('run/surfaced/token'), `${token}\n`);
  t.equal(text('data/shared/hostname'), 'desk\n');
  t.match(text('var/lib/iwd/=436166c3a9.psk'), /Passphrase/);
  t.notOk(existsSync(path.join(root, 'boot/firmware/rpi-preseed.toml')));
  t.notMatch(text('boot/firmware/surfaced.yaml'), new RegExp(token));
});
