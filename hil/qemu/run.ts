/** All checks of the guest as one TAP test, one after the other; `npm run hil -- --qemu` prepares and starts this. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const races = 'hil/qemu/checks/races.hil.ts';
/** Boots guests itself. */
const measuredBoot = 'hil/qemu/checks/measured-boot.hil.ts';
/** A file on a busy machine; one or two minutes are usual. */
const timeoutMs = 600_000;

const named = (process.env.SURFACED_HIL_FILES ?? '').split(path.delimiter).filter((file) => file !== '');
const files = named.length > 0 ? named : [races, measuredBoot];

t.plan(files.length);
for (const file of files) {
  if (!existsSync(path.join(root, file))) {
    t.fail(`${file}: no such file`);
    continue;
  }
  const program = path.normalize(file) === measuredBoot ? [file] : ['hil/qemu/run-file.ts', file];
  const env = { ...process.env, TAP_TIMEOUT: '600' };
  t.spawn(process.execPath, ['--import=tsx', ...program], { cwd: root, env, timeout: timeoutMs }, file);
}
