import fc from 'fast-check';
import t from 'tap';
import { Detents } from '../../daemon/surface/encoder.ts';
import { binding, desk, Rig } from './rig.ts';

t.test('pulses add up to detents and the remainder is kept', async (t) => {
  const detents = new Detents(4, false);
  t.same(
    [3, 1, 2, 2, 9].map((pulses) => detents.turn(pulses, 0)),
    [0, 1, 0, 1, 2],
  );
  t.equal(detents.turn(3, 0), 1, 'the one that was left of nine counts');
});

t.test('to and fro takes back what it gave', async (t) => {
  const detents = new Detents(4, false);
  const turn = (...pulses: number[]) => pulses.map((one) => detents.turn(one, 0));
  t.same(turn(3, -1, -3, -2), [0, 0, 0, 0]);
  t.same(turn(-1, 4, 3), [-1, 1, 0], 'three to the left of the middle, one made, and back past it');
  t.equal(detents.turn(0, 0), 0);
});

t.test('a knob that rested has no remainder: a lost edge gives no detent later', async (t) => {
  const detents = new Detents(4, false);
  t.equal(detents.turn(3, 0), 0);
  t.same([detents.turn(1, 60_000), detents.turn(-1, 60_010)], [0, 0], 'a jog of one edge');
  t.equal(detents.turn(3, 60_020), 0);
  t.equal(detents.turn(1, 60_319), 1, 'slowly, but without a rest');
});

t.test('bounces that are told one by one shift nothing', async () => {
  const chunk = fc.constantFrom([1], [1, -1, 1], [-1, 1, 1], [1, 1, -1], [1, -1, 1, -1, 1]);
  const chunks = fc.array(chunk, { minLength: 80, maxLength: 80 });
  fc.assert(
    fc.property(chunks, fc.constantFrom(1, 2, 4, 5, 8), (all, size) => {
      const detents = new Detents(size, false);
      const made = all.flat().reduce((sum, pulse, index) => sum + detents.turn(pulse, index), 0);
      return made === 80 / size;
    }),
  );
});

t.test('over any way, the detents are within one of the pulses', async () => {
  const way = fc.array(fc.integer({ min: -20, max: 20 }));
  fc.assert(
    fc.property(way, fc.integer({ min: 1, max: 16 }), (pulses, size) => {
      const detents = new Detents(size, false);
      const made = pulses.reduce((sum, pulse) => sum + detents.turn(pulse, 0), 0);
      const net = pulses.reduce((sum, pulse) => sum + pulse, 0);
      return Math.abs(net - made * size) < size;
    }),
  );
});

t.test('fast detents count more, by the gap between them', async (t) => {
  const detents = new Detents(1, true);
  t.equal(detents.turn(1, 0), 1, 'the first has no gap');
  t.equal(detents.turn(1, 151), 1);
  t.equal(detents.turn(1, 151 + 150), 2);
  t.equal(detents.turn(1, 301 + 60), 5);
  t.equal(detents.turn(3, 361 + 300), 6, 'three at once were 100 ms apart');
  t.equal(detents.turn(-1, 662), -1, 'a change of direction is slow');
  t.equal(new Detents(1, false).turn(1, 0), 1);
});

t.test('an encoder turns from the number that is pending, else from the one in force', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative' })]);
  rig.turn(4);
  rig.wait(1000);
  t.same(rig.take(), [], 'nothing is known yet');
  rig.slot(5);
  rig.turn(4);
  rig.turn(4);
  t.equal(rig.strip().wanted, 7);
  rig.wait(200);
  t.same(rig.take(), ['7<5']);
  rig.turn(-4);
  t.equal(rig.strip().wanted, 6, 'from 7, which is under way');
  rig.ack(1, 'accepted', { now: 7 });
  rig.wait(200);
  t.same(rig.take(), ['6<7']);
});

t.test('turning stops at the limits and beyond them does nothing the wrong way', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative', step: 3 })]);
  rig.slot(5);
  rig.turn(4 * 100);
  t.equal(rig.strip().wanted, 11);
  rig.turn(-4 * 100);
  t.equal(rig.strip().wanted, 1);
  rig.wait(1000);
  rig.slot(30);
  rig.take();
  rig.turn(4);
  rig.wait(1000);
  t.same(rig.take(), []);
});

t.test('acceleration is for wide ranges, inversion turns around', async (t) => {
  const turnFast = (max: number, isInverted = false): number | null => {
    const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative', max, isInverted })]);
    rig.slot(10);
    for (let count = 0; count < 3; count++) {
      rig.wait(20);
      rig.turn(4);
    }
    return rig.strip().wanted;
  };
  t.equal(turnFast(21), 13, 'twenty apart is not wide');
  t.equal(turnFast(40), 21);
  t.equal(turnFast(21, true), 7);
});
