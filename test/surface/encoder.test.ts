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

t.test('a change of direction drops the remainder', async (t) => {
  const detents = new Detents(4, false);
  t.equal(detents.turn(3, 0), 0);
  t.equal(detents.turn(-1, 0), 0);
  t.equal(detents.turn(-3, 0), -1);
  t.equal(detents.turn(0, 0), 0);
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
