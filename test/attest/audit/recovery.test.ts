import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { findEnd } from '../../../daemon/attest/audit/resume.ts';
import { markFile } from '../../../daemon/attest/audit/signed-mark.ts';
import { certificate, openIn, placeIn, recordsIn, started, verifyIn, write } from './rig.ts';

const serials = async (folder: string) =>
  (await recordsIn(folder)).flatMap(({ event }) => (event.kind === 'certificate' ? [event.serial] : []));

t.test('a log that is cut at any byte goes on with what was whole, and tells', async (t) => {
  const base = t.testdir();
  const place = await placeIn(base);
  await write(place, [started, certificate(1), certificate(2)]);
  const whole = await readFile(path.join(place.folder, '000001.jsonl'));
  const ends = [...whole.keys()].filter((at) => whole[at] === 10).map((at) => at + 1);
  const folder = path.join(base, 'cut');
  const there = { ...place, folder };
  const file = path.join(folder, '000001.jsonl');
  await mkdir(folder);
  const wrong: number[] = [];
  for (let cut = 0; cut <= whole.length; cut++) {
    const kept = ends.filter((end) => end <= cut);
    const tornBytes = cut - (kept.at(-1) ?? 0);
    // Crashed before a head was signed.
    await writeFile(file, whole.subarray(0, cut));
    const end = await findEnd(folder);
    if (end.last.seq !== kept.length || end.bytes !== (kept.at(-1) ?? 0) || end.tornBytes !== tornBytes)
      wrong.push(cut);
    if (cut % 25 !== 0 && tornBytes > 1) continue;
    await write(there, [certificate('after')]);
    const records = await recordsIn(folder);
    const told = records.filter(({ event }) => event.kind === 'recovered').map(({ event }) => event);
    const isHeadMissing = kept.length > 0;
    t.same(
      told,
      cut > 0 ? [{ kind: 'recovered', bytes: tornBytes, isHeadMissing }] : [],
      `cut at byte ${cut} of ${whole.length}`,
    );
    t.equal(records.length, Math.max(kept.length, 1) + told.length + 1);
    t.match(await verifyIn(folder), { isSound: true, unsigned: 0 });
    await rm(path.join(folder, 'head.json'));
    await rm(markFile(folder));
  }
  t.same(wrong, [], 'the end that was found');
});

t.test('cut behind the signed head, in a newer file, and twice', async (t) => {
  const base = t.testdir();
  const place = await placeIn(base);
  await write(place, [started, certificate(1)]);
  const head = await readFile(path.join(place.folder, 'head.json'));
  await write(place, [certificate(2), certificate(3), certificate(4)], 700);
  const names = (await readdir(place.folder)).filter((name) => name.endsWith('.jsonl')).sort();
  t.ok(names.length > 1);
  const newest = path.join(place.folder, names.at(-1)!);
  const whole = await readFile(newest);
  for (let cut = 0; cut <= whole.length; cut += 23) {
    await cp(place.folder, path.join(base, 'copy'), { recursive: true });
    const there = { ...place, folder: path.join(base, 'copy') };
    await writeFile(path.join(there.folder, 'head.json'), head);
    await writeFile(path.join(there.folder, names.at(-1)!), whole.subarray(0, cut));
    await write(there, [certificate('after')], 700);
    const report = await verifyIn(there.folder);
    t.match(report, { isSound: true, unsigned: 0 }, `cut at byte ${cut} of ${whole.length}`);
    t.equal((await serials(there.folder)).at(-1), 'after');
    await rm(there.folder, { recursive: true });
  }
  // More than what is written next.
  await cp(place.folder, path.join(base, 'long'), { recursive: true });
  const long = { ...place, folder: path.join(base, 'long') };
  await appendFile(path.join(long.folder, names.at(-1)!), 'x'.repeat(9000));
  await write(long, [certificate('before'), certificate('after')]);
  const report = await verifyIn(long.folder);
  t.match(report, { isSound: true, unsigned: 0 });
  t.notOk(report.notes.some(({ what }) => what.includes('an incomplete line')));
  t.equal((await serials(long.folder)).at(-1), 'after');
  // Torn, opened, and killed again before anything was written: nothing is told yet, and nothing lost.
  await writeFile(path.join(place.folder, 'head.json'), head);
  await writeFile(newest, whole.subarray(0, whole.length - 5));
  for (let start = 0; start < 2; start++) await (await openIn(place)).close();
  await write(place, [certificate('after')], 700);
  const told = (await recordsIn(place.folder)).filter(({ event }) => event.kind === 'recovered');
  t.equal(told.length, 1);
  t.match(await verifyIn(place.folder), {
    isSound: true,
    notes: [{}, { what: /bytes of an incomplete record/ }],
  });
});

t.test('killed at any moment, a gateway loses no record that it acknowledged', async (t) => {
  const folder = t.testdir();
  const log = path.join(folder, 'log');
  const acknowledged: number[] = [];
  const script = new URL('appender.ts', import.meta.url).pathname;
  const rounds = 2;
  for (let round = 0; round < rounds; round++) {
    const args = ['--import=tsx', script, folder, `${round * 100_000}`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'close');
    let text = '';
    const last = randomInt(1, 300);
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      // At a moment that depends on nothing that the child does.
      if (text.split('\n').length > last) setImmediate(() => child.kill('SIGKILL'));
    });
    const [, signal] = await ended;
    t.equal(signal, 'SIGKILL');
    acknowledged.push(...text.split('\n').slice(0, -1).map(Number));
    const report = await verifyIn(log);
    t.ok(report.isSound || report.head === null, `round ${round}`);
  }
  const place = await placeIn(folder, 'other');
  await write({ ...place, folder: log }, [certificate('after')]);
  const report = await verifyIn(log);
  t.match(report, { isSound: true, unsigned: 0 }, JSON.stringify(report.faults));
  const kept = (await serials(log)).slice(0, -1).map(Number);
  const lost = acknowledged.filter((number) => !kept.includes(number));
  t.same(lost, [], `${acknowledged.length} were acknowledged`);
  t.same(
    kept,
    kept.toSorted((a, b) => a - b),
    'in order',
  );
  t.equal(new Set(kept).size, kept.length, 'none twice');
  const recovered = report.notes.filter(({ what }) => what.startsWith('at a start')).length;
  t.comment(
    `${rounds} kills, ${acknowledged.length} acknowledged, ${kept.length} kept, ${recovered} of them torn`,
  );
});
