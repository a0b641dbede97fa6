// Compiles the rig's adapters, once for each state of their sources: `node hil/rig/adapters/build.mjs`.
// Plain JavaScript without packages.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPrograms, run, say } from '../../../scripts/setup.mjs';
import { cacheFolder, keyOf } from '../cache.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const flags = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];
const link = ['i2c-link.c', 'i2c-link.h'];
/** What each is made of. `library`: a pkg-config name, with its Debian package. */
const adapters = {
  'cuse-i2c': { sources: ['cuse-i2c.c', ...link], library: { name: 'fuse3', package: 'libfuse3-dev' } },
  'i2c-shim.so': { sources: ['i2c-shim.c', ...link], flags: ['-shared', '-fPIC'], libraries: ['-ldl'] },
  quadrature: { sources: ['quadrature.c'] },
  'smbus-calls': { sources: ['smbus-calls.c'] },
};

const hasProgram = (name) => spawnSync(name, ['--version']).status === 0;

/** Compiler flags of a library, or null when it is not installed. */
function flagsOf({ name }) {
  const asked = spawnSync('pkg-config', ['--cflags', '--libs', name], { encoding: 'utf8' });
  return asked.status === 0 ? asked.stdout.trim().split(/\s+/) : null;
}

export function adapterMissing(name) {
  if (process.platform !== 'linux') return `The adapter ${name} is for Linux only.`;
  const wanted = adapters[name].library;
  const missing = [];
  if (!hasProgram('gcc')) missing.push('build-essential');
  if (wanted && !hasProgram('pkg-config')) missing.push('pkg-config');
  if (wanted && (missing.length > 0 || flagsOf(wanted) === null)) missing.push(wanted.package);
  if (missing.length === 0) return null;
  return `To compile the adapter ${name}: sudo apt-get install -y ${missing.join(' ')}`;
}

export function ensureAdapter(name) {
  const { sources, library, flags: own = [], libraries = [] } = adapters[name];
  const files = sources.map((source) => readFileSync(path.join(here, source)));
  const folder = path.join(
    cacheFolder(),
    keyOf([name, process.arch, ...flags, ...own, ...libraries, ...files]),
  );
  const adapter = path.join(folder, name);
  if (existsSync(adapter)) return adapter;
  const missing = adapterMissing(name);
  if (missing !== null) throw new Error(missing);

  mkdirSync(folder, { recursive: true });
  // Another process may compile the same: each does it beside, the last rename wins and nothing half-done is seen.
  const work = mkdtempSync(path.join(folder, 'build-'));
  try {
    const made = path.join(work, name);
    const code = sources.filter((source) => source.endsWith('.c')).map((source) => path.join(here, source));
    const done = spawnSync(
      'gcc',
      [...flags, ...own, '-o', made, ...code, ...(library ? flagsOf(library) : []), ...libraries],
      { encoding: 'utf8' },
    );
    if (done.status !== 0) throw new Error(`The adapter ${name} does not compile:\n${done.stderr}`);
    renameSync(made, adapter);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return adapter;
}

export function ensureAdapters() {
  const names = Object.keys(adapters);
  if (names.some((name) => adapterMissing(name) !== null)) {
    installPrograms({ gcc: 'build-essential', 'pkg-config': 'pkg-config' });
    // Libraries have no command by which they could be seen.
    if (process.getuid?.() === 0) {
      say('installing libfuse3-dev (once)');
      run('apt-get', ['update', '-q']);
      run('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'libfuse3-dev'], {
        DEBIAN_FRONTEND: 'noninteractive',
      });
    }
  }
  return Object.fromEntries(names.map((name) => [name, ensureAdapter(name)]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`${Object.values(ensureAdapters()).join('\n')}\n`);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
