/** The Debian package for both architectures: the same bytes twice, and everything with native code runs where it is meant to. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { addons } from '../../../image/package/addons.ts';
import { type Architecture, architectures } from '../../../image/package/architectures.ts';
import { projectRoot } from '../../../image/package/bundle.ts';
import { buildPackage } from '../../../image/package/package.ts';
import { plainEnvironment } from '../../../image/package/registry.ts';
import { runCommand } from '../../../image/toolbox/command.ts';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-package-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);
const epoch = 1_790_000_000;
const version = '9.8.7-check.1';

const build = (architecture: Architecture, name: string): Promise<string> =>
  buildPackage({ architecture, version, epoch, output: at(name) });
const run = (command: readonly [string, ...string[]], cwd: string): Promise<string> =>
  runCommand(command.slice(0, 3).join(' '), command, { input: null, env: plainEnvironment, cwd });
const hashOf = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

/** Goes into the native code of each package: what only loads may still miss a symbol. */
const natives = `
  const koffi = require('koffi');
  if (koffi.load(null).func('int getpid()')() !== process.pid) throw new Error('koffi');
  try { require('i2c-bus').openSync(250); } catch (error) { if (error.code !== 'ENOENT') throw error; }
  const { Epoll } = require('epoll');
  new Epoll(() => {}).close();
  require('onoff');
  const { autoDetect } = require('@serialport/bindings-cpp');
  autoDetect().open({ path: '/dev/null', baudRate: 9600 }).then(
    () => { throw new Error('/dev/null is no serial port'); },
    (error) => { if (!/ioctl|tty|device|argument/i.test(error.message)) throw error; console.log('natives run'); },
  );`;

/** How programs of an architecture are run here. */
const runners: Readonly<Record<Architecture, readonly string[]>> = {
  // The compiler for arm64 brought the libraries.
  arm64: ['qemu-aarch64-static', '-L', `/usr/${architectures.arm64.triplet}`],
  amd64: [],
};

async function checkProgram(t: Test, architecture: Architecture, root: string): Promise<void> {
  const program = path.join(root, 'usr/lib/surfaced');
  const [first = path.join(program, 'bin/node'), ...more] = [
    ...runners[architecture],
    path.join(program, 'bin/node'),
  ];
  const node = (...words: string[]) => run([first, ...more, ...words], program);
  const surfaced = (...words: string[]) => node('dist/daemon/main.js', ...words);
  t.equal(await node('--version'), `v${architectures[architecture].node.version}\n`);
  t.equal(await node('-e', natives), 'natives run\n');
  t.equal(await surfaced('--version'), `${version}\n`);
  const { records } = JSON.parse(await surfaced('measure', '--self', '--dry-run', '-o', 'json')) as {
    readonly records: readonly { readonly path: string }[];
  };
  const measured = records.map((record) => record.path).filter((name) => !name.includes('/systemd/'));
  t.same(
    measured,
    ['bin/node', 'dist/', 'package.json', 'node_modules/'].map((name) => `${program}/${name}`),
    'what is measured is all of the program',
  );
  for (const { name, target } of addons) {
    const file = path.join(program, 'node_modules', name, 'build/Release', `${target}.node`);
    const text = (await readFile(file)).toString('latin1');
    t.notOk(
      text.includes(projectRoot) || text.includes('surfaced-deb-'),
      `${name} names no folder of this machine`,
    );
  }
}

for (const architecture of ['arm64', 'amd64'] as const)
  t.test(architecture, async (t) => {
    const file = await build(architecture, architecture);
    t.equal(path.basename(file), `surfaced_9.8.7~check.1_${architecture}.deb`);
    const root = at(`${architecture}-root`);
    await run(['dpkg-deb', '--raw-extract', file, root], folder);
    const control = await readFile(path.join(root, 'DEBIAN/control'), 'utf8');
    t.match(control, /\nDepends: libc6 \(>= 2\.\d+\), libgcc-s1, libstdc\+\+6 \(>= \d+\), systemd/);
    const [, glibc = '99'] = /libc6 \(>= 2\.(\d+)\)/.exec(control) ?? [];
    t.ok(Number(glibc) <= 36, `Debian 12 has glibc 2.36, and 2.${glibc} is needed`);
    const listed = await run(['dpkg-deb', '--contents', file], folder);
    t.notMatch(listed, /^\S+ (?!root\/root)/m, 'all belongs to root');
    await checkProgram(t, architecture, root);
    const parts = JSON.parse(await readFile(at(`${architecture}/npm-packages.json`), 'utf8')) as {
      readonly name: string;
    }[];
    const names = parts.map(({ name }) => name);
    const copyright = await readFile(path.join(root, 'usr/share/doc/surfaced/copyright'), 'utf8');
    for (const name of [
      'fastify',
      'zod',
      'koffi',
      'i2c-bus',
      'epoll',
      architectures[architecture].node.name,
    ]) {
      t.ok(names.includes(name), `${name} is in the list of parts`);
      t.ok(copyright.includes(`\n${name} `), `${name} is in the copyright file`);
    }
    await rm(path.join(root, 'usr/lib/surfaced'), { recursive: true });
  });

t.test('two builds are the same bytes', async (t) => {
  const again = await build('arm64', 'again');
  t.equal(await hashOf(again), await hashOf(at(`arm64/${path.basename(again)}`)));
});

t.test('systemd of Debian 13 finds nothing wrong with the units', async (t) => {
  const toolbox = await ensureToolbox();
  const root = at('arm64-root');
  const units = path.join(root, 'usr/lib/systemd/system');
  const own = (await readdir(units)).filter((name) => name.endsWith('.service'));
  t.equal(own.length, 2);
  await cp(path.join(toolbox.path, 'usr/lib/systemd/system'), units, {
    recursive: true,
    verbatimSymlinks: true,
  });
  for (const link of ['lib', 'bin'])
    if (!existsSync(path.join(root, link))) await symlink(`usr/${link}`, path.join(root, link));
  await mkdir(path.join(root, 'etc'), { recursive: true });
  const options = { binds: [folder] };
  await t.resolves(
    toolbox.run(
      'systemd-analyze',
      ['verify', '--man=no', '--recursive-errors=no', `--root=${root}`, ...own],
      options,
    ),
  );
  for (const unit of own) {
    const words = ['security', '--offline=true', '--threshold=20', '--no-pager', path.join(units, unit)];
    const scored = await toolbox.run('systemd-analyze', words, options);
    t.comment(scored.trim().split('\n').at(-1));
  }
  const rules = path.join(root, 'usr/lib/udev/rules.d/70-surfaced.rules');
  await t.resolves(toolbox.run('udevadm', ['verify', '--resolve-names=never', rules], options));
});
