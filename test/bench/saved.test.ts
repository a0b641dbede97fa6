import path from 'node:path';
import t from 'tap';
import { mergedResults, readReport, writeReport } from '../../bench/saved.ts';
import { failed, measured, row } from './results.ts';

const names = ['one', 'two', 'three'];

t.test('a run of one bench keeps the results of the others, each with its own date', async (t) => {
  const kept = [measured('three', [row]), measured('one', [row])];
  const now = { ...measured('two', []), madeAt: '2026-11-24T12:00:00.000Z' };
  const merged = mergedResults(names, kept, [now]);
  t.same(
    merged.map(({ name, madeAt }) => [name, madeAt.slice(0, 10)]),
    [
      ['one', '2026-11-23'],
      ['two', '2026-11-24'],
      ['three', '2026-11-23'],
    ],
  );
});

t.test('a new result takes the place of the kept one, what failed only that of what failed', async (t) => {
  const kept = [measured('one', [row]), measured('two', [row]), failed('three', 'old')];
  const fresh = [measured('one', []), failed('two', 'new'), failed('three', 'new')];
  const [one, two, three] = mergedResults(names, kept, fresh);
  t.equal(one, fresh[0]);
  t.equal(two, kept[1]);
  t.equal(three?.problem, 'new');
  t.same(mergedResults(names, [], [failed('two', 'new')]), [failed('two', 'new')]);
});

t.test('a bench that is no more is dropped', async (t) => {
  t.same(mergedResults(['two'], [measured('one', [])], []), []);
});

t.test('what was written is read again, numbers that are none included', async (t) => {
  const file = path.join(t.testdir(), 'new', 'bench.json');
  t.same(await readReport(file), { results: [] }, 'no file yet');
  const noRatio = { ...row, ratio: Number.NaN, ratioLow: Number.NaN, aim: null };
  const results = [measured('one', [noRatio]), failed('two', 'why')];
  await writeReport(file, { results });
  t.strictSame(await readReport(file), { results });
});

t.test('a file that is no report is an error', async (t) => {
  const folder = t.testdir({ 'bench.json': 'no' });
  await t.rejects(readReport(path.join(folder, 'bench.json')), SyntaxError);
});

t.test('docs/bench.json has its results in this form', async (t) => {
  const { results } = await readReport('docs/bench.json');
  t.ok(results.length > 0);
  for (const { name, madeAt, machine, problem } of results)
    t.ok(name && Date.parse(madeAt) > 0 && machine.CPU && problem === null, name);
});
