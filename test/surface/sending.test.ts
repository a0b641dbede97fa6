import t from 'tap';
import { Desired } from '../../daemon/surface/desired.ts';
import { answerTimeoutMs, Outbox } from '../../daemon/surface/outbox.ts';
import { Move } from '../../daemon/surface/settle.ts';
import { binding, desk, Rig, travel } from './rig.ts';

const times = { settleMs: 150, longestMoveMs: 500 };

/** A rig with a picked-up fader at 6. */
function faderRig(): Rig {
  const rig = new Rig(desk, [binding()]);
  rig.slot(6);
  rig.position(travel(6));
  return rig;
}

t.test('a move is due when it rests, or when it has lasted', async (t) => {
  const start = { want: 1, saw: 0, purpose: 'set', isRehearsal: false, isHeld: false } as const;
  const move = new Move(start, times, 0);
  t.equal(move.dueAt(), 150);
  move.change(2, 100);
  t.equal(move.dueAt(), 250);
  move.change(2, 200);
  t.equal(move.dueAt(), 250, 'the same number is rest');
  move.change(3, 400);
  t.equal(move.dueAt(), 500);
  const held = new Move({ ...start, isHeld: true }, times, 0);
  t.equal(held.dueAt(), null);
  held.release(1000);
  t.equal(held.dueAt(), 1150);
});

t.test('a long sweep is sent every half second, the last value always', async (t) => {
  const rig = new Rig(desk, [binding({ max: 101 })]);
  rig.slot(1);
  rig.position(0);
  for (let step = 0; step <= 100; step++) {
    rig.position(travel(1 + step, 1, 101));
    rig.wait(10);
    const command = rig.sent.at(-1);
    if (command !== undefined) rig.ack(command.seq, 'accepted', { now: command.want });
  }
  rig.wait(1000);
  t.same(rig.take(), ['51<1', '101<51']);
});

t.test('one command in flight: the newest waits for the answer, then goes at once', async (t) => {
  const rig = faderRig();
  rig.position(travel(7));
  rig.wait(150);
  rig.position(travel(8));
  rig.wait(1000);
  rig.position(travel(9));
  rig.wait(1000);
  t.same(rig.take(), ['7<6']);
  rig.ack(1, 'received');
  t.same(rig.take(), [], 'received is no answer');
  rig.ack(1, 'accepted', { now: 7 });
  t.same(rig.take(), ['9<7']);
});

t.test('nothing is sent when the newest is what the answer made true', async (t) => {
  const rig = faderRig();
  rig.position(travel(7));
  rig.wait(150);
  rig.position(travel(8));
  rig.position(travel(7));
  rig.wait(1000);
  rig.ack(1, 'accepted', { now: 7 });
  rig.wait(1000);
  t.same(rig.take(), ['7<6']);
});

t.test('back to where it was: nothing without a command under way, a command with one', async (t) => {
  const rig = faderRig();
  rig.position(travel(7));
  rig.position(travel(6));
  rig.wait(1000);
  t.same(rig.take(), []);
  rig.position(travel(7));
  rig.wait(150);
  rig.position(travel(6));
  rig.wait(150);
  rig.ack(1, 'accepted', { now: 7 });
  t.same(rig.take(), ['7<6', '6<7']);
});

t.test('a command without an answer is lost after a while, and said so', async (t) => {
  const rig = faderRig();
  rig.position(travel(7));
  rig.wait(150);
  rig.position(travel(8));
  rig.wait(answerTimeoutMs - 1);
  t.same(rig.take(), ['7<6']);
  rig.wait(1);
  t.match(rig.strip().notice, { phase: 'expired', code: 'NoAnswer' });
  t.same(rig.take(), ['8<6'], 'what waited goes now');
});

t.test('ends are told in words for a while, and what was wanted is over', async (t) => {
  for (const phase of ['converged', 'blocked', 'reverted', 'stale', 'expired', 'denied'] as const) {
    const rig = faderRig();
    rig.position(travel(7));
    rig.wait(150);
    rig.ack(1, 'accepted', { now: 7 });
    t.equal(rig.strip().wanted, 7);
    t.equal(rig.strip().notice, null);
    rig.ack(1, phase, { code: 'Why' });
    t.equal(rig.strip().wanted, null);
    t.match(rig.strip().notice, { phase, code: 'Why', text: /./ });
    rig.wait(5999);
    t.not(rig.strip().notice, null);
    rig.wait(7000);
    t.equal(rig.strip().notice, null);
    rig.ack(1, phase);
    t.equal(rig.strip().notice, null, 'an end comes once');
  }
});

t.test('the end of an older command says nothing about the newer one', async (t) => {
  const rig = faderRig();
  rig.position(travel(7));
  rig.wait(150);
  rig.ack(1, 'accepted', { now: 7 });
  rig.position(travel(9));
  rig.wait(150);
  rig.ack(1, 'blocked', { now: 7 });
  t.equal(rig.strip().wanted, 9);
  t.equal(rig.strip().notice, null);
});

t.test('an outbox hears an acceptance once and forgets what is too old', async (t) => {
  const outbox = new Outbox();
  outbox.send({ seq: 1, want: 5, saw: 3, purpose: 'set' }, 0);
  t.match(outbox.answer(1, 'accepted'), { isFirstSuccess: true, wasInFlight: true, isNewest: true });
  t.equal(outbox.answer(1, 'accepted'), null);
  t.match(outbox.answer(1, 'converged'), { isFirstSuccess: false, wasInFlight: false });
  t.equal(outbox.answer(1, 'converged'), null);
  t.equal(outbox.answer(7, 'denied'), null);
  for (let seq = 2; seq < 20; seq++) {
    outbox.send({ seq, want: 5, saw: 3, purpose: 'set' }, 0);
    outbox.answer(seq, 'accepted');
  }
  t.equal(outbox.answer(2, 'converged'), null);
  t.not(outbox.answer(19, 'converged'), null);
});

t.test('views and answers are told apart', async (t) => {
  const desired = new Desired();
  t.equal(desired.observe(3, null, 0), 'elsewhere');
  t.equal(desired.observe(3, null, 0), 'none');
  t.equal(desired.observe(5, 5, 0), 'own', 'the view was faster than the answer');
  desired.accept(7, 0);
  t.equal(desired.observe(5, null, 10), 'none', 'late');
  t.equal(desired.value, 7);
  t.equal(desired.nextWakeAt(), 5000);
  t.equal(desired.observe(4, null, 20), 'elsewhere', 'neither before nor after the command');
  t.equal(desired.nextWakeAt(), null);
  t.equal(desired.correct(4, 30), 'none');
  t.equal(desired.correct(9, 30), 'elsewhere');
  t.equal(desired.tick(5030), 'elsewhere', 'the last view counts after the wait');
  t.equal(desired.value, 4);
});

t.test('an old view is left out, one of a gateway that starts anew is not', async (t) => {
  const rig = faderRig();
  rig.slot(6, { rev: 1_000_000, at: 1_000_000 });
  rig.slot(2, { rev: 999_999, at: 999_999 });
  t.equal(rig.strip().desired, 6);
  rig.slot(3, { rev: 1, at: 1_000_001 });
  t.equal(rig.strip().desired, 3, 'its clock goes on');
  rig.link('stale');
  rig.link('online');
  rig.slot(4, { rev: 0, at: 0 });
  t.equal(rig.strip().desired, 4, 'after the link was away any view is news');
});
