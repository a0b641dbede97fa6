import fc from 'fast-check';
import t from 'tap';
import { emitDistance, FaderChain, followSamples, Median5 } from '../../../daemon/hw/signal/fader.ts';
import { quantise, travelOf } from '../../../daemon/surface/scale.ts';
import { gaussian, type Reading, random, sample, uniform } from './noise.ts';

const minute = 60 * 100;
const readings = (top: number, seed: number): Reading[] => [
  { shape: uniform, next: random(seed), top },
  { shape: gaussian, next: random(seed + 1), top },
];

/** All reports for some samples. */
const reports = (chain: FaderChain, samples: readonly number[]): number[] =>
  samples.map((value) => chain.push(value)).filter((value) => value !== null);
/** All reports for a number of samples. */
const feed = (chain: FaderChain, count: number, read: () => number): number[] =>
  reports(chain, times(count, read));
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
const settled = (position: number, chain = new FaderChain(null)): FaderChain => {
  feed(chain, 40, () => position);
  return chain;
};

t.test('the median of five', async (t) => {
  const median = new Median5();
  t.same(
    [5, 1, 4, 2, 3, 9, 9, 0].map((value) => median.push(value)),
    [null, null, null, null, 3, 3, 4, 3],
  );
  median.reset();
  t.equal(median.push(1), null);
});

t.test('a first reading is a whole reading', async (t) => {
  const chain = new FaderChain(null);
  t.same(
    [0.5, 0.9, 0.5, 0, 0.5, 0.5].map((value) => chain.push(value)),
    [null, null, null, null, 0.5, null],
  );
  chain.reset();
  t.same(reports(chain, [0.1, 0.1, 0.1, 0.1]), []);
  t.same(reports(chain, [0.1, 0.1]), [0.1]);
});

t.test('a fader at rest reports once in a minute, wherever it stands', async (t) => {
  for (const top of [4095, 255, 1023, 26_399])
    for (const [index, reading] of readings(top, top).entries())
      for (const position of [0, 0.001, 0.003, 0.0061, 0.008, 0.25, 0.5, 0.7777, 0.992, 0.9945, 0.999, 1]) {
        const found = feed(new FaderChain(null), minute, () => sample(position, reading));
        t.equal(found.length, 1, `${top} counts, noise ${index}, at ${position}: ${found.length}`);
      }
});

t.test('the ends are reached exactly, also with noise', async (t) => {
  for (const top of [4095, 255])
    for (const reading of readings(top, 7))
      for (const end of [0, 1]) {
        const chain = settled(0.5);
        t.equal(feed(chain, 100, () => sample(end, reading)).at(-1), end);
      }
});

t.test('a fader that is moved to just before an end, and rests there, does not go to and fro', async (t) => {
  for (const place of [1 / 4095, 4 / 4095, 8 / 4095, 12 / 4095])
    for (const end of [place, 1 - place]) {
      const chain = settled(0.5);
      const reading: Reading = { shape: uniform, next: random(5), top: 1e6 };
      feed(chain, 100, () => end + (uniform(reading.next) * 19) / 4095);
      const found = feed(chain, minute, () => end + (uniform(reading.next) * 19) / 4095);
      t.ok(found.length <= 1, `${found.length} at ${end}`);
    }
});

t.test('a fader at rest flips no replica, up to fifty of them', async (t) => {
  let flips = 0;
  for (let max = 2; max <= 50; max++) {
    const limits = { min: 1, max, step: 1 };
    for (const reading of readings(4095, max)) {
      // At a number, and between two, where it is worst.
      const number = 1 + Math.floor(reading.next() * (max - 1));
      for (const position of [travelOf(limits, number), travelOf(limits, number + 0.5)]) {
        const chain = new FaderChain(null);
        let current: number | null = null;
        let changes = -1;
        for (let count = 0; count < 2000; count++) {
          const reported = chain.push(sample(position, reading));
          if (reported === null) continue;
          const next = quantise(limits, reported, current);
          if (next !== current) changes++;
          current = next;
        }
        flips += changes;
      }
    }
  }
  t.equal(flips, 0);
});

t.test('a sweep ends where the fader stands, and passes every number', async (t) => {
  const limits = { min: 1, max: 50, step: 1 };
  for (const reading of readings(4095, 3)) {
    const chain = settled(0);
    let current = 1;
    const seen = new Set([current]);
    for (let step = 0; step <= 500; step++) {
      const reported = chain.push(sample(step / 500, reading));
      if (reported !== null) current = quantise(limits, reported, current);
      seen.add(current);
    }
    t.equal(seen.size, 50);
    for (const target of [0.8, 0.31, 0.52, 0.5, 0.04, 0.961]) {
      const last = feed(chain, 60, () => sample(target, reading)).at(-1) ?? Number.NaN;
      t.ok(Math.abs(last - target) <= 10 / 4095, `${last} for ${target}`);
      t.same(
        feed(chain, minute, () => sample(target, reading)),
        [],
        'and then it rests',
      );
    }
  }
});

