import fc from 'fast-check';
import t from 'tap';
import { leastSpan } from '../../daemon/config/calibration.ts';
import { Calibrator } from '../../daemon/hw/calibration.ts';
import { FaderChain } from '../../daemon/hw/signal/fader.ts';
import { gaussian, type Reading, random, sample, uniform } from './signal/noise.ts';

const none = new Map();
const quiet: Reading = { shape: () => 0, next: () => 0, top: 1e9 };

/** Moves a fader through positions, fifty samples between two, and rests at each. */
function move(calibrator: Calibrator, places: readonly number[], reading = quiet, control = 'f'): void {
  let from = places[0]!;
  for (const to of places) {
    for (let step = 1; step <= 50; step++)
      calibrator.push(control, sample(from + ((to - from) * step) / 50, reading));
    for (let rest = 0; rest < 25; rest++) calibrator.push(control, sample(to, reading));
    from = to;
  }
}
const visits = (calibrator: Calibrator) =>
  calibrator.progress().map(({ lowVisits, highVisits }) => [lowVisits, highVisits]);

t.test('a fader is done when it has been at both ends twice', async (t) => {
  const calibrator = new Calibrator(['f']);
  t.match(calibrator.progress(), [{ control: 'f', level: null, lowest: null, highest: null, isDone: false }]);
  move(calibrator, [0.02, 0.97]);
  t.same(visits(calibrator), [[0, 1]], 'where it stood in the beginning may be anywhere');
  move(calibrator, [0.97, 0.02, 0.97]);
  t.same(visits(calibrator), [[1, 2]]);
  t.notOk(calibrator.isDone);
  move(calibrator, [0.97, 0.02]);
  t.ok(calibrator.isDone);
  t.match(calibrator.progress(), [{ level: 0.02, lowest: 0.02, highest: 0.97, isDone: true }]);
  const { calibrated, rejected } = calibrator.result(none);
  t.same([...calibrated], [['f', { low: 0.0239, high: 0.9661 }]]);
  t.same(rejected, []);
});

t.test('a start in the middle is no end', async (t) => {
  const calibrator = new Calibrator(['f']);
  move(calibrator, [0.5, 1, 0.5, 1, 0.4]);
  t.same(visits(calibrator), [[1, 2]], 'the end moved on');
  move(calibrator, [0.4, 0, 1]);
  t.notOk(calibrator.isDone);
  move(calibrator, [1, 0]);
  t.ok(calibrator.isDone);
  t.match([...calibrator.result(none).calibrated], [['f', { low: 0.0039, high: 0.9961 }]]);
});

t.test('trembling at an end is one visit', async (t) => {
  const calibrator = new Calibrator(['f']);
  move(calibrator, [0, 1, 0.98, 1, 0.975, 1]);
  t.same(visits(calibrator), [[0, 1]]);
});

t.test('a wiper that jumps makes no end', async (t) => {
  const calibrator = new Calibrator(['f']);
  move(calibrator, [0.2, 0.8, 0.2, 0.8, 0.2]);
  for (let count = 0; count < 50; count++)
    for (const value of [0, 1, 0.5, 0.5, 0.5, Number.NaN]) calibrator.push('f', value);
  for (const value of [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]) calibrator.push('f', value);
  t.match([...calibrator.result(none).calibrated], [['f', { low: 0.2039, high: 0.7961 }]]);
});

t.test('noise reaches the ends that were found: they are 0 and 1 exactly', async (t) => {
  for (const top of [4095, 255, 1023])
    for (const [index, shape] of [uniform, gaussian].entries()) {
      const reading = { shape, next: random(index + top), top };
      const calibrator = new Calibrator(['f']);
      // A worn fader: its travel does not reach the ends of the scale, where the noise would be cut off.
      move(calibrator, [0.02, 0.98, 0.02, 0.98, 0.02], reading);
      t.ok(calibrator.isDone);
      const chain = new FaderChain(calibrator.result(none).calibrated.get('f')!);
      for (const [place, end] of [
        [0.02, 0],
        [0.98, 1],
        [0.02, 0],
      ] as const) {
        const reported = Array.from({ length: 3000 }, () => chain.push(sample(place, reading)));
        t.equal(
          reported.findLast((value) => value !== null),
          end,
        );
        t.ok(
          reported.slice(60).every((value) => value === null),
          'and it stays there',
        );
      }
    }
});

t.test('too little travel and no readings are rejected, and say so', async (t) => {
  const calibrator = new Calibrator(['short', 'f', 'silent']);
  move(calibrator, [0.4, 0.55, 0.4, 0.55], quiet, 'short');
  move(calibrator, [0, 1, 0, 1, 0]);
  calibrator.push('nobody', 0.5);
  const { calibrated, rejected } = calibrator.result(none);
  t.same([...calibrated.keys()], ['f']);
  t.match(rejected, [
    { control: 'short', reason: /moved over 15 % of its scale, too little: at least 21 % are needed/ },
    { control: 'silent', reason: 'no readings' },
  ]);
  t.notOk(calibrator.isDone);
});

t.test('a fader that is upside down stays so', async (t) => {
  const calibrator = new Calibrator(['f']);
  move(calibrator, [0, 1, 0, 1]);
  const { calibrated } = calibrator.result(new Map([['f', { low: 1, high: 0 }]]));
  t.same([...calibrated], [['f', { low: 0.9961, high: 0.0039 }]]);
});

t.test('whatever is read, what is found can be written', async (t) => {
  const value = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double(), fc.constantFrom(0, 1));
  const run = fc.tuple(value, fc.integer({ min: 1, max: 30 }));
  fc.assert(
    fc.property(fc.array(run, { maxLength: 20 }), (runs) => {
      const calibrator = new Calibrator(['f']);
      for (const [level, count] of runs) for (let time = 0; time < count; time++) calibrator.push('f', level);
      const { calibrated, rejected } = calibrator.result(none);
      if (calibrated.size + rejected.length !== 1) throw new Error('neither or both');
      for (const { low, high } of calibrated.values())
        if (!(low >= 0 && high <= 1 && high - low >= leastSpan)) throw new Error(`${low} ${high}`);
      if (calibrator.isDone && calibrated.size === 0) throw new Error('done, but rejected');
    }),
    { numRuns: 500 },
  );
  t.pass();
});
