import t from 'tap';
import { Arming, armHoldMs, armWindowMs } from '../../daemon/surface/arming.ts';
import type { Binding } from '../../daemon/surface/types.ts';
import { bare, binding, desk, Rig, travel } from './rig.ts';

const bound = binding({ control: 'encoder', takeover: 'relative', min: 0, zero: 'arm' });

/** A rig whose encoder has just asked for zero. */
function zeroRig(part: Partial<Binding> = {}): Rig {
  const rig = new Rig(desk, [{ ...bound, ...part }]);
  rig.slot(2);
  rig.turn(-4 * 5);
  rig.wait(150);
  return rig;
}

t.test('a request counts down, is confirmed by a hold that begins after it, and lapses', async (t) => {
  const request = { slot: 0, want: 0, saw: 2, guards: [], purpose: 'set' } as const;
  const arming = new Arming();
  arming.press(0);
  t.equal(arming.nextWakeAt(), null, 'nothing to confirm');
  arming.open(request, 100);
  t.equal(arming.remainingMs(1100), armWindowMs - 1000);
  t.equal(arming.tick(100 + armWindowMs - 1), null);
  t.equal(arming.tick(100 + armWindowMs), 'lapsed');
  arming.press(100 + armWindowMs - 1);
  t.equal(arming.tick(100 + armWindowMs), null, 'a hold that began in time may finish');
  t.equal(arming.held(100 + armWindowMs + 499), 0.5);
  for (let at = 100 + armWindowMs; at < 100 + armWindowMs - 1 + armHoldMs; at += 100)
    t.equal(arming.tick(at), null);
  t.equal(arming.tick(100 + armWindowMs - 1 + armHoldMs), 'confirmed');
  t.equal(arming.release(), true);
  t.equal(arming.request, null);
  t.equal(arming.release(), false);
});

t.test('zero waits for the arm control and is sent with its guard', async (t) => {
  const rig = zeroRig();
  t.same(rig.take(), []);
  t.match(rig.strip(), { wanted: 0, arming: { want: 0, guards: ['zero'], remainingMs: 5000, held: 0 } });
  rig.wait(1000);
  rig.press('arm');
  rig.wait(500);
  t.match(rig.strip().arming, { remainingMs: 3500, held: 0.5 });
  rig.wait(499);
  t.same(rig.take(), []);
  rig.wait(1);
  t.same(rig.take(), ['0<2+zero']);
  t.equal(rig.strip().arming, null);
});

t.test('a release that could not be noticed confirms nothing: the hold begins again', async (t) => {
  // The program stands still at the end of the hold, or before: the timer runs before the panel is read.
  for (const [heldMs, stillMs] of [
    [950, 200],
    [300, 690],
    [0, 5000],
  ] as const) {
    const stalled = (): Rig => {
      const rig = zeroRig();
      rig.press('arm');
      rig.wait(heldMs);
      rig.at += stillMs;
      rig.wait(20);
      t.same(rig.take(), [], `${heldMs} ms held, then ${stillMs} ms of nothing`);
      return rig;
    };
    const released = stalled();
    released.release('arm');
    released.wait(5000);
    t.same(released.take(), []);
    t.match(released.strip().notice, { code: 'ArmReleased' });
    const held = stalled();
    held.wait(970);
    t.same(held.take(), []);
    held.wait(20);
    t.same(held.take(), ['0<2+zero'], 'held on for all of the time');
  }
  const busy = zeroRig();
  busy.press('arm');
  for (let looks = 0; looks < 8; looks++) {
    busy.at += 130;
    busy.wait(0);
  }
  t.same(busy.take(), ['0<2+zero'], 'a machine that is a little late confirms all the same');
});

t.test('a hold from before the request does not count', async (t) => {
  const rig = new Rig(desk, [bound]);
  rig.slot(2);
  rig.press('arm');
  rig.turn(-4 * 5);
  rig.wait(4000);
  t.same(rig.take(), []);
  rig.release('arm');
  t.not(rig.strip().arming, null, 'letting go of that hold cancels nothing');
  rig.hold('arm', 1000);
  t.same(rig.take(), ['0<2+zero']);
});

