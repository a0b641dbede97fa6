import fc from 'fast-check';
import t from 'tap';
import { imageRows } from '../../bench/image.ts';
import { availableKib, type Start, totalKib, uptimeSeconds } from '../../bench/parts/image-readings.ts';
import { isMet } from '../../bench/types.ts';

/** Everything takes its part of this many seconds. */
const start = (seconds: number): Start => ({
  kernelMs: 1,
  litMs: seconds * 250,
  attestedMs: seconds * 500,
  liveMs: seconds * 750,
  scaledMs: seconds * 1000,
  memoryUsedMib: seconds,
  daemonMib: 1,
});
const system = { packages: 100, kernel: '6.12', usedBytes: 400e6, xzBytes: 160e6 };
const measured = {
  ours: { system, starts: [start(10), start(20), start(12)] },
  theirs: {
    system: { ...system, packages: 400, usedBytes: 800e6, xzBytes: 320e6 },
    starts: [start(20), start(40), start(30)],
  },
};

t.test('medians of the rounds, the ratio within each; what does not change once', async (t) => {
  const rows = imageRows(measured);
  t.same(
    rows.map(({ unit, ours, theirs, ratio }) => [unit, ours, theirs, ratio]),
    [
      ['s', 3, 7.5, 0.5],
      ['s', 6, 15, 0.5],
      ['s', 12, 30, 0.5],
      ['MiB', 12, 30, 0.5],
      ['packages', 100, 400, 0.25],
      ['MB', 400, 800, 0.5],
      ['MB', 160, 320, 0.5],
    ],
  );
  t.equal(isMet(rows.at(-1)!), true, '170 MB at most');
  const heavy = { ...measured.ours, system: { ...system, xzBytes: 171e6 } };
  t.equal(isMet(imageRows({ ...measured, ours: heavy }).at(-1)!), false);
});

t.test('what was not compressed has no row', async (t) => {
  const plain = { ...measured.ours, system: { ...system, xzBytes: null } };
  t.equal(imageRows({ ...measured, ours: plain }).length, 6);
});

t.test('what the kernel says of itself', async (t) => {
  t.equal(uptimeSeconds('12.34 20.01'), 12.34);
  const text = 'MemTotal:        1000108 kB\nMemFree:          500000 kB\nMemAvailable:     700001 kB\n';
  t.equal(totalKib(text), 1_000_108);
  t.equal(availableKib(text), 700_001);
  for (const read of [uptimeSeconds, totalKib, availableKib])
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        try {
          return Number.isFinite(read(any));
        } catch (problem) {
          return problem instanceof Error && /^no (?:uptime|Mem\w+) in "/.test(problem.message);
        }
      }),
    );
});
