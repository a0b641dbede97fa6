import t from 'tap';
import { countOfPad } from '../../daemon/surface/pads.ts';
import { binding, desk, Rig } from './rig.ts';

const bound = binding({ control: 'pads', takeover: 'jump', min: 2, max: 6 });

function padsRig(): Rig {
  const rig = new Rig(desk, [bound]);
  rig.slot(3);
  return rig;
}

t.test('the first pad is one replica, within the limits', async (t) => {
  t.same(
    [0, 1, 3, 5, 7].map((index) => countOfPad({ min: 2, max: 6, step: 1 }, index)),
    [2, 2, 4, 6, 6],
  );
});

t.test('a pad shows its number at once and sends it after half a second', async (t) => {
  const rig = padsRig();
  rig.press('pads', 4);
  t.equal(rig.strip().wanted, 5);
  rig.wait(499);
  t.same(rig.take(), []);
  rig.wait(1);
  t.same(rig.take(), ['5<3']);
  rig.release('pads', 4);
  t.equal(rig.strip().wanted, 5);
});

t.test('letting go early cancels, of that pad only', async (t) => {
  const rig = padsRig();
  rig.press('pads', 4);
  rig.wait(300);
  rig.release('pads', 1);
  t.equal(rig.strip().wanted, 5);
  rig.release('pads', 4);
  t.equal(rig.strip().wanted, null);
  rig.wait(1000);
  t.same(rig.take(), []);
});

t.test('the newest pad counts, and the number in force sends nothing', async (t) => {
  const rig = padsRig();
  rig.press('pads', 4);
  rig.wait(200);
  rig.press('pads', 5);
  rig.wait(500);
  t.same(rig.take(), ['6<3']);
  rig.ack(1, 'accepted', { now: 6 });
  rig.press('pads', 7);
  rig.wait(1000);
  t.same(rig.take(), []);
});

t.test('plus and minus are turns', async (t) => {
  const rig = padsRig();
  rig.turn(1, 'pads');
  rig.turn(1, 'pads');
  rig.turn(-1, 'pads');
  rig.wait(150);
  t.same(rig.take(), ['4<3']);
});

t.test('a change by somebody else cancels the hold', async (t) => {
  const rig = padsRig();
  rig.press('pads', 4);
  rig.slot(4);
  rig.wait(1000);
  t.same(rig.take(), []);
  t.match(rig.strip().notice, { code: 'ChangedElsewhere' });
});
