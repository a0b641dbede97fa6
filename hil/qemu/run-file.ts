/**
 * Runs one check in a guest of its own: `node --import=tsx hil/qemu/run-file.ts FILE`. What it prints, TAP, is printed
 * here, and its exit code is this one's.
 */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { ensureAdapters } from '../rig/adapters/build.mjs';
import { bootGuest } from './boot.ts';
import { qemuMissing } from './prepare.mjs';

/** Longest run of one file, from the start to the power-off; a minute is usual. */
const timeoutMs = 400_000;

/** Packages with native code, which cannot be in the bundle. */
const external = ['i2c-bus', 'koffi', 'onoff', 'serialport'];

/** A test that failed may leave something open. */
const options = ['--test-reporter=tap', '--test-force-exit'];

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('which file? usage: run-file.ts FILE');
const missing = qemuMissing();
if (missing !== null) throw new Error(missing);
const adapters = ensureAdapters();
const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-check-'));
try {
  // In one file: an emulated processor takes half a minute to find and compile a hundred.
  const bundle = path.join(folder, 'check.mjs');
  await symlink(path.resolve('node_modules'), path.join(folder, 'node_modules'));
  await build({
    ...{ entryPoints: [file], outfile: bundle, bundle: true, sourcemap: 'inline' },
    ...{ platform: 'node', format: 'esm', target: 'node20', external },
    // Packages of the older kind ask for Node's own by `require`.
    banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
  });
  const { exitCode } = await bootGuest({
    program: ['taskset', '--cpu-list', '0', process.execPath, ...options, bundle],
    environment: { SURFACED_CUSE_I2C: adapters['cuse-i2c'], SURFACED_QUADRATURE: adapters.quadrature },
    kernelArguments: [],
    isMeasured: false,
    timeoutMs,
    onOutput: (line) => process.stdout.write(`${line}\n`),
    signal: null,
  });
  process.exitCode = exitCode;
} finally {
  await rm(folder, { recursive: true, force: true });
}
