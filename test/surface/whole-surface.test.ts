import t from 'tap';
import { Lock } from '../../daemon/surface/lock.ts';
import { Presses } from '../../daemon/surface/press.ts';
import { UndoHistory, undoDepth } from '../../daemon/surface/undo.ts';
import { bare, binding, desk, Rig, travel } from './rig.ts';

const encoder = binding({ control: 'encoder', takeover: 'relative', min: 0, zero: 'arm' });

/** Turns the encoder and lets the command succeed. */
function set(rig: Rig, detents: number): void {
  rig.turn(4 * detents);
  rig.wait(150);
  const command = rig.sent.at(-1);
  if (command !== undefined) rig.ack(command.seq, 'accepted', { now: command.want });
}

t.test('a press is short or long, never both', async (t) => {
  const presses = new Presses();
  presses.press('a', 0);
  t.equal(presses.takeLong('a', 499), false);
  t.equal(presses.release('a', 499), true);
  presses.press('a', 1000);
  t.equal(presses.takeLong('a', 1500), true);
  t.equal(presses.takeLong('a', 1600), false);
  t.equal(presses.release('a', 1700), false);
  t.equal(presses.release('never-pressed', 0), false);
  presses.press('a', 0);
  presses.forget(null);
  t.equal(presses.longAt('a'), null);
});

t.test('undo goes back one command at a time, and is not itself undone', async (t) => {
  const rig = new Rig(desk, [encoder]);
  rig.slot(5);
  set(rig, 2);
  set(rig, -1);
  t.same(rig.take(), ['7<5', '6<7']);
  t.not(rig.frame.controls.get('undo')?.light.join(), '0,0,0');
  const undo = (): string[] => {
    rig.hold('undo', 100);
    const command = rig.sent.at(-1);
    if (command !== undefined) rig.ack(command.seq, 'accepted', { now: command.want });
    return rig.take();
  };
  t.same(undo(), ['7<6']);
  t.same(undo(), ['5<7']);
  t.same(undo(), []);
  t.equal(rig.frame.controls.get('undo')?.light.join(), '0,0,0');
});

t.test('undo is a short press, goes from what is true now, and lets go of the fader', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(5);
  rig.position(travel(5));
  rig.position(travel(8));
  rig.wait(150);
  rig.ack(1, 'converged', { now: 8 });
  rig.slot(8);
  rig.slot(9);
  rig.take();
  rig.hold('undo', 600);
  t.same(rig.take(), [], 'a long press is not meant');
  rig.hold('undo', 100);
  t.same(rig.take(), ['5<9']);
  rig.ack(2, 'accepted', { now: 5 });
  rig.position(travel(8.6));
  rig.wait(500);
  t.same(rig.take(), [], 'the fader does not stand at 5');
});

t.test('undo to zero is armed, refused commands are not undone, ten are kept', async (t) => {
  const rig = new Rig(desk, [encoder]);
  rig.slot(0);
  set(rig, 2);
  rig.take();
  rig.hold('undo', 100);
  t.match(rig.strip().arming, { want: 0, guards: ['zero'] });
  rig.hold('arm', 1000);
  t.same(rig.take(), ['0<2+zero']);
  const other = new Rig(desk, [encoder]);
  other.slot(5);
  other.turn(4);
  other.wait(150);
  other.ack(1, 'denied', { now: 5 });
  other.take();
  other.hold('undo', 100);
  t.same(other.take(), []);
  const history = new UndoHistory();
  for (let before = 0; before < 15; before++) history.record({ slot: 0, before });
  let count = 0;
  while (history.take() !== undefined) count++;
  t.equal(count, undoDepth);
});

t.test('what is undone is shown, and not undone when the slot was bound anew', async (t) => {
  const bindings = [encoder, binding({ slot: 1, bank: 3 })];
  const rig = new Rig(desk, bindings);
  rig.slot(5);
  set(rig, 1);
  rig.press('next');
  t.match(rig.frame.bank, { index: 1, count: 2 });
  rig.take();
  rig.hold('undo', 100);
  t.same(rig.take(), ['5<6']);
  t.equal(rig.frame.bank.index, 0);
  rig.ack(2, 'accepted', { now: 5 });
  set(rig, 1);
  rig.apply({ type: 'bindings', bindings: [{ ...encoder, name: 'another' }] });
  rig.slot(6);
  rig.take();
  rig.hold('undo', 100);
  t.same(rig.take(), []);
});

t.test('banks turn around, show their own bindings, and every fader starts over', async (t) => {
  const bindings = [
    binding({ slot: 4 }),
    binding({ slot: 1, control: 'encoder' }),
    binding({ slot: 2, control: 'not-on-the-panel' }),
    binding({ slot: 3, bank: 5 }),
  ];
  const rig = new Rig(desk, bindings);
  const shown = (): number[] => rig.frame.strips.map(({ slot }) => slot);
  t.same(shown(), [4, 1, 2], 'in the order of the panel');
  rig.slot(6, {}, 4);
  rig.slot(6, {}, 3);
  rig.position(travel(6));
  rig.position(travel(8));
  rig.press('next');
  rig.release('next');
  t.same(shown(), [3]);
  rig.wait(1000);
  t.same(rig.take(), [], 'what was not sent is dropped');
  rig.position(travel(2));
  rig.wait(1000);
  rig.press('previous');
  rig.release('previous');
  t.same(shown(), [4, 1, 2]);
  rig.press('previous');
  t.same(shown(), [3]);
  t.same(rig.take(), []);
});

