// Builds the rig's kernel, User-mode Linux from Debian's own kernel source: `node hil/rig/kernel/build.mjs`.
// Plain JavaScript without packages. The result is kept outside the tree, see ../cache.mjs.
import { spawn, spawnSync } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { installPrograms, say } from '../../../scripts/setup.mjs';
import { cacheFolder, keyOf } from '../cache.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const series = '6.12';
const sourcePackage = `linux-source-${series}`;
/** Raised when the steps below change in a way that changes the kernel. */
const recipeVersion = '1';
const progressEveryMs = 5_000;
/** Source, objects and package at their largest took 0.95 GB. */
const neededBytes = 1.5e9;
/** Compiled files of this config, for the progress line. */
const usualFileCount = 850;
/** Command -> Debian package. */
const programs = {
  // With the C library's headers.
  gcc: 'build-essential',
  make: 'build-essential',
  bc: 'bc',
  flex: 'flex',
  bison: 'bison',
  strip: 'binutils',
  patch: 'patch',
  xz: 'xz-utils',
  dtc: 'device-tree-compiler',
};
/** Large, and never compiled for this architecture; their Kconfig and Makefiles are still read. */
const unneeded = [
  ...['gpu', 'media', 'scsi', 'infiniband', 'net/ethernet', 'net/wireless'].map(
    (name) => `*/drivers/${name}/*.[ch]`,
  ),
  '*/sound/soc/*.[ch]',
  '*/Documentation/*/*',
  '*/tools/testing/*',
  ...['a', 'm', '[chlnoprs]'].map((first) => `*/arch/${first}*/*.[chS]`),
  '*/arch/*.dts*',
];

const recipe = keyOf([
  recipeVersion,
  process.arch,
  readFileSync(path.join(here, 'uml.patch')),
  readFileSync(path.join(here, 'config')),
]);

const folderFor = (version) => path.join(cacheFolder(), keyOf([version, recipe]));
const kernelIn = (folder) => path.join(folder, 'linux');

/** Version of the source package that apt would install; null: apt is not here or knows no such package. */
function sourceVersion() {
  const asked = spawnSync('apt-cache', ['show', '--no-all-versions', sourcePackage], { encoding: 'utf8' });
  return /^Version: (\S+)$/m.exec(asked.stdout ?? '')?.[1] ?? null;
}

/** Newest first. */
function builtKernels() {
  if (!existsSync(cacheFolder())) return [];
  return readdirSync(cacheFolder())
    .map((name) => path.join(cacheFolder(), name))
    .filter((folder) => existsSync(path.join(folder, 'recipe')))
    .filter((folder) => readFileSync(path.join(folder, 'recipe'), 'utf8') === recipe)
    .map(kernelIn)
    .sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
}

export function findKernel() {
  const given = process.env.SURFACED_RIG_KERNEL;
  if (given) return existsSync(given) ? given : null;
  // A newer source is no reason to build on every security update, and apt takes seconds to say what there is.
  return builtKernels()[0] ?? null;
}

const isCompiled = (line) => /^ {2}CC +\S+\.o$/.test(line);

const seconds = (startedAt) => `${Math.round((performance.now() - startedAt) / 1000)} s`;

/** Runs one command; says every few seconds how far it is; rejects with the end of its output. */
function step(name, [command, ...args], { folder, log, signal, progress = () => '' }) {
  const startedAt = performance.now();
  const tail = [];
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    // A group of its own: make has children, and all of them write into the folder that is removed at the end.
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const end = () => process.kill(-child.pid, 'SIGTERM');
    signal.addEventListener('abort', end, { once: true });
    const timer = setInterval(() => say(`${name}: ${progress()}${seconds(startedAt)}`), progressEveryMs);
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        tail.push(line);
        if (tail.length > 25) tail.shift();
        progress(line);
      });
    child.once('error', (cause) =>
      reject(
        new Error(`Building the rig's kernel: \`${command}\` cannot be run: ${cause.message}`, { cause }),
      ),
    );
    child.once('close', (code, killer) => {
      clearInterval(timer);
      signal.removeEventListener('abort', end);
      if (signal.aborted) return reject(signal.reason);
      if (code === 0) return resolve();
      const output = tail.join('\n');
      const remedy = /No space left on device/i.test(output)
        ? `The disk is full: free ${neededBytes / 1e9} GB below ${cacheFolder()}, or set XDG_CACHE_HOME to a larger disk.`
        : `Its last lines:\n${output}`;
      return reject(
        new Error(`Building the rig's kernel: ${name} failed (${killer ?? `exit ${code}`}). ${remedy}`),
      );
    });
  });
}

/** Counts compiled files for the progress line. */
function fileCounter() {
  let count = 0;
  return (line) => {
    if (line !== undefined && isCompiled(line)) count += 1;
    return `${count} of about ${usualFileCount} files, `;
  };
}

/**
 * Only one build at a time on this machine. The kernel drops the lock when this process ends, however it ends:
 * the holder reads from a pipe of which we have the other end.
 */
function lock(file) {
  return new Promise((resolve, reject) => {
    const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const timer = setInterval(() => say('another process is building the kernel; waiting'), progressEveryMs);
    holder.once('error', (cause) =>
      reject(new Error(`\`flock\` (util-linux) cannot be run: ${cause.message}`, { cause })),
    );
    holder.once('close', () => reject(new Error(`The lock ${file} cannot be taken`)));
    holder.stdout.once('data', () => {
      clearInterval(timer);
      holder.removeAllListeners('close');
      resolve(() => holder.stdin.end());
    });
  });
}

