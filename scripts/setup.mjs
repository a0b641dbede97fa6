// Set-up shared by `npm start` and `npm test`: plain JavaScript without dependencies, because it runs
// before anything is installed. Every step first looks whether it is needed, so a second run costs nothing.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
// In node_modules, so that whoever empties it also takes back what was set up inside it.
const stamps = path.join(root, 'node_modules', '.surfaced');

const lookAgainMs = 500;
/** Longer than anybody needs to write a number. */
const ownerMs = 5000;

export const say = (text) => process.stderr.write(`surfaced: ${text}\n`);

/** Ends with a sentence and exit code 1. */
export function fail(text) {
  say(text);
  process.exit(1);
}

/** Runs a command with its output shown on stderr; ends the process when it fails. */
export function run(command, args, env = {}) {
  const done = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...env },
  });
  if (done.status !== 0)
    fail(`\`${command} ${args.join(' ')}\` failed${done.error ? `: ${done.error.message}` : ''}`);
}

const readStamp = (name) => {
  try {
    return readFileSync(path.join(stamps, name), 'utf8');
  } catch {
    return '';
  }
};
const writeStamp = (name, value) => {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(path.join(stamps, name), value);
};

/** Does `work` when `fingerprint` differs from that of the last time it succeeded. */
export function once(name, fingerprint, work) {
  if (readStamp(name) === fingerprint) return false;
  work();
  writeStamp(name, fingerprint);
  return true;
}

/** A hash over names, sizes and times of all files below the folders: enough to see a change, quick to make. */
export function fingerprint(...names) {
  const hash = createHash('sha256').update(process.version);
  const visit = (file) => {
    const stat = statSync(file);
    if (stat.isDirectory()) for (const entry of readdirSync(file).sort()) visit(path.join(file, entry));
    else hash.update(`${path.relative(root, file)} ${stat.size} ${stat.mtimeMs}\n`);
  };
  for (const name of names) if (existsSync(path.join(root, name))) visit(path.join(root, name));
  return hash.digest('hex');
}

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Node ${process.versions.node} is too old; install Node 20.19 or a later LTS`);
  }
}

/** npm packages, from the lock file; those that `npm ci` has installed by itself will do. */
export function installPackages() {
  const wanted = createHash('sha256')
    .update(process.version)
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
  alone(() => {
    const stamp = readStamp('packages');
    if (stamp === wanted) return;
    if (stamp !== '' || !areInstalled()) {
      say('installing npm packages (once, about half a minute)');
      run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
    }
    writeStamp('packages', wanted);
  });
}

/** Whether what npm has noted down in node_modules is what the lock file wants; what is optional may be missing. */
function areInstalled() {
  try {
    const packagesIn = (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
    const found = packagesIn('node_modules/.package-lock.json');
    return Object.entries(packagesIn('package-lock.json')).every(
      ([name, { version, optional }]) =>
        name === '' || found[name]?.version === version || (optional === true && found[name] === undefined),
    );
  } catch {
    return false;
  }
}

/** One process of this checkout at a time; another one's lock counts for as long as that lives. */
function alone(work) {
  const lock = path.join(root, '.setup', 'installing');
  mkdirSync(path.dirname(lock), { recursive: true });
  for (let isTold = false; ; ) {
    try {
      writeFileSync(lock, `${process.pid}`, { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!isOwned(lock)) rmSync(lock, { force: true });
    else {
      if (!isTold) say('waiting for another command that installs npm packages here');
      isTold = true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookAgainMs);
    }
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isOwned(lock) {
  try {
    const owner = Number(readFileSync(lock, 'utf8'));
    // It is written down a moment after the file is there.
    if (owner === 0) return Date.now() - statSync(lock).mtimeMs < ownerMs;
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Compiles the program and bundles the page, when a source is newer than the last build. */
export function build() {
  const sources = [
    'daemon',
    'hil',
    'tsconfig.json',
    'tsconfig.build.json',
    'package-lock.json',
    'scripts/build.mjs',
  ];
  const current = existsSync(path.join(root, 'dist', 'daemon', 'main.js'));
  once('build', current ? fingerprint(...sources) : 'missing', () => {
    say('building (once, a few seconds)');
    run(process.execPath, [path.join('scripts', 'build.mjs')]);
  });
  if (!current) writeStamp('build', fingerprint(...sources));
}

const commandExists = (command) =>
  (process.env.PATH ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, command)));

/**
 * Programs that come from the system. Installs what is missing with apt when this is Debian and we are root;
 * else prints the one line to run. Tests that need a program still missing say so and skip.
 * @param {Record<string, string>} wanted command -> Debian package
 */
export function installPrograms(wanted, without) {
  const missing = Object.entries(wanted).filter(([command]) => !commandExists(command));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))];
  const line = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (process.platform === 'linux' && process.getuid?.() === 0 && commandExists('apt-get')) {
    say(`installing ${packages.join(', ')} (once)`);
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    run('apt-get', ['update', '-q'], env);
    run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], env);
  } else {
    say(`${missing.map(([command]) => command).join(', ')} not found; ${without}. To install:`);
    say(
      `  ${process.platform === 'darwin' ? `brew install ${missing.map(([command]) => command).join(' ')}` : `sudo ${line}`}`,
    );
  }
}
