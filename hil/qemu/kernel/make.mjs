// Makes what the guest boots, once: Debian's own kernel as it is packaged, `gpio-sim` and `rotary-encoder` compiled for
// it (Debian's kernels leave them out), and an initramfs with these and a few of its modules. Nothing is installed.
// Plain JavaScript without packages; the result is kept outside the tree, see ../../rig/cache.mjs.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { say } from '../../../scripts/setup.mjs';
import { cacheFolder, keyOf } from '../../rig/cache.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const series = '6.12';
/** Raised when the steps below change in a way that changes the result. */
const recipeVersion = '1';
/** In the order in which they are loaded, those that they need before them. */
const wantedModules = ['9p', '9pnet_virtio', 'overlay', 'configfs', 'cuse', 'evdev'];
/** Files of the kernel source that the two modules are made of. */
const moduleSources = [
  'drivers/gpio/gpio-sim.c',
  'drivers/gpio/gpiolib.h',
  'kernel/irq/irq_sim.c',
  'drivers/input/misc/rotary_encoder.c',
];
const stepTimeoutMs = 600_000;

const recipe = keyOf([recipeVersion, process.arch, ...wantedModules, readFileSync(path.join(here, 'init'))]);

function step(name, command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: stepTimeoutMs, ...options });
  if (done.status === 0) return done.stdout;
  const reason = done.error?.message ?? `exit ${done.status ?? done.signal}`;
  const tail = `${done.stdout ?? ''}${done.stderr ?? ''}`.split('\n').slice(-25).join('\n');
  throw new Error(`Making the guest of QEMU: ${name} failed (${reason}). Its last lines:\n${tail}`);
}

/** Newest first. */
function madeGuests() {
  if (!existsSync(cacheFolder())) return [];
  return readdirSync(cacheFolder())
    .filter((name) => name.startsWith('qemu-'))
    .map((name) => path.join(cacheFolder(), name))
    .filter((folder) => existsSync(path.join(folder, 'recipe')))
    .filter((folder) => readFileSync(path.join(folder, 'recipe'), 'utf8') === recipe)
    .sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
}

function findGuest() {
  const [folder] = madeGuests();
  if (folder === undefined) return null;
  return {
    kernel: path.join(folder, 'vmlinuz'),
    initramfs: path.join(folder, 'initramfs'),
    release: readFileSync(path.join(folder, 'release'), 'utf8').trim(),
  };
}

/** What apt would install: version and the packages that it needs, by name; null: apt knows no such package. */
function packageOf(name) {
  const { stdout } = spawnSync('apt-cache', ['show', '--no-all-versions', name], { encoding: 'utf8' });
  const version = /^Version: (\S+)$/m.exec(stdout ?? '')?.[1];
  const needs = /^Depends: (.*)$/m.exec(stdout ?? '')?.[1] ?? '';
  return version === undefined
    ? null
    : { version, needs: needs.split(/[,|] */).map((need) => need.split(' ')[0]) };
}

/** Release and packages of the newest kernel of the series for which all of them are there. */
function newestKernel() {
  const { stdout } = spawnSync('apt-cache', ['pkgnames', `linux-headers-${series}.`], { encoding: 'utf8' });
  const pattern = new RegExp(`^linux-headers-(${series.replace('.', '\\.')}\\.(\\d+)\\+deb\\d+-amd64)$`);
  const found = (stdout ?? '')
    .split('\n')
    .map((name) => pattern.exec(name))
    .filter((match) => match !== null)
    .sort((one, other) => Number(other[2]) - Number(one[2]));
  for (const [name, release] of found) {
    const headers = packageOf(name);
    if (headers === null || packageOf(`linux-image-${release}`)?.version !== headers.version) continue;
    const more = headers.needs.filter((need) => /^linux-(headers-.*-common|kbuild-.*)$/.test(need));
    const names = [name, `linux-image-${release}`, ...more, `linux-source-${series}`];
    return { release, packages: [...names.map((one) => `${one}=${headers.version}`), 'busybox-static'] };
  }
  throw new Error(
    `apt knows no kernel ${series} for amd64 (linux-image-${series}.*): run \`sudo apt-get update\` on Debian 12 or 13.`,
  );
}