/** Looks before a long build for what would make it fail at its end. */
function checkMachine() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error("The rig's kernel is built on Linux on x86-64; run it there, or in a virtual machine.");
  installPrograms(programs);
  const missing = Object.keys(programs).filter((name) => spawnSync('which', [name]).status !== 0);
  if (missing.length > 0)
    throw new Error(
      `Programs to build the rig's kernel are missing: ${missing.join(', ')}. ` +
        `Install them: sudo apt-get install -y ${[...new Set(missing.map((name) => programs[name]))].join(' ')}`,
    );
  const { bavail, bsize } = statfsSync(cacheFolder());
  if (bavail * bsize < neededBytes)
    throw new Error(
      `Building the rig's kernel takes ${neededBytes / 1e9} GB for a while; below ${cacheFolder()} are ` +
        `${(bavail * bsize) / 1e9} GB free. Free some, or set XDG_CACHE_HOME to a larger disk.`,
    );
}

async function build(version, work, signal) {
  mkdirSync(work);
  const log = createWriteStream(path.join(work, 'log'));
  const output = path.join(work, 'objects');
  mkdirSync(output);
  const runStep = (name, command, folder, progress) => step(name, command, { folder, log, signal, progress });

  await runStep(
    'download of the kernel source',
    ['apt-get', 'download', '-q', `${sourcePackage}=${version}`],
    work,
  );
  const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
  await runStep('unpacking the package', ['dpkg', '-x', archive, 'package'], work);
  rmSync(path.join(work, archive));
  const source = path.join(work, 'source');
  mkdirSync(source);
  const excluded = unneeded.map((pattern) => `--exclude=${pattern}`);
  const tarball = path.join(work, 'package', 'usr', 'src', `${sourcePackage}.tar.xz`);
  await runStep(
    'unpacking the kernel source',
    ['tar', '-xf', tarball, '--strip-components=1', ...excluded],
    source,
  );
  rmSync(path.join(work, 'package'), { recursive: true });

  await runStep('patch', ['patch', '-p1', '-i', path.join(here, 'uml.patch')], source);
  const make = ['make', 'ARCH=um', `O=${output}`];
  await runStep('configuration', [...make, 'tinyconfig'], source);
  const merge = [
    'scripts/kconfig/merge_config.sh',
    '-m',
    '-O',
    output,
    path.join(output, '.config'),
    path.join(here, 'config'),
  ];
  await runStep('configuration', ['env', 'ARCH=um', ...merge], source);
  await runStep('configuration', [...make, 'olddefconfig'], source);
  const lost = lostOptions(
    readFileSync(path.join(here, 'config'), 'utf8'),
    readFileSync(path.join(output, '.config'), 'utf8'),
  );
  if (lost.length > 0)
    throw new Error(
      `The kernel source does not take these options of hil/rig/kernel/config: ${lost.join(', ')}`,
    );
  const parallel = `-j${availableParallelism()}`;
  await runStep('compiling the kernel', ['nice', ...make, parallel, 'linux'], source, fileCounter());

  const result = path.join(work, 'result');
  mkdirSync(result);
  await runStep('strip', ['strip', '-o', kernelIn(result), path.join(output, 'linux')], work);
  writeFileSync(path.join(result, 'recipe'), recipe);
  writeFileSync(path.join(result, 'source-version'), `${version}\n`);
  log.end();
  return result;
}

/** `olddefconfig` drops silently what the source does not know any more or what lacks a dependency. */
export function lostOptions(wanted, made) {
  const lines = new Set(made.split('\n'));
  const names = new Set([...lines].map((line) => line.split('=')[0]));
  return wanted
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_'))
    .filter((line) => (line.endsWith('=n') ? names.has(line.slice(0, -2)) : !lines.has(line)));
}

export async function ensureKernel() {
  const found = findKernel();
  if (found !== null) return found;
  if (process.env.SURFACED_RIG_KERNEL)
    throw new Error(`SURFACED_RIG_KERNEL names ${process.env.SURFACED_RIG_KERNEL}, which does not exist.`);
  return buildKernel();
}

/** Builds from the newest source that apt knows, unless that was done before. */
export async function buildKernel() {
  mkdirSync(cacheFolder(), { recursive: true });
  checkMachine();
  // Lists that are missing or old name versions that cannot be downloaded any more.
  if (process.getuid?.() === 0) spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 2, 2] });
  const version = sourceVersion();
  if (version === null)
    throw new Error(
      `apt knows no package ${sourcePackage}: run \`sudo apt-get update\` on Debian 12 or 13, or set ` +
        'SURFACED_RIG_KERNEL to a kernel that was built elsewhere by hil/rig/kernel/build.mjs.',
    );

  const unlock = await lock(path.join(cacheFolder(), 'build.lock'));
  const work = path.join(cacheFolder(), 'build');
  const clean = () => rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  const control = new AbortController();
  const stop = () => control.abort(new Error('The build was ended early.'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const folder = folderFor(version);
    // Whoever held the lock before may have built it.
    if (existsSync(kernelIn(folder))) return kernelIn(folder);
    clean();
    const startedAt = performance.now();
    say(`building the rig's kernel from ${sourcePackage} ${version} (once, three to ten minutes)`);
    renameSync(await build(version, work, control.signal), folder);
    say(`built ${kernelIn(folder)} in ${seconds(startedAt)}`);
    return kernelIn(folder);
  } finally {
    clean();
    process.off('SIGINT', stop).off('SIGTERM', stop);
    unlock();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${await (process.argv.includes('--newest') ? buildKernel() : ensureKernel())}\n`);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
