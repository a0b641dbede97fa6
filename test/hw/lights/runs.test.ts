/** Changed bytes as runs. */
import fc from 'fast-check';
import t from 'tap';
import { changedRuns } from '../../../daemon/hw/lights/runs.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length, max: 2 });
const plain = (runs: ReturnType<typeof changedRuns>) => runs.map(({ start, bytes }) => [start, ...bytes]);
/** Bits on the bus: START, address, register, bytes, STOP. */
const bitsOf = (runs: ReturnType<typeof changedRuns>) =>
  runs.reduce((sum, run) => sum + 20 + 9 * run.bytes.length, 0);

t.test('examples', async (t) => {
  t.same(plain(changedRuns(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3))), []);
  t.same(plain(changedRuns(null, Uint8Array.of(1, 2, 3))), [[0, 1, 2, 3]]);
  t.same(plain(changedRuns(null, new Uint8Array(0))), []);
  const zeros = new Uint8Array(9);
  t.same(plain(changedRuns(zeros, Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 0, 1))), [
    [1, 1, 0, 0, 1],
    [8, 1],
  ]);
});

t.test('runs turn one content into the other, and take no longer than all of it', async () => {
  const pair = fc.nat({ max: 60 }).chain((length) => fc.tuple(bytes(length), bytes(length)));
  fc.assert(
    fc.property(pair, ([shown, wanted]) => {
      const result = shown.slice();
      const runs = changedRuns(shown, wanted);
      for (const { start, bytes } of runs) result.set(bytes, start);
      return (
        Buffer.compare(result, wanted) === 0 &&
        (wanted.length === 0 || bitsOf(runs) <= bitsOf(changedRuns(null, wanted))) &&
        runs.every(({ start, bytes }) => bytes[0] !== shown[start])
      );
    }),
  );
});