t.test('a command stays one in flight over a bank change and new bindings', async (t) => {
  const rig = new Rig(desk, [encoder]);
  rig.slot(5);
  rig.turn(4);
  rig.wait(150);
  rig.apply({ type: 'bindings', bindings: [{ ...encoder, max: 20 }] });
  rig.turn(4);
  rig.wait(1000);
  t.same(rig.take(), ['6<5']);
  rig.ack(1, 'accepted', { now: 6 });
  t.same(rig.take(), ['7<6']);
});

t.test('a long press locks and unlocks, a short one does not', async (t) => {
  const rig = new Rig(desk, [encoder], { isLockedAtStart: true });
  rig.slot(5);
  t.equal(rig.frame.isLocked, true);
  rig.hold('lock', 400);
  t.equal(rig.frame.isLocked, true);
  rig.turn(8);
  rig.wait(500);
  t.equal(rig.strip().wanted, 7, 'it shows what it would do');
  rig.wait(1100);
  t.equal(rig.strip().wanted, null);
  rig.turn(8);
  rig.press('lock');
  rig.wait(500);
  t.equal(rig.frame.isLocked, false, 'at half a second, not at the release');
  rig.release('lock');
  rig.wait(1000);
  t.same(rig.take(), [], 'what was shown is not sent by unlocking');
  rig.turn(4);
  rig.wait(150);
  t.same(rig.take(), ['6<5']);
});

t.test('locked pads and undo only show', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'pads', takeover: 'jump' })]);
  rig.slot(5);
  rig.turn(1, 'pads');
  rig.wait(150);
  rig.ack(1, 'converged', { now: 6 });
  rig.hold('lock', 600);
  rig.take();
  rig.press('pads', 2);
  rig.wait(2000);
  t.equal(rig.strip().wanted, 3);
  rig.release('pads', 2);
  t.equal(rig.strip().wanted, null);
  rig.hold('undo', 100);
  t.same(rig.take(), []);
});

t.test('it locks itself when nobody uses it; noise and motors are no use', async (t) => {
  const rig = new Rig(desk, [binding()], { lockAfterIdleMs: 60_000 });
  rig.wait(50_000);
  rig.turn(1);
  rig.wait(50_000);
  t.equal(rig.frame.isLocked, false);
  for (const noise of [0.5, 0.505, 0.5]) rig.position(noise);
  for (const travelled of [0.1, 0.5, 0.9]) rig.position(travelled, 'motor');
  rig.wait(10_000);
  t.equal(rig.frame.isLocked, true);
  rig.hold('lock', 600);
  rig.wait(59_000);
  rig.position(0.9);
  rig.wait(59_000);
  t.equal(rig.frame.isLocked, false);
  t.equal(new Lock(false, 0).nextWakeAt(), null);
});

t.test('locked without a lock control stays locked', async (t) => {
  const rig = new Rig(bare, [binding()], { isLockedAtStart: true });
  rig.slot(5);
  rig.position(travel(5));
  rig.position(travel(7));
  rig.wait(1000);
  t.same(rig.take(), []);
});

t.test('offline and stale nothing acts, nothing is kept for later', async (t) => {
  for (const state of ['offline', 'stale'] as const) {
    const rig = new Rig(desk, [encoder, binding({ slot: 1 })]);
    rig.slot(5);
    rig.slot(5, {}, 1);
    set(rig, 1);
    rig.slot(6);
    rig.position(travel(5));
    rig.turn(4);
    rig.position(travel(8));
    rig.take();
    rig.link(state);
    rig.turn(4);
    rig.position(travel(9));
    rig.hold('undo', 100);
    rig.wait(1000);
    t.match(rig.strip(), { wanted: null, desired: 6 });
    rig.link('online');
    rig.position(travel(2));
    rig.wait(2000);
    t.same(rig.take(), [], state);
  }
});

t.test('whatever starts a fader over lets go of it', async (t) => {
  const bindings = [binding(), binding({ slot: 1, bank: 1 })];
  const causes: Record<string, (rig: Rig) => void> = {
    reset: (rig) => rig.apply({ type: 'reset', controls: ['fader'] }),
    link: (rig) => {
      rig.link('offline');
      rig.link('online');
    },
    bindings: (rig) => rig.apply({ type: 'bindings', bindings }),
    bank: (rig) => {
      rig.press('next');
      rig.press('next');
    },
    lock: (rig) => {
      rig.hold('lock', 500);
      rig.hold('lock', 500);
    },
  };
  for (const [cause, happen] of Object.entries(causes)) {
    const rig = new Rig(desk, bindings);
    rig.slot(5);
    rig.position(travel(5));
    happen(rig);
    rig.position(travel(8));
    rig.position(travel(9));
    rig.wait(1000);
    t.same(rig.take(), [], cause);
    t.equal(rig.strip().hint, 'down', cause);
  }
});

t.test('a command under way when the link goes is given up, and said so', async (t) => {
  const rig = new Rig(desk, [encoder]);
  rig.slot(5);
  rig.turn(4);
  rig.wait(150);
  rig.link('offline');
  t.match(rig.strip(), { wanted: null, notice: { code: 'LinkLost' } });
  rig.link('online');
  rig.ack(1, 'accepted', { now: 6 });
  t.equal(rig.strip().desired, 6, 'a late answer is still understood');
});

t.test('time that runs back, unknown slots and controls do no harm', async (t) => {
  const rig = new Rig(desk, [encoder]);
  rig.slot(5);
  rig.turn(4);
  rig.at -= 500;
  rig.turn(4);
  rig.wait(2000);
  t.same(rig.take(), ['7<5']);
  rig.slot(5, {}, 40);
  rig.position(0.5, 'nowhere');
  rig.ack(99, 'converged');
  t.same(rig.take(), []);
});
