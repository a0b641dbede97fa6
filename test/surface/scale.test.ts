import fc from 'fast-check';
import t from 'tap';
import { clamp, endZone, limitsOf, partOf, quantise, travelOf, turned } from '../../daemon/surface/scale.ts';
import { binding } from './rig.ts';

const limits = { min: 1, max: 20, step: 1 };

t.test('limits keep zero out of reach unless it may be armed', async (t) => {
  t.equal(limitsOf(binding({ min: 0, zero: 'never' })).min, 1);
  t.equal(limitsOf(binding({ min: 0, zero: 'arm' })).min, 0);
  t.equal(limitsOf(binding({ min: 5, max: 3 })).max, 5, 'a range that is upside down is one number');
});

t.test('both ends are reached in their dead zones, whatever was before', async (t) => {
  for (const current of [null, 1, 2, 19, 20]) {
    t.equal(quantise(limits, endZone, current), 1);
    t.equal(quantise(limits, 1 - endZone, current), 20);
  }
  const uneven = { min: 1, max: 20, step: 6 };
  t.equal(quantise(uneven, 1, 19), 20, 'also when max is not a whole number of steps away');
});

t.test('a number holds within half a step and the hysteresis, and no further', async (t) => {
  const at = (count: number): number => travelOf({ min: 0, max: 10, step: 1 }, 0.0001 + count);
  const small = { min: 0, max: 10, step: 1 };
  t.equal(quantise(small, at(5.7), 5), 5);
  t.equal(quantise(small, at(5.8), 5), 6);
  t.equal(quantise(small, at(5.3), 6), 6);
  t.equal(quantise(small, at(5.2), 6), 5);
  t.equal(quantise(small, at(5.7), null), 6, 'nothing to hold before the first reading');
  const wide = { min: 0, max: 1000, step: 1 };
  t.equal(quantise(wide, travelOf(wide, 506), 500), 500, 'at least 0.6 % of the travel is noise');
  t.equal(quantise(wide, travelOf(wide, 507), 500), 507);
});

t.test('travel and number are inverse to each other, with every range and step', async (t) => {
  const ranges = fc.record({
    min: fc.integer({ min: 0, max: 50 }),
    span: fc.integer({ min: 0, max: 300 }),
    step: fc.integer({ min: 1, max: 7 }),
  });
  fc.assert(
    fc.property(ranges, fc.nat(), ({ min, span, step }, pick) => {
      const range = { min, max: min + span, step };
      const count = clamp(range, min + (pick % (Math.floor(span / step) + 2)) * step);
      return quantise(range, travelOf(range, count), null) === count;
    }),
  );
  fc.assert(
    fc.property(ranges, fc.double({ min: -1, max: 2, noNaN: true }), ({ min, span, step }, travel) => {
      const range = { min, max: min + span, step };
      const count = quantise(range, travel, null);
      return Number.isInteger(count) && count >= range.min && count <= range.max;
    }),
  );
  t.equal(travelOf({ min: 3, max: 3, step: 1 }, 3), 0);
  t.equal(partOf({ min: 0, max: 10, step: 1 }, 4), 0.4);
});

t.test('turning stays within the limits and never jumps back from beyond them', async (t) => {
  t.equal(turned(limits, 19, 5), 20);
  t.equal(turned(limits, 2, -5), 1);
  t.equal(turned(limits, 30, 1), 30, 'up from above max does not scale down');
  t.equal(turned(limits, 30, -1), 20);
  t.equal(turned({ min: 3, max: 9, step: 1 }, 0, -1), 0, 'down from below min does not scale up');
  t.equal(turned({ min: 3, max: 9, step: 1 }, 0, 1), 3);
});