/** Compiles the modules against the headers of the packages. */
function compileModules(work, root, release) {
  const source = path.join(work, 'source');
  mkdirSync(source);
  const archive = path.join(root, 'usr', 'src', `linux-source-${series}.tar.xz`);
  const wildcards = moduleSources.map((file) => `*/${file}`);
  step('unpacking the kernel source', 'tar', [
    ...['-xf', archive, '-C', source, '--transform=s,.*/,,', '--wildcards'],
    ...wildcards,
  ]);
  // Module and object may not have the same name.
  renameSync(path.join(source, 'gpio-sim.c'), path.join(source, 'gpio-sim-main.c'));
  const simulator = path.join(source, 'irq_sim.c');
  const before = readFileSync(simulator, 'utf8');
  // `irq_to_desc` is not for modules; what it is replaced by does the same for the same number.
  const after = before.replace('handle_simple_irq(irq_to_desc(irqnum))', 'generic_handle_irq(irqnum)');
  if (after === before)
    throw new Error(`The kernel ${release} has another irq_sim.c than gpio-sim is compiled with here`);
  writeFileSync(simulator, after);
  const kbuild = 'obj-m += gpio-sim.o rotary_encoder.o\ngpio-sim-y := gpio-sim-main.o irq_sim.o\n';
  writeFileSync(path.join(source, 'Kbuild'), kbuild);

  const headers = path.join(root, 'usr', 'src', `linux-headers-${release}`);
  const makefile = path.join(headers, 'Makefile');
  // It names the other package of headers by its place in an installed system.
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replaceAll(' /usr/', ` ${root}/usr/`));
  // Type data for BPF would need `pahole`.
  const settings = [`M=${source}`, 'CC=gcc', 'CONFIG_DEBUG_INFO_BTF_MODULES='];
  step('compiling gpio-sim', 'make', ['-C', headers, ...settings, 'modules']);
  const modules = ['gpio-sim.ko', 'rotary_encoder.ko'].map((name) => path.join(source, name));
  step('strip', 'strip', ['--strip-debug', ...modules]);
  return modules;
}

/** The packed modules that are wanted and all that they need, in the order in which they can be loaded. */
function packedModules(root, release) {
  step('depmod', 'depmod', ['-b', root, release]);
  const folder = path.join(root, 'lib', 'modules', release);
  const needs = new Map(
    readFileSync(path.join(folder, 'modules.dep'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(': '))
      .map(([file, list = '']) => [file.replace(/:$/, ''), list.split(' ').filter((name) => name !== '')]),
  );
  const ordered = wantedModules.flatMap((name) => {
    const file = [...needs.keys()].find((one) => path.basename(one).startsWith(`${name}.ko`));
    if (file === undefined) throw new Error(`The kernel ${release} has no module ${name}`);
    // modules.dep(5): the last one is to be loaded first.
    return [...needs.get(file).toReversed(), file];
  });
  return [...new Set(ordered)].map((file) => path.join(folder, file));
}

function makeInitramfs(work, root, modules) {
  const folder = path.join(work, 'initramfs');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'lower', 'layer', 'root', 'modules'])
    mkdirSync(path.join(folder, name), { recursive: true });
  cpSync(path.join(here, 'init'), path.join(folder, 'init'));
  const busybox = path.join(root, 'bin', 'busybox');
  cpSync(busybox, path.join(folder, 'bin', 'busybox'));
  for (const [index, module] of modules.entries()) {
    const place = path.join(folder, 'modules', `${String(index).padStart(2, '0')}-${path.basename(module)}`);
    cpSync(module, place);
    if (place.endsWith('.xz')) step('unpacking a module', 'xz', ['--decompress', place]);
  }
  const names = step('find', 'find', ['.'], { cwd: folder });
  const archive = step('the initramfs', busybox, ['cpio', '-o', '-H', 'newc'], {
    ...{ cwd: folder, input: Buffer.from(names), encoding: 'buffer', maxBuffer: 2 ** 28 },
  });
  return archive;
}

function make(work) {
  const { release, packages } = newestKernel();
  say(`making the guest of QEMU from Debian's kernel ${release} (once, about a minute)`);
  step('download', 'apt-get', ['download', '-q', ...packages], { cwd: work });
  const root = path.join(work, 'root');
  for (const file of readdirSync(work).filter((name) => name.endsWith('.deb')))
    step('unpacking a package', 'dpkg', ['-x', file, root], { cwd: work });
  const result = path.join(work, 'result');
  mkdirSync(result);
  const modules = [...packedModules(root, release), ...compileModules(work, root, release)];
  writeFileSync(path.join(result, 'initramfs'), makeInitramfs(work, root, modules));
  cpSync(path.join(root, 'boot', `vmlinuz-${release}`), path.join(result, 'vmlinuz'));
  writeFileSync(path.join(result, 'release'), `${release}\n`);
  writeFileSync(path.join(result, 'recipe'), recipe);
  return result;
}

export function ensureGuest() {
  const found = findGuest();
  if (found !== null) return found;
  mkdirSync(cacheFolder(), { recursive: true });
  // Lists that are missing or old name versions that cannot be downloaded any more.
  if (process.getuid?.() === 0) spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 2, 2] });
  const work = mkdtempSync(path.join(tmpdir(), 'surfaced-qemu-'));
  try {
    const startedAt = performance.now();
    const result = make(work);
    // The recipe comes last, so that nothing half-copied is taken; who makes the same at the same time has one more.
    const folder = mkdtempSync(path.join(cacheFolder(), 'qemu-'));
    for (const name of ['vmlinuz', 'initramfs', 'release', 'recipe'])
      cpSync(path.join(result, name), path.join(folder, name));
    say(`made ${folder} in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return findGuest();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${JSON.stringify(ensureGuest())}\n`);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
