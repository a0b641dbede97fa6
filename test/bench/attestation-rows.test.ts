import t from 'tap';
import { powerOnRows } from '../../bench/power-on.ts';
import { perSecond } from '../../bench/statistics.ts';
import { proofRows, readingRows } from '../../bench/tpm-enrol.ts';
import { isMet } from '../../bench/types.ts';
import { type Memory, verifierRows } from '../../bench/verifier.ts';

const figures = (rows: ReturnType<typeof proofRows>) =>
  rows.map(({ unit, ours, theirs, ratio }) => [unit, ours, theirs, ratio]);

t.test('proofs: time, round trips, and one by the other', async (t) => {
  const rows = proofRows({
    kind: 'rsa',
    ours: [
      { enrolment: 100, renewal: 50 },
      { enrolment: 100, renewal: 50 },
    ],
    theirs: [
      { enrolment: 400, renewal: 25 },
      { enrolment: 200, renewal: 25 },
    ],
    commands: { ours: { enrolment: 20, renewal: 10 }, theirs: { enrolment: 60, renewal: 10 } },
  });
  t.same(figures(rows), [
    ['ms', 100, 300, 0.375],
    ['commands', 20, 60, 1 / 3],
    ['/s', 200, 225, 1],
    ['ms', 50, 25, 2],
    ['commands', 10, 10, 1],
    ['/s', 200, 400, 0.5],
  ]);
  t.match(rows[0]?.what, /^enrolment proof, RSA 2048 EK/);
  t.match(rows[3]?.what, /^renewal proof, RSA 2048 EK/);
});

t.test('single commands beside those who decode nothing, and those who start anew', async (t) => {
  t.same(figures(readingRows([{ client: 100, bare: 400, tools: 10 }])), [
    ['/s', 100, 400, 0.25],
    ['/s', 100, 10, 10],
  ]);
});

t.test('power-on: with and without the start of the TPM, and what comes later', async (t) => {
  const rows = powerOnRows([{ chip: 20, proven: 60, renewal: 30 }], [{ chip: 40, proven: 120, renewal: 60 }]);
  t.same(figures(rows), [
    ['ms', 60, 120, 0.5],
    ['ms', 40, 80, 0.5],
    ['ms', 30, 60, 0.5],
  ]);
});

/** Twice as much in an open heap; the replay always takes 1 MiB. */
const memory = (residentMib: number): Memory => {
  const uses = (mib: number) => ({
    ours: { heapMib: 0, residentMib: mib },
    naive: { heapMib: 0, residentMib: 1 },
  });
  const both = { open: uses(2 * residentMib), capped: uses(residentMib) };
  return { some: both, most: both };
};
const rates = {
  bare: { ours: 10, checkquote: 5, signature: 100 },
  ima: { ours: 4, evmctl: 8, naive: 16 },
  boot: { ours: 6, eventlog: 3 },
};

t.test('the verifier beside those that do less', async (t) => {
  const rows = verifierRows([rates], [memory(10)], { some: 20_000, most: 100_000 });
  t.same(
    rows.map(({ unit, ratio }) => [unit, ratio]),
    [
      ['/s', 2],
      ['/s', 0.1],
      ['/s', 0.5],
      ['/s', 0.25],
      ['/s', 2],
      ['MiB', 20],
      ['MiB', 10],
      ['MiB', 20],
      ['MiB', 10],
    ],
  );
  t.match(rows[2]?.what, /20,000 entries/);
  t.match(rows[7]?.what, /100,000 entries/);
  t.same(
    rows.map((row) => isMet(row)),
    [null, null, null, null, null, true, true, true, true],
  );
});

t.test('one round with too much memory is told, though the median does not see it', async (t) => {
  const met = (...rounds: number[]) =>
    verifierRows([rates], rounds.map(memory), { some: 1, most: 2 })
      .slice(5)
      .map((row) => isMet(row));
  t.same(met(10, 33, 10), [false, true, false, true]);
  t.same(met(10, 65, 10), [false, false, false, false]);
  t.same(met(32, 64, 32), [false, true, false, true]);
  t.same(met(32), [true, true, true, true]);
});

t.test('what takes longer than it may is done once', async (t) => {
  let times = 0;
  const rate = perSecond(() => {
    times++;
  }, 0);
  t.equal(times, 1);
  t.ok(rate > 0);
});
