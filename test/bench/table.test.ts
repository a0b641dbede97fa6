import t from 'tap';
import { compare, quantile } from '../../bench/statistics.ts';
import { figure, headlines, markdownTable, withTable } from '../../bench/table.ts';
import { isMet, type Row } from '../../bench/types.ts';
import { failed, measured, row } from './results.ts';

t.test('an aim is met when all of it holds', async (t) => {
  t.equal(isMet(row), true);
  t.equal(isMet({ ...row, ratio: 0.11 }), false);
  t.equal(isMet({ ...row, ratio: Number.NaN }), false, 'what was not measured is not met');
  t.equal(isMet({ ...row, aim: { oursAtMost: 2 } }), false);
  t.equal(isMet({ ...row, ours: 0, ratio: Number.NaN, aim: { oursAtMost: 0 } }), true, 'a peer of 0');
  t.equal(isMet({ ...row, ours: Number.NaN, aim: { oursAtMost: 0 } }), false);
  t.equal(isMet({ ...row, condition: { claim: 'it works', holds: false } }), false);
  t.equal(isMet({ ...row, aim: null }), null);
});

t.test('the table has a line for each row, and says what was not measured', async (t) => {
  const missed: Row = { ...row, what: 'the same', ratio: 1.6, aim: { ratioAtMost: 1.5 } };
  const results = [measured('one', [row, missed]), failed('two', 'mosquitto | is not installed\nat once')];
  const lines = markdownTable({ results }).split('\n');
  t.equal(
    lines[2],
    '| bytes in \\| writes out | 2.35 ms | `kubectl scale`: 1,235 ms | 0.05 (0.04 to 0.05) | ratio at most 0.1 | met |',
  );
  t.match(lines[3], /\*\*missed\*\* \|$/);
  t.match(lines[4], /^\| two: not measured: mosquitto \\\| is not installed \|/);
  for (const line of lines.slice(0, 5)) t.equal(line.replaceAll('\\|', '').split('|').length, 8, line);
  t.equal(lines.length, 7);
  t.equal(lines.at(-1), 'Made by `npm run bench` on 2026-11-23: CPU 2 x some, Node 20.20.0.');
});

t.test('results of several runs say each where they are from', async (t) => {
  const later = { madeAt: '2026-11-24T12:00:00.000Z', isQuick: true };
  const results = [measured('one', []), { ...measured('two', []), ...later }, measured('three', [])];
  t.same(markdownTable({ results }).split('\n').slice(3), [
    '- `one`, `three`: made by `npm run bench` on 2026-11-23: CPU 2 x some, Node 20.20.0.',
    '- `two`: made by `npm run bench -- --quick` on 2026-11-24: CPU 2 x some, Node 20.20.0.',
  ]);
});

t.test(
  'headlines are the first row of each bench and what misses its aim, by their full names',
  async (t) => {
    const missed: Row = { ...row, ratio: 1 };
    const rows = [
      row,
      { ...missed, what: 'the same' },
      { ...row, what: 'knob at 500 edges/s: lost' },
      { ...missed, what: 'the same: CPU' },
      { ...missed, what: 'the same', aim: null },
      { ...missed, what: 'another' },
    ];
    const { results } = headlines({ results: [measured('one', rows), failed('two', 'broken')] });
    t.same(
      results[0]?.findings?.rows.map(({ what }) => what),
      ['bytes in | writes out', 'bytes in | writes out', 'knob at 500 edges/s: CPU', 'another'],
    );
    t.equal(results[1]?.problem, 'broken');
  },
);

t.test('figures have three digits that mean something', async (t) => {
  t.same([0.0456, 9.381, 45.67, 158.6, 45_117.2, Number.NaN].map(figure), [
    '0.05',
    '9.38',
    '45.7',
    '159',
    '45,117',
    '-',
  ]);
});

t.test('the table takes its place in the README, once and again', async (t) => {
  const first = withTable('# How fast\n\nBENCH-TABLE\n\nmore\n', '| one |');
  t.equal(first, '# How fast\n\n<!-- bench -->\n| one |\n<!-- /bench -->\n\nmore\n');
  t.equal(
    withTable(first ?? '', '| $& two |'),
    '# How fast\n\n<!-- bench -->\n| $& two |\n<!-- /bench -->\n\nmore\n',
  );
  t.equal(withTable('no place\n', '| one |'), null);
});

t.test('medians and ratios are those of the rounds', async (t) => {
  t.equal(quantile([3, 1, 2], 0.5), 2);
  t.equal(quantile([1, 2], 0.5), 1.5);
  t.match(compare([1, 2, 30], [10, 10, 10]), { ours: 2, theirs: 10, ratio: 0.2 });
  t.match(compare([1, 4], [1, 2]), { ratio: 1.5, ratioLow: 1.25, ratioHigh: 1.75 });
  t.match(compare([0, 0, 0], [0, 0, 2]), { ours: 0, theirs: 0, ratio: 0 }, 'nothing beside nothing');
  t.match(compare([0], [0]), { ratio: Number.NaN });
});