t.test('an 8-bit converter with four counts for a replica passes every number and rests', async (t) => {
  const limits = { min: 1, max: Math.floor(256 / 4), step: 1 };
  for (const reading of readings(255, 11)) {
    const chain = settled(0);
    let current = 1;
    const seen = new Set([current]);
    let flips = 0;
    for (let place = 0; place <= 100; place++) {
      const position = place / 100;
      const read = (): void => {
        const reported = chain.push(sample(position, reading));
        if (reported !== null) current = quantise(limits, reported, current);
        seen.add(current);
      };
      for (let count = 0; count < 60; count++) read();
      const rested = current;
      for (let count = 0; count < 600; count++) read();
      if (current !== rested) flips++;
    }
    t.equal(flips, 0);
    t.ok(seen.size >= 60, `${seen.size} numbers`);
  }
});

t.test('a wiper that jumps reports nothing', async (t) => {
  const chain = settled(0.5);
  for (const jump of [[1], [0], [0, 0], [1, 1], [0, 1], [1, 0], [0.5005, 1e9], [-3]])
    t.same(reports(chain, [...jump, ...times(8, () => 0.5)]), [], `${jump}`);
  t.same(reports(chain, [Number.NaN, Number.POSITIVE_INFINITY, ...times(8, () => 0.5)]), []);
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 2 }),
      fc.integer(),
      (position, jump, seed) => {
        // Just where the end begins, half of the noise is at the end: that may be reported, once.
        const fromEnd = Math.min(position, 1 - position) * 4095;
        fc.pre(fromEnd < 4 || fromEnd > 9);
        const reading: Reading = { shape: uniform, next: random(seed), top: 4095 };
        const rest = () => times(50, () => sample(position, reading));
        const noisy = new FaderChain(null);
        reports(noisy, rest());
        const found = reports(noisy, [...jump, ...rest()]);
        if (found.length > 0) throw new Error(`reported ${found}`);
      },
    ),
    { numRuns: 300 },
  );
});

t.test('a real move is followed at the third sample and is there after a known number of them', async (t) => {
  const position = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(position, position, (from, to) => {
      const chain = new FaderChain(null);
      const start = feed(chain, 60, () => from).at(-1) ?? Number.NaN;
      const found = times(followSamples, () => chain.push(to));
      if (found[0] !== null || found[1] !== null) throw new Error('too early');
      if (Math.abs(from - to) > 4 * emitDistance && found[2] === null) throw new Error('too late');
      const at = (count: number): number =>
        found.slice(0, count).findLast((value) => value !== null) ?? start;
      if (Math.abs(at(followSamples) - to) > 2 * emitDistance)
        throw new Error(`${at(followSamples)} for ${to}`);
      if ((to === 0 || to === 1) && at(followSamples) !== to)
        throw new Error(`${at(followSamples)} for ${to}`);
    }),
    {
      numRuns: 1000,
      examples: [
        [0, 1],
        [1, 0],
        [0.5, 0],
        [0.5, 1],
        [0.001, 1],
      ],
    },
  );
  const chain = settled(0);
  const found = times(followSamples, () => chain.push(1)).findLast((value) => value !== null) ?? 0;
  t.ok(1 - found <= emitDistance, `${found} after ${followSamples} samples`);
});

t.test('calibrated ends, also upside down', async (t) => {
  t.same(
    feed(settled(0.5, new FaderChain({ low: 0.1, high: 0.9 })), 40, () => 0.3)
      .at(-1)
      ?.toFixed(2),
    '0.25',
  );
  for (const [low, high] of [
    [0.1, 0.9],
    [0.9, 0.1],
    [0.4, 0.6],
  ] as const) {
    const chain = new FaderChain({ low, high });
    t.equal(feed(chain, 40, () => low).at(-1), 0);
    t.equal(feed(chain, 40, () => high).at(-1), 1);
    t.same(
      feed(chain, 40, () => (high > low ? 1 : 0)),
      [],
      'beyond the end is the end',
    );
  }
});

t.test('a short travel has no more noise than a long one', async (t) => {
  for (const reading of readings(4095, 21))
    for (const position of [0.41, 0.5, 0.59]) {
      const chain = new FaderChain({ low: 0.4, high: 0.6 });
      t.equal(feed(chain, minute, () => sample(position, reading)).length, 1);
    }
});

t.test('whatever comes in, positions are 0 to 1', async (t) => {
  const end = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.double(), end, fc.constantFrom(0, 1, -0)), { maxLength: 60 }),
      end,
      end,
      (samples, low, high) => {
        fc.pre(Math.abs(high - low) >= 0.2);
        for (const value of reports(new FaderChain({ low, high }), samples))
          if (!(value >= 0 && value <= 1)) throw new Error(`${value}`);
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});