t.test('letting go early cancels, waiting lapses', async (t) => {
  const rig = zeroRig();
  rig.hold('arm', 900);
  rig.wait(3000);
  t.same(rig.take(), []);
  t.match(rig.strip(), { wanted: null, arming: null, notice: { code: 'ArmReleased' } });
  const other = zeroRig();
  other.wait(armWindowMs);
  t.match(other.strip(), { wanted: null, arming: null, notice: { code: 'ArmLapsed' } });
  other.hold('arm', 2000);
  t.same(other.take(), []);
});

t.test('moving the control on replaces the request; turning further down does not', async (t) => {
  const rig = zeroRig();
  rig.turn(-4);
  t.match(rig.strip().arming, { want: 0 });
  rig.turn(4);
  t.equal(rig.strip().arming, null);
  rig.wait(150);
  t.same(rig.take(), ['1<2']);
});

t.test('whatever changes what was asked for closes the request', async (t) => {
  const causes: Record<string, (rig: Rig) => void> = {
    view: (rig) => rig.slot(3),
    link: (rig) => rig.link('stale'),
    reset: (rig) => rig.apply({ type: 'reset', controls: ['encoder'] }),
    bindings: (rig) => rig.apply({ type: 'bindings', bindings: [bound] }),
    lock: (rig) => rig.hold('lock', 600),
  };
  for (const [cause, happen] of Object.entries(causes)) {
    const rig = zeroRig();
    happen(rig);
    t.equal(rig.strip().arming, null, cause);
    rig.link('online');
    rig.hold('arm', 2000);
    t.same(rig.take(), [], cause);
  }
});

t.test('a lost arm control has to be held anew', async (t) => {
  const rig = zeroRig();
  rig.press('arm');
  rig.wait(500);
  rig.apply({ type: 'reset', controls: ['arm'] });
  rig.wait(2000);
  t.same(rig.take(), []);
  rig.hold('arm', 1000);
  t.same(rig.take(), ['0<2+zero']);
});

t.test('what the gateway wants armed is asked for and sent again with all its guards', async (t) => {
  const rig = new Rig(desk, [bound]);
  rig.slot(2);
  rig.turn(4);
  rig.wait(150);
  rig.ack(1, 'needs-arm', { now: 2, guards: ['autoscaler', 'gitops'], detail: 'An autoscaler owns it.' });
  t.match(rig.strip(), { wanted: 3, arming: { want: 3, guards: ['autoscaler', 'gitops'] } });
  rig.hold('arm', 1000);
  t.match(rig.sent.at(-1), { seq: 2 });
  t.same(rig.take(), ['3<2', '3<2+autoscaler+gitops']);
});

t.test('zero that the gateway wants armed further keeps its own guard', async (t) => {
  const rig = zeroRig();
  rig.hold('arm', 1000);
  rig.ack(1, 'needs-arm', { guards: ['claims'] });
  rig.hold('arm', 1000);
  t.same(rig.take(), ['0<2+zero', '0<2+zero+claims']);
});

t.test('a newer number that waits wins over what needs arming', async (t) => {
  const rig = new Rig(desk, [bound]);
  rig.slot(2);
  rig.turn(4);
  rig.wait(150);
  rig.turn(4);
  rig.ack(1, 'needs-arm', { now: 2, guards: ['autoscaler'] });
  t.equal(rig.strip().arming, null);
  rig.wait(150);
  t.same(rig.take(), ['3<2', '4<2']);
});

t.test(
  'what needs arming after its binding was narrowed or its row is out of sight is not asked for',
  async (t) => {
    const narrowed = new Rig(desk, [bound]);
    narrowed.slot(2);
    narrowed.turn(4 * 5);
    narrowed.wait(150);
    narrowed.apply({ type: 'bindings', bindings: [{ ...bound, max: 4 }] });
    narrowed.ack(1, 'needs-arm', { now: 2, guards: ['autoscaler'] });
    t.match(narrowed.strip(), { wanted: null, arming: null });
    narrowed.hold('arm', 1000);
    t.same(narrowed.take(), ['7<2']);
    const hidden = new Rig(desk, [bound, binding({ slot: 1, bank: 1 })]);
    hidden.slot(2);
    hidden.turn(4);
    hidden.wait(150);
    hidden.press('next');
    hidden.ack(1, 'needs-arm', { now: 2, guards: ['autoscaler'] });
    hidden.hold('arm', 1000);
    t.same(hidden.take(), ['3<2']);
    hidden.press('next');
    t.match(hidden.strip(), { wanted: null, arming: null, notice: { code: 'NotConfirmed' } });
  },
);

