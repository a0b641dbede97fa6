/**
 * All checks and scenarios as one TAP test: on the virtual rig each file has a kernel of its own, on a bench it runs
 * here. `npm run hil` prepares what is needed and starts this.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** A file on a busy machine; most take a few seconds. */
const timeoutMs = 300_000;

/** Files that run in the rig: those of a folder whose name ends in `.hil.ts`. */
const filesIn = (folder: string): string[] =>
  readdirSync(path.join(root, folder))
    .filter((file) => file.endsWith('.hil.ts'))
    .sort()
    .map((file) => `${folder}/${file}`);

const bench = process.env.SURFACED_BENCH ?? null;
const named = (process.env.SURFACED_HIL_FILES ?? '').split(path.delimiter).filter((file) => file !== '');
const all = [...(bench === null ? filesIn('hil/rig/checks') : []), ...filesIn('hil/scenarios')];
const files = named.length > 0 ? named : all;

t.plan(files.length);
for (const file of files) {
  if (!existsSync(path.join(root, file))) {
    t.fail(`${file}: no such file`);
    continue;
  }
  const program = bench === null ? ['hil/rig/run-file.ts', file] : [file];
  t.spawn(process.execPath, ['--import=tsx', ...program], { cwd: root, timeout: timeoutMs }, file);
}
