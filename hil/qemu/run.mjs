// `npm run hil -- --qemu [files]`, called by scripts/hil.mjs when packages are there: prepares the guest, runs its checks.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fail, root } from '../../scripts/setup.mjs';
import { prepareQemu } from './prepare.mjs';

/** Runs these files, all of hil/qemu/checks when there are none; returns the exit code. */
export function runQemu(files) {
  try {
    prepareQemu();
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
  const tap = path.join(root, 'node_modules', '.bin', 'tap');
  const done = spawnSync(tap, ['--timeout=1300', '--jobs=1', 'hil/qemu/run.ts'], {
    cwd: root,
    env: { ...process.env, SURFACED_HIL_FILES: files.join(path.delimiter) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return done.status ?? 1;
}