t.test('one request at a time', async (t) => {
  const rig = new Rig(desk, [bound, binding({ ...bound, slot: 1, control: 'pads' })]);
  rig.slot(2);
  rig.slot(2, {}, 1);
  rig.turn(-20);
  rig.turn(-20, 'pads');
  rig.wait(150);
  t.match(rig.strip(0), { arming: null, notice: { code: 'ArmReplaced' } });
  t.match(rig.strip(1), { arming: { want: 0 } });
  rig.hold('arm', 1000);
  t.same(
    rig.sent.map(({ slot }) => slot),
    [1],
  );
});

t.test('a hold for one request does not confirm the next', async (t) => {
  const rig = new Rig(desk, [bound, binding({ ...bound, slot: 1, control: 'pads' })]);
  rig.slot(2);
  rig.slot(2, {}, 1);
  rig.turn(-20);
  rig.wait(150);
  rig.turn(-20, 'pads');
  rig.press('arm');
  rig.wait(2000);
  t.match(rig.strip(1), { arming: { want: 0, held: 0 } });
  t.same(rig.take(), []);
});

t.test('a panel without an arm control says so', async (t) => {
  const rig = new Rig(bare, [binding({ min: 0, zero: 'arm' })]);
  rig.slot(2);
  rig.position(travel(2, 0));
  rig.position(0);
  rig.wait(150);
  t.same(rig.take(), []);
  t.match(rig.strip(), { wanted: null, arming: null, notice: { phase: 'denied', code: 'NoArmControl' } });
});

t.test('an arm control that is missing asks for nothing: the row says so', async (t) => {
  const isPurple = (rig: Rig): boolean => rig.light(3, 3).join() === '204,121,167';
  const check = (rig: Rig, when: string): void => {
    t.match(
      rig.strip(),
      { wanted: null, arming: null, notice: { phase: 'denied', code: 'NoArmControl' } },
      when,
    );
    rig.at = Math.ceil(rig.at / 1000) * 1000;
    t.ok(isPurple(rig), 'all of the row flashes');
    rig.at += 300;
    t.notOk(isPurple(rig));
    rig.hold('arm', 2000);
    t.same(rig.take(), []);
    rig.wait(12_000);
    rig.at = Math.ceil(rig.at / 1000) * 1000;
    t.notOk(isPurple(rig), 'until the notice goes');
  };
  const before = new Rig(desk, [bound]);
  before.slot(2);
  before.apply({ type: 'missing', controls: ['arm'] });
  before.turn(-4 * 5);
  before.wait(150);
  check(before, 'asked for while it is missing');
  const gateway = new Rig(desk, [bound]);
  gateway.slot(2);
  gateway.apply({ type: 'missing', controls: ['arm'] });
  gateway.turn(4);
  gateway.wait(150);
  t.same(gateway.take(), ['3<2']);
  gateway.ack(1, 'needs-arm', { now: 2, guards: ['autoscaler'] });
  check(gateway, 'asked for by the gateway');
  const meanwhile = zeroRig();
  meanwhile.press('arm');
  meanwhile.wait(950);
  meanwhile.apply({ type: 'missing', controls: ['arm'] });
  check(meanwhile, 'lost while it was held');
  meanwhile.apply({ type: 'missing', controls: [] });
  meanwhile.turn(-4 * 5);
  meanwhile.wait(150);
  meanwhile.hold('arm', 1000);
  t.same(meanwhile.take(), ['0<2+zero'], 'back again');
});

t.test('zero that is never allowed ends at one', async (t) => {
  const rig = zeroRig({ zero: 'never' });
  t.same(rig.take(), ['1<2']);
});
