/** How much memory the largest evidence needs, in a process of its own, as that of a test says nothing. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { largeCases } from './large-logs.ts';

const mebibyte = 1024 * 1024;
const script = fileURLToPath(new URL('memory-child.ts', import.meta.url));
const expected = [null, null, 'systemd-log'];

const skip = process.platform === 'linux' ? false : 'the highest mark of memory is read from /proc';

t.test('the largest logs are judged within 64 MiB', { skip }, async (t) => {
  const folder = t.testdir();
  const cases = Object.entries(largeCases());
  const sizes = cases.map(([name, { logs, pcrs }]) => {
    for (const [log, bytes] of Object.entries(logs))
      if (bytes !== null) writeFileSync(path.join(folder, `${name}.${log}`), bytes);
    writeFileSync(path.join(folder, `${name}.pcrs`), Buffer.concat([...pcrs.values.values()]));
    return Object.values(logs).reduce((sum, log) => sum + (log?.length ?? 0), 0);
  });
  const names = cases.map(([name]) => name);
  // JavaScript's memory is capped: more ends the process; and its nursery is small, so that what counts is what is needed,
  // not what nobody has cleared away yet. Buffers and hashes are outside of it, in the resident set, of which the highest
  // mark since the verifier was called counts. The logs themselves are read before it is looked at.
  const flags = ['--max-old-space-size=64', '--max-semi-space-size=4', '--expose-gc', '--import=tsx'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, folder, ...names]);
  const rows = JSON.parse(stdout) as {
    readonly failed: string | null;
    readonly cpuMs: number;
    readonly bufferGrowth: number;
    readonly residentGrowth: number;
  }[];
  t.same(
    rows.map(({ failed }) => failed),
    expected,
  );
  const shown = (bytes = 0) => (bytes / mebibyte).toFixed(1);
  for (const [index, { cpuMs, bufferGrowth, residentGrowth }] of rows.entries())
    t.comment(
      `${names[index]}: ${shown(sizes[index])} MiB of logs in ${cpuMs.toFixed(0)} ms of CPU time; buffers +${shown(bufferGrowth)} MiB, highest mark +${shown(residentGrowth)} MiB`,
    );
  for (const { residentGrowth } of rows) t.ok(residentGrowth < 64 * mebibyte, `${shown(residentGrowth)} MiB`);
});
