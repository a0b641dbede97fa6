import t from 'tap';
import { Pickup } from '../../daemon/surface/takeover.ts';
import { binding, desk, Rig, travel } from './rig.ts';

t.test('pickup latches at the target or when it is crossed, and says where it is', async (t) => {
  const pickup = new Pickup();
  t.equal(pickup.direction(5), null, 'unknown before the first reading');
  pickup.read(2, 5, 0.5);
  t.equal(pickup.isLatched, false);
  t.equal(pickup.direction(5), 'up');
  t.equal(pickup.direction(1), 'down');
  pickup.read(9, 5, 0.5);
  t.equal(pickup.isLatched, true, 'crossed');
  t.equal(pickup.direction(5), null);
  pickup.unlatch();
  t.equal(pickup.direction(5), 'down');
  pickup.read(5.5, 5, 0.5);
  t.equal(pickup.isLatched, true, 'within half a step');
  pickup.forget();
  pickup.read(0, 5, 0.5);
  t.equal(pickup.isLatched, false, 'what was before forgetting does not count as a crossing');
});

t.test('a fader sends nothing until it has met the value, and nothing for meeting it', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(0.9);
  rig.position(0.8);
  t.equal(rig.strip().hint, 'down');
  t.equal(rig.frame.controls.get('fader')?.hint, 'down');
  rig.wait(1000);
  rig.position(travel(6.4));
  rig.wait(1000);
  t.equal(rig.strip().hint, null);
  t.equal(rig.strip().wanted, null);
  t.same(rig.take(), []);
  rig.position(travel(7));
  rig.wait(150);
  t.same(rig.take(), ['7<6'], 'the settled value after it');
});

t.test('a throw across the value sends where it comes to rest', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(2));
  rig.position(travel(9));
  rig.wait(149);
  t.same(rig.take(), []);
  rig.wait(1);
  t.same(rig.take(), ['9<6']);
});

t.test('a change by somebody else lets go of the fader and drops what was being set', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(6));
  rig.position(travel(8));
  rig.slot(3);
  rig.wait(1000);
  t.same(rig.take(), []);
  t.match(rig.strip().notice, { code: 'ChangedElsewhere', text: 'changed to 3 by somebody else' });
  t.equal(rig.strip().hint, 'down');
  rig.position(travel(9));
  rig.wait(1000);
  t.same(rig.take(), [], 'it has to be picked up again');
  rig.position(travel(2));
  rig.wait(200);
  t.same(rig.take(), ['2<3']);
});

t.test('its own commands do not let go of the fader, late views included', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(6));
  rig.position(travel(8));
  rig.wait(200);
  rig.ack(1, 'accepted', { now: 8 });
  rig.slot(6, { ready: 5 });
  t.equal(rig.strip().desired, 8, 'the view before the command is late, not a change');
  rig.position(travel(9));
  rig.slot(8);
  rig.wait(200);
  rig.slot(9);
  rig.ack(2, 'accepted', { now: 9 });
  rig.position(travel(10));
  rig.wait(200);
  t.same(rig.take(), ['8<6', '9<8', '10<9']);
});

t.test('a view that keeps its old number wins in the end', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(6));
  rig.position(travel(8));
  rig.wait(200);
  rig.ack(1, 'accepted', { now: 8 });
  rig.slot(6);
  rig.wait(5000);
  t.equal(rig.strip().desired, 6);
  t.equal(rig.strip().hint, 'down');
});

t.test('a refused command lets go of the fader', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(6));
  rig.position(travel(8));
  rig.wait(200);
  rig.ack(1, 'denied', { now: 6, code: 'Forbidden', detail: 'You may not.' });
  t.equal(rig.strip().hint, 'down');
  t.equal(rig.strip().wanted, null);
  t.match(rig.strip().notice, { phase: 'denied', code: 'Forbidden', text: 'You may not.' });
  rig.take();
  rig.position(travel(9));
  rig.wait(1000);
  t.same(rig.take(), []);
});

t.test('an inverted fader counts from the top, and its hint speaks of the hand', async (t) => {
  const rig = new Rig(desk, [binding({ isInverted: true })]);
  rig.slot(6);
  rig.position(1 - travel(3));
  t.equal(rig.strip().hint, 'down');
  rig.position(1 - travel(6));
  rig.position(1 - travel(7));
  rig.wait(200);
  t.same(rig.take(), ['7<6']);
});

t.test('noise that does not change the number does not put it off', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(6));
  rig.position(travel(8));
  for (let count = 0; count < 15; count++) {
    rig.wait(10);
    rig.position(travel(8 + (count % 2) * 0.1));
  }
  t.same(rig.take(), ['8<6']);
});

t.test('a motor fader that is bound for pickup is not moved', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'motor' })]);
  rig.slot(6);
  t.equal(rig.frame.controls.get('motor')?.position, null);
  rig.position(0, 'motor');
  t.equal(rig.strip().hint, 'up');
});

t.test('jump: where the fader rests has to be confirmed, then the fader leads', async (t) => {
  const rig = new Rig(desk, [binding({ takeover: 'jump' })]);
  rig.slot(3);
  rig.position(travel(8));
  rig.wait(1000);
  t.equal(rig.strip().arming, null, 'a first reading asks for nothing');
  rig.position(travel(9));
  rig.wait(200);
  t.match(rig.strip().arming, { want: 9, guards: [] });
  t.same(rig.take(), []);
  rig.hold('arm', 1000);
  t.same(rig.take(), ['9<3']);
  rig.ack(1, 'accepted', { now: 9 });
  rig.position(travel(7));
  rig.wait(200);
  t.same(rig.take(), ['7<9'], 'picked up by the jump');
});

t.test('jump: meeting the value picks it up without a confirmation', async (t) => {
  const rig = new Rig(desk, [binding({ takeover: 'jump' })]);
  rig.slot(3);
  rig.position(travel(8));
  rig.position(travel(5));
  rig.position(travel(3));
  rig.wait(1000);
  t.equal(rig.strip().arming, null);
  rig.position(travel(4));
  rig.wait(200);
  t.same(rig.take(), ['4<3']);
});
