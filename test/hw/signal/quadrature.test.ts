import fc from 'fast-check';
import t from 'tap';
import { QuadratureDecoder } from '../../../daemon/hw/signal/quadrature.ts';

/** States of one period, clockwise. */
const period: readonly { readonly a: boolean; readonly b: boolean }[] = [
  { a: false, b: false },
  { a: true, b: false },
  { a: true, b: true },
  { a: false, b: true },
];
const levelsAt = (position: number) => period[((position % 4) + 4) % 4]!;

interface Edge {
  readonly line: 'a' | 'b';
  readonly isHigh: boolean;
}
const edgeBetween = (from: number, to: number): Edge => {
  const [before, after] = [levelsAt(from), levelsAt(to)];
  return before.a === after.a ? { line: 'b', isHigh: after.b } : { line: 'a', isHigh: after.a };
};

const start = fc.integer({ min: 0, max: 3 });
const steps = fc.array(fc.constantFrom(1, -1), { maxLength: 200 });

/** The edges of a way, each with the position after it. */
function edgesOf(from: number, way: readonly number[]) {
  let position = from;
  return way.map((step) => {
    const edge = edgeBetween(position, position + step);
    position += step;
    return { edge, position };
  });
}

t.test('one period, both ways', async (t) => {
  const decoder = new QuadratureDecoder(levelsAt(0));
  t.same(
    [1, 2, 3, 4, 3, 2, 1, 0].map((position) => decoder.sample(levelsAt(position))),
    [1, 1, 1, 1, -1, -1, -1, -1],
  );
  t.same(decoder.counters, { pulses: 8, missed: 0 });
});

t.test('both lines at once say nothing', async (t) => {
  const decoder = new QuadratureDecoder(levelsAt(0));
  t.equal(decoder.sample(levelsAt(2)), 0);
  t.same(decoder.counters, { pulses: 0, missed: 2 });
  t.equal(decoder.sample(levelsAt(3)), 1, 'and it counts on from there');
});

t.test('a bounce comes out even', async (t) => {
  const decoder = new QuadratureDecoder(levelsAt(0));
  const bounces = [true, false, true, false, true].map((isHigh) => decoder.edge('a', isHigh));
  t.same(bounces, [1, -1, 1, -1, 1]);
});

t.test('an edge that changes nothing shows that one is missing', async (t) => {
  const decoder = new QuadratureDecoder(levelsAt(0));
  t.equal(decoder.edge('b', false), 0);
  t.same(decoder.counters, { pulses: 0, missed: 1 });
});

t.test('any way nets to where it ends', async () => {
  fc.assert(
    fc.property(start, steps, (from, way) => {
      const decoder = new QuadratureDecoder(levelsAt(from));
      let counted = from;
      for (const { edge, position } of edgesOf(from, way)) {
        counted += decoder.edge(edge.line, edge.isHigh);
        if (counted !== position) return false;
      }
      return decoder.counters.missed === 0 && decoder.counters.pulses === way.length;
    }),
  );
});

t.test('edges that were lost make the count smaller, never larger', async () => {
  fc.assert(
    fc.property(start, steps, fc.array(fc.boolean(), { maxLength: 200 }), (from, way, isLost) => {
      const decoder = new QuadratureDecoder(levelsAt(from));
      const seen = edgesOf(from, way).filter((_, index) => isLost[index] !== true);
      for (const { edge } of seen) decoder.edge(edge.line, edge.isHigh);
      return decoder.counters.pulses <= seen.length;
    }),
  );
});

t.test('levels that are not known count nothing, and edges make them known', async (t) => {
  const decoder = new QuadratureDecoder(levelsAt(0));
  decoder.resync({ a: null, b: null });
  t.equal(decoder.edge('a', true), 0, 'which way depends on b');
  t.equal(decoder.edge('b', true), 1, 'b was low before');
  t.equal(decoder.edge('a', false), 1);
  decoder.resync({ a: null, b: true });
  t.equal(decoder.edge('a', true), -1, 'a was low before');
  t.same(decoder.counters, { pulses: 3, missed: 0 });
});

t.test('after a gap at most one pulse more is lost than the edges in it', async () => {
  fc.assert(
    fc.property(start, steps, steps, (from, lost, way) => {
      const decoder = new QuadratureDecoder(levelsAt(from));
      decoder.resync({ a: null, b: null });
      const resumed = lost.reduce((position, step) => position + step, from);
      const counted = edgesOf(resumed, way).reduce(
        (sum, { edge }) => sum + decoder.edge(edge.line, edge.isHigh),
        0,
      );
      const turned = way.reduce((sum, step) => sum + step, 0);
      return Math.abs(counted - turned) <= 1;
    }),
  );
});

t.test('sampled too slowly, one way round: no sample counts more than was turned', async () => {
  fc.assert(
    fc.property(start, fc.array(fc.integer({ min: 0, max: 2 })), (from, jumps) => {
      const decoder = new QuadratureDecoder(levelsAt(from));
      let position = from;
      return jumps.every((jump) => {
        position += jump;
        const pulses = decoder.sample(levelsAt(position));
        return pulses === (jump === 1 ? 1 : 0);
      });
    }),
  );
});

t.test('after a loss it starts over from the levels and counts rightly', async () => {
  fc.assert(
    fc.property(start, steps, steps, (from, lost, way) => {
      const decoder = new QuadratureDecoder(levelsAt(from));
      const resumed = lost.reduce((position, step) => position + step, from);
      decoder.resync(levelsAt(resumed));
      if (decoder.counters.pulses !== 0) return false;
      const counted = edgesOf(resumed, way).reduce(
        (sum, { edge }) => sum + decoder.edge(edge.line, edge.isHigh),
        0,
      );
      return counted === way.reduce((sum, step) => sum + step, 0);
    }),
  );
});

t.test('edges that are in the levels already do not move the end', async () => {
  fc.assert(
    fc.property(start, steps, steps, (from, late, way) => {
      // The levels are read after the edges of `late`, which are then told all the same.
      const end = late.reduce((position, step) => position + step, from);
      const decoder = new QuadratureDecoder(levelsAt(end));
      const told = edgesOf(from, late).reduce(
        (sum, { edge }) => sum + decoder.edge(edge.line, edge.isHigh),
        0,
      );
      const counted = edgesOf(end, way).reduce(
        (sum, { edge }) => sum + decoder.edge(edge.line, edge.isHigh),
        0,
      );
      return (
        // No more than those edges, whole periods only, and what comes afterwards is right.
        Math.abs(told) <= late.length &&
        told % 4 === 0 &&
        counted === way.reduce((sum, step) => sum + step, 0)
      );
    }),
  );
});
