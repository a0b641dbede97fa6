/** The shell scripts of the image, run with their folders elsewhere. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ownFiles } from '../../../image/root/configure.ts';

/** A copy of the script that has `folder` in place of `/`, run with programs of `folder/bin` before those of the system. */
function scriptIn(folder: string, name: string) {
  const text = readFileSync(path.join(ownFiles, 'usr/lib/surfaced', name), 'utf8');
  const script = path.join(folder, name);
  writeFileSync(script, text.replaceAll(/(?<==)\/(data|run)\//g, `${folder}/$1/`));
  mkdirSync(path.join(folder, 'bin'), { recursive: true });
  mkdirSync(path.join(folder, 'run'), { recursive: true });
  return () =>
    spawnSync('sh', [script], {
      encoding: 'utf8',
      env: { PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` },
    });
}
const program = (folder: string, name: string, text: string) =>
  writeFileSync(path.join(folder, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

t.test('end of the journal', async (t) => {
  const folder = t.testdir({ data: { shared: { log: {} } } });
  const keep = scriptIn(folder, 'keep-log');
  const logs = path.join(folder, 'data/shared/log');
  const read = (name: string) => readFileSync(path.join(logs, name), 'utf8');
  const restart = () => rmSync(path.join(folder, 'run/surfaced-log-kept'));

  program(folder, 'journalctl', 'echo first start');
  t.equal(keep().status, 0);
  t.same(readdirSync(logs), ['journal.log']);
  program(folder, 'journalctl', 'echo first start; echo more');
  keep();
  t.same(readdirSync(logs), ['journal.log'], 'the same start: one file');
  t.equal(read('journal.log'), 'first start\nmore\n');

  restart();
  program(folder, 'journalctl', 'echo second start');
  keep();
  keep();
  t.equal(read('journal.log'), 'second start\n');
  t.equal(read('journal.log.1'), 'first start\nmore\n', 'the start before, whole');

  restart();
  program(folder, 'journalctl', 'exit 1');
  const failed = keep();
  t.not(failed.status, 0);
  t.match(failed.stderr, /could not be read/);
  program(folder, 'journalctl', 'echo third start');
  program(folder, 'sync', 'exit 28');
  t.not(keep().status, 0, 'the disk is full');
  t.equal(read('journal.log'), 'second start\n', 'what was there stays');
  t.same(readdirSync(logs).toSorted(), ['journal.log', 'journal.log.1'], 'and nothing beside it');

  rmSync(path.join(folder, 'bin/sync'));
  program(folder, 'journalctl', 'yes 123456789 | head -n 100000');
  t.equal(keep().status, 0);
  t.equal(statSync(path.join(logs, 'journal.log')).size, 256 * 1024, 'bounded');
});

const hasKeygen = spawnSync('sh', ['-c', 'command -v ssh-keygen']).status === 0;
t.test('host key', { skip: hasKeygen ? false : 'ssh-keygen is not installed' }, async (t) => {
  const folder = t.testdir({ data: { shared: { ssh: {} } } });
  const make = scriptIn(folder, 'make-host-key');
  const key = path.join(folder, 'data/shared/ssh/ssh_host_ed25519_key');
  // As a cut leaves it: empty, or half of the next one.
  writeFileSync(key, '');
  writeFileSync(`${key}.new`, 'half');
  const made = make();
  t.equal(made.status, 0, made.stderr);
  const text = readFileSync(key, 'utf8');
  t.match(text, /^-----BEGIN OPENSSH PRIVATE KEY-----/);
  t.equal(statSync(key).mode & 0o777, 0o600);
  t.match(readFileSync(`${key}.pub`, 'utf8'), /^ssh-ed25519 /);
  t.notOk(existsSync(`${key}.new`));
  make();
  t.equal(readFileSync(key, 'utf8'), text, 'made once');
});
