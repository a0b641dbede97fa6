import t from 'tap';
import { stuckTouchMs } from '../../daemon/surface/hand.ts';
import { travelOf } from '../../daemon/surface/scale.ts';
import { bare, binding, desk, Rig, travel } from './rig.ts';

const bound = binding({ control: 'motor', takeover: 'motor' });
const limits = { min: 1, max: 11, step: 1 };

function motorRig(): Rig {
  const rig = new Rig(desk, [bound]);
  rig.slot(6);
  rig.position(travel(6), 'motor');
  return rig;
}

const target = (rig: Rig): number | null | undefined => rig.frame.controls.get('motor')?.position;

t.test('the motor follows the number in force while nobody touches it', async (t) => {
  const rig = motorRig();
  t.equal(target(rig), travelOf(limits, 6));
  rig.slot(9);
  t.equal(target(rig), travelOf(limits, 9));
  rig.position(travel(7), 'motor');
  rig.position(travel(9), 'motor');
  rig.wait(1000);
  t.same(rig.take(), [], 'its own travel is not an operator');
});

t.test('touch owns, release settles and sends one command', async (t) => {
  const rig = motorRig();
  rig.touch(true);
  t.equal(target(rig), null, 'no pulling against a hand');
  for (const count of [7, 8, 9, 10]) {
    rig.position(travel(count), 'motor');
    rig.wait(300);
  }
  t.equal(rig.strip().wanted, 10);
  t.same(rig.take(), [], 'nothing while it is held');
  rig.touch(false);
  rig.wait(149);
  t.equal(target(rig), null, 'no pulling before it has settled');
  rig.wait(1);
  t.same(rig.take(), ['10<6']);
  t.equal(target(rig), travelOf(limits, 10));
  rig.ack(1, 'denied', { now: 6 });
  t.equal(target(rig), travelOf(limits, 6), 'back to what is in force');
});

t.test('a touch again before it has settled goes on with the same move', async (t) => {
  const rig = motorRig();
  rig.touch(true);
  rig.position(travel(7), 'motor');
  rig.touch(false);
  rig.wait(100);
  rig.touch(true);
  rig.wait(1000);
  t.same(rig.take(), []);
  rig.position(travel(8), 'motor');
  rig.touch(false);
  rig.wait(150);
  t.same(rig.take(), ['8<6']);
});

t.test('a stuck touch times out without sending', async (t) => {
  const rig = motorRig();
  rig.touch(true);
  rig.position(travel(8), 'motor');
  rig.wait(stuckTouchMs);
  t.same(rig.take(), []);
  t.equal(rig.strip().wanted, null);
  t.match(rig.strip().notice, { code: 'TouchStuck' });
  t.equal(target(rig), travelOf(limits, 6));
  rig.position(travel(2), 'motor');
  rig.wait(1000);
  t.same(rig.take(), [], 'only a new touch owns');
});

t.test('a touch from before a bank change, a reset or the link does not own', async (t) => {
  for (const cause of ['reset', 'link', 'bindings'] as const) {
    const rig = motorRig();
    rig.touch(true);
    if (cause === 'reset') rig.apply({ type: 'reset', controls: ['fader'] });
    if (cause === 'link') {
      rig.link('offline');
      rig.link('online');
    }
    if (cause === 'bindings') rig.apply({ type: 'bindings', bindings: [bound] });
    rig.position(travel(8), 'motor');
    rig.position(travel(9), 'motor');
    rig.touch(false);
    rig.wait(1000);
    t.same(rig.take(), cause === 'reset' ? ['9<6'] : [], cause);
  }
});

t.test('a change by somebody else takes the fader out of the hand', async (t) => {
  const rig = motorRig();
  rig.touch(true);
  rig.position(travel(8), 'motor');
  rig.slot(2);
  rig.position(travel(9), 'motor');
  rig.touch(false);
  rig.wait(1000);
  t.same(rig.take(), []);
  t.match(rig.strip().notice, { code: 'ChangedElsewhere' });
});

t.test('a motor without touch is the operator, save while it travels', async (t) => {
  const rig = new Rig(bare, [bound]);
  rig.slot(6);
  rig.position(travel(6), 'motor');
  rig.position(travel(3), 'motor');
  rig.wait(1000);
  t.same(rig.take(), [], 'just told to go there');
  rig.position(travel(6), 'motor');
  rig.position(travel(8), 'motor');
  t.equal(target(rig), null, 'no pulling against a hand');
  rig.wait(150);
  t.same(rig.take(), ['8<6']);
});
