// `npm run hil [-- files]`: sets up what is missing, builds the rig's kernel once, and runs checks and scenarios on the
// virtual rig. `npm run hil -- --bench FILE` runs the scenarios on a real bench instead; see hil/README.md.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import {
  build,
  checkNode,
  fail,
  fingerprint,
  installPackages,
  installPrograms,
  once,
  root,
  run,
} from './setup.mjs';

const usage = `Usage: npm run hil [-- [--bench FILE | --qemu] [files]]

Runs the checks of hil/rig/checks and the scenarios of hil/scenarios, or the files that are named.

  --bench FILE   on the real bench that FILE describes (hil/bench/README.md), instead of the virtual rig
  --qemu         the checks of hil/qemu/checks: races on two processors, measured boot
  --help         this text
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
const at = args.indexOf('--bench');
const bench = at < 0 ? null : (args[at + 1] ?? fail('--bench needs the file that describes the bench'));
if (at >= 0) args.splice(at, 2);
const isQemu = args.includes('--qemu');
if (isQemu) args.splice(args.indexOf('--qemu'), 1);
if (isQemu && bench !== null) fail('--bench and --qemu exclude each other');
const unknown = args.find((arg) => arg.startsWith('-'));
if (unknown !== undefined) fail(`unknown option ${unknown}; npm run hil -- --help tells what there is`);

checkNode();
installPackages();
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
once('tap', fingerprint('.taprc', 'package-lock.json'), () => run(bin('tap'), ['build']));
if (isQemu) process.exit((await import('../hil/qemu/run.mjs')).runQemu(args));
build();
const env = {
  ...process.env,
  SURFACED_HIL_FILES: args.join(path.delimiter),
  SURFACED_COMPILED: path.join(root, 'dist', 'daemon', 'main.js'),
};
if (bench === null) {
  if (process.platform !== 'linux') fail('the virtual rig is a Linux program: it needs Debian on x86-64');
  installPrograms(
    {
      dtc: 'device-tree-compiler',
      ip: 'iproute2',
      setpriv: 'util-linux',
      swtpm: 'swtpm',
      kubectl: 'kubernetes-client',
      aconnect: 'alsa-utils',
    },
    'what needs them cannot run',
  );
  const { ensureKernel } = await import('../hil/rig/kernel/build.mjs');
  const { ensureAdapters } = await import('../hil/rig/adapters/build.mjs');
  try {
    await ensureKernel();
    ensureAdapters();
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
} else {
  env.SURFACED_BENCH = path.resolve(bench);
}
// Seconds for all files together; each has a limit of its own in hil/run.ts, and a busy machine takes its time.
const done = spawnSync(bin('tap'), ['--timeout=5400', '--jobs=1', 'hil/run.ts'], {
  cwd: root,
  env,
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.exit(done.status ?? 1);
