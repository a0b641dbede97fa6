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
const take = (follower: EventSequence, ...sequences: number[]) => {
  const { events, lostCount } = follower.take(sequences.map(event));
  return { told: events.map(({ sequence }) => sequence), lostCount };
};

t.test('without a gap', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 1, 2, 3), { told: [1, 2, 3], lostCount: 0 });
  t.same(take(follower), { told: [], lostCount: 0 });
  t.same(take(follower, 4), { told: [4], lostCount: 0 });
});

t.test('what follows a gap is lost with it, once', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 1, 2, 5, 6), { told: [1, 2], lostCount: 4 });
  t.same(take(follower, 7), { told: [7], lostCount: 0 });
  t.same(take(follower, 10), { told: [], lostCount: 3 });
});

t.test('the oldest were pushed out of the queue', async (t) => {
  const follower = new EventSequence();
  const queue = Array.from({ length: 1024 }, (_, index) => 477 + index);
  t.same(take(follower, ...queue), { told: [], lostCount: 1500 });
  t.same(take(follower, 1501), { told: [1501], lostCount: 0 });
});

t.test('two processors change the order', async (t) => {
  const follower = new EventSequence();
  t.same(take(follower, 2, 1, 4, 3), { told: [1, 2, 3, 4], lostCount: 0 });
  t.same(take(follower, 6), { told: [], lostCount: 2 }, 'one comes late, in another queue');
  t.same(take(follower, 5, 7), { told: [7], lostCount: 0 }, 'and was counted then');
});

t.test('numbers wrap', async (t) => {
  const follower = new EventSequence();
  // A follower cannot be set to a number: it is brought there by halves, as numbers far ahead are behind.
  take(follower, 0x7fff_ffff);
  take(follower, 0xffff_fffd);
  t.same(take(follower, -2, -1, 0, 1), { told: [0xffff_fffe, 0xffff_ffff, 0, 1], lostCount: 0 });
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
      let lastTold = 0;
      for (const queue of plan) {
        const kept = queue
          .map(({ isLost, swap }) => ({ isLost, swap, sequence: next++ }))
          .filter(({ isLost }) => !isLost);
        lastSeen = kept.at(-1)?.sequence ?? lastSeen;
        const { told, lostCount } = take(
          follower,
          ...kept.toSorted((one, other) => one.swap - other.swap).map(({ sequence }) => sequence),
        );
        // In order, never twice, and none of before a loss that was told.
        if (told.some((sequence, index) => sequence !== accounted + 1 + index)) return false;
        if (told.length > 0 && told[0]! <= lastTold) return false;
        lastTold = told.at(-1) ?? lastTold;
        accounted += told.length + lostCount;
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
        const { told, lostCount } = take(follower, ...queue);
        return lostCount >= 0 && lostCount < 2 ** 32 && told.length <= queue.length;
      });
    }),
  );
});
