import fc from 'fast-check';
import t from 'tap';
import { EventSequence } from '../../../daemon/hw/gpio/sequence.ts';
import type { LineEvent } from '../../../daemon/hw/gpio/uapi.ts';

const event = (sequence: number): LineEvent => ({
  timestampNs: BigInt(sequence),
  isHigh: sequence % 2 === 1,
  line: 17,
  sequence: sequence >>> 0,
});
/** Numbers of each run, with a negative one for what was lost before it. */
const take = (follower: EventSequence, ...sequences: number[]): number[] =>
  follower
    .take(sequences.map(event))
    .flatMap(({ lostBefore, events }) => [
      ...(lostBefore > 0 ? [-lostBefore] : []),
      ...events.map(({ sequence }) => sequence),
    ]);

t.test('without a gap', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 1, 2, 3), [1, 2, 3]);
  t.same(take(follower), []);
  t.same(take(follower, 4), [4]);
});

t.test('a gap is told where it is, once', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 1, 2, 5, 6, 9), [1, 2, -2, 5, 6, -2, 9]);
  t.same(take(follower, 10), [10]);
  t.same(take(follower, 13), [-2, 13]);
});

t.test('the oldest were pushed out of the queue', async (t) => {
  const follower = new EventSequence();
  const queue = Array.from({ length: 1024 }, (_, index) => 477 + index);
  t.same(take(follower, ...queue), [-476, ...queue]);
  t.same(take(follower, 1501), [1501]);
});

t.test('two processors change the order', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 2, 1, 4, 3), [1, 2, 3, 4]);
  t.same(take(follower, 6), [-1, 6], 'one comes late, in another queue');
  t.same(take(follower, 5, 7), [7], 'and was counted then');
});

t.test('a number that comes twice is one edge', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 1, 1, 2, 2, 3), [1, 2, 3]);
});

t.test('numbers wrap', async (t) => {
  const follower = new EventSequence();
  // A follower cannot be set to a number: it is brought there by halves, as numbers far ahead are behind.
  take(follower, 0x7fff_ffff);
  take(follower, 0xffff_fffd);
  t.same(take(follower, -2, -1, 0, 1), [0xffff_fffe, 0xffff_ffff, 0, 1]);
});

t.test('each edge is told or counted as lost, once', async () => {
  const queues = fc.array(
    fc.array(fc.record({ isLost: fc.boolean(), swap: fc.integer() }), { maxLength: 20 }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(queues, (plan) => {
      const follower = new EventSequence();
      let next = 1;
      let lastSeen = 0;
      let accounted = 0;
      for (const queue of plan) {
        const kept = queue
          .map(({ isLost, swap }) => ({ isLost, swap, sequence: next++ }))
          .filter(({ isLost }) => !isLost);
        lastSeen = kept.at(-1)?.sequence ?? lastSeen;
        const swapped = kept.toSorted((one, other) => one.swap - other.swap);
        const runs = follower.take(swapped.map(({ sequence }) => event(sequence)));
        for (const [index, { lostBefore, events }] of runs.entries()) {
          if (events.length === 0 || lostBefore < 0 || (index > 0 && lostBefore === 0)) return false;
          accounted += lostBefore;
          for (const { sequence } of events) if (sequence !== ++accounted) return false;
        }
        if (accounted !== lastSeen) return false;
      }
      return true;
    }),
  );
});

t.test('any numbers: counts stay counts', async () => {
  const numbers = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(fc.array(fc.array(numbers, { maxLength: 10 }), { maxLength: 10 }), (queues) => {
      const follower = new EventSequence();
      return queues.every((queue) => {
        const runs = follower.take(queue.map(event));
        const told = runs.reduce((sum, { events }) => sum + events.length, 0);
        const lost = runs.reduce((sum, { lostBefore }) => sum + lostBefore, 0);
        return lost >= 0 && lost < 2 ** 32 && told <= queue.length;
      });
    }),
  );
});
