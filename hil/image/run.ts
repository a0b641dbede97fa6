/** All checks of the image as one TAP test, one after the other; `npm run image:test` builds the card and starts this. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const folder = path.join('hil', 'image', 'checks');
/** A file on a busy machine; some minutes are usual. */
const timeoutMs = 3_000_000;

const named = (process.env.SURFACED_HIL_FILES ?? '').split(path.delimiter).filter((file) => file !== '');
const all = readdirSync(path.join(root, folder)).filter((name) => name.endsWith('.hil.ts'));
const files = named.length > 0 ? named : all.sort().map((name) => path.join(folder, name));

t.plan(files.length);
for (const file of files) {
  if (!existsSync(path.join(root, file))) {
    t.fail(`${file}: no such file`);
    continue;
  }
  const env = { ...process.env, TAP_TIMEOUT: String(timeoutMs / 1000) };
  t.spawn(process.execPath, ['--import=tsx', file], { cwd: root, env, timeout: timeoutMs }, file);
}
