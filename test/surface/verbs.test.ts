/** Buttons and pads that switch, and what is asked for by a press; what needs arming twice. */
import fc from 'fast-check';
import t from 'tap';
import { verbNames, verbShapes } from '../../daemon/config/verbs.ts';
import type { Binding, PanelSpec } from '../../daemon/surface/types.ts';
import { isLamp, numberOf, pressedNumber } from '../../daemon/surface/verbs.ts';
import { binding, desk, Rig } from './rig.ts';

const panel: PanelSpec = { ...desk, controls: [...desk.controls, { name: 'key', kind: 'button' }] };
const key = (part: Partial<Binding>): Binding =>
  binding({ control: 'key', min: 0, max: 1, zero: 'arm', takeover: 'relative', ...part });
const rigOf = (part: Partial<Binding>, desired = 0): Rig => {
  const rig = new Rig(panel, [key(part)]);
  rig.slot(desired);
  return rig;
};

t.test('surface and gateway mean the same by the number of each verb', async (t) => {
  for (const verb of verbNames) t.equal(numberOf({ verb }), verbShapes[verb].number, verb);
  t.equal(numberOf({}), 'count');
});

t.test('a press asks for the other position, at once and without arming', async (t) => {
  const rig = rigOf({ verb: 'pause' });
  rig.press('key');
  t.same(rig.take(), ['1<0']);
  rig.release('key');
  rig.ack(1, 'accepted', { now: 1 });
  rig.ack(1, 'converged', { now: 1 });
  rig.slot(1);
  rig.press('key');
  t.same(rig.take(), ['0<1'], 'zero is a position here, nothing to be armed');
  rig.release('key');
  rig.ack(2, 'converged', { now: 0 });
  rig.slot(0);
  rig.press('undo');
  rig.release('undo');
  t.same(rig.take(), ['1<0'], 'undone');
});

t.test('locked, offline or not heard of: a press does nothing', async (t) => {
  const locked = new Rig(panel, [key({ verb: 'pause' })], { isLockedAtStart: true });
  locked.slot(0);
  const stale = rigOf({ verb: 'pause' });
  stale.link('stale');
  const unknown = new Rig(panel, [key({ verb: 'pause' })]);
  for (const rig of [locked, stale, unknown]) {
    rig.hold('key', 700);
    rig.wait(1000);
    t.same(rig.take(), []);
  }
  const counted = new Rig(panel, [binding({ control: 'key', min: 0, max: 1, zero: 'arm' })]);
  counted.slot(0);
  counted.press('key');
  t.same(counted.take(), [], 'a number is not for a button');
});

t.test('a slot that means another verb now: what was done before is not undone with it', async (t) => {
  const rig = rigOf({ verb: 'cordon' });
  rig.press('key');
  rig.release('key');
  rig.ack(1, 'accepted', { now: 1 });
  rig.ack(1, 'converged', { now: 1 });
  rig.slot(1);
  rig.take();
  rig.apply({ type: 'bindings', bindings: [key({ verb: 'drain' })] });
  t.equal(rig.strip().desired, null, 'a number of the other verb is none of this one');
  rig.press('key');
  rig.release('key');
  rig.slot(1);
  rig.press('undo');
  rig.release('undo');
  t.same(rig.take(), []);

  rig.press('key');
  t.same(rig.take(), ['0<1']);
  rig.apply({ type: 'bindings', bindings: [key({ verb: 'pause' })] });
  rig.slot(0);
  rig.ack(2, 'needs-arm', { guards: ['disrupts'] });
  rig.hold('arm', 1100);
  t.same(rig.take(), [], 'nor is a question about the other one answered');
});

t.test('restart: 0 is what is seen, 1 is asked for, each time after arming', async (t) => {
  const rig = rigOf({ verb: 'restart' });
  for (const seq of [1, 3]) {
    rig.press('key');
    rig.release('key');
    t.same(rig.take(), ['1<0']);
    rig.ack(seq, 'needs-arm', { code: 'Disrupts', guards: ['disrupts'] });
    t.match(rig.strip(), { wanted: 1, arming: { guards: ['disrupts'] } });
    rig.hold('arm', 1100);
    t.same(rig.take(), ['1<0+disrupts']);
    rig.ack(seq + 1, 'accepted', { now: 0 });
    t.equal(rig.strip().wanted, 1, 'under way');
    rig.ack(seq + 1, 'converged', { now: 0 });
    t.match(rig.strip(), { wanted: null, desired: 0 });
  }
  rig.press('undo');
  rig.release('undo');
  t.same(rig.take(), [], 'what is momentary cannot be undone');
});

t.test('pads: held, whichever of the row', async (t) => {
  const rig = new Rig(panel, [key({ control: 'pads', verb: 'cordon' })]);
  rig.slot(0);
  rig.press('pads', 5);
  rig.wait(400);
  rig.release('pads', 5);
  t.same(rig.take(), [], 'let go too early');
  rig.press('pads', 5);
  rig.wait(500);
  t.same(rig.take(), ['1<0']);
});

t.test('what the gateway wants to be armed once more waits for a second hold', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative' })]);
  rig.slot(3);
  rig.turn(-4);
  rig.wait(200);
  t.same(rig.take(), ['2<3']);
  rig.ack(1, 'needs-arm', { code: 'DeletesClaims', guards: ['claims'] });
  rig.press('arm');
  rig.wait(1100);
  t.same(rig.take(), ['2<3+claims']);
  rig.ack(2, 'needs-arm', { code: 'ConfirmAgain', guards: ['claims'], detail: 'Once more: data is lost.' });
  t.match(rig.strip(), {
    arming: { guards: ['claims'], held: 0 },
    notice: { text: 'Once more: data is lost.' },
  });
  rig.wait(1500);
  t.same(rig.take(), [], 'the hold of before does not count');
  rig.release('arm');
  rig.hold('arm', 1100);
  t.same(rig.take(), ['2<3+claims']);
});

t.test('the light of a switch is bright at 1 and dim at 0', async (t) => {
  const lightOf = (desired: number): number[] => {
    const rig = rigOf({ verb: 'suspend' }, desired);
    return [...(rig.frame.controls.get('key')?.light ?? [])];
  };
  t.ok((lightOf(1)[1] ?? 0) > 3 * (lightOf(0)[1] ?? 0));
  t.ok((lightOf(0)[1] ?? 0) > 0);
  t.equal(isLamp({ verb: 'drain' }), false, 'a drain shows the Pods that are left');
});

t.test('a press never asks for anything but the other position', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom('pause', 'suspend', 'cordon', 'drain', 'restart'),
      fc.array(fc.constantFrom('press', 'slot0', 'slot1', 'ack', 'wait', 'reset'), { maxLength: 40 }),
      (verb, steps) => {
        const rig = rigOf({ verb });
        for (const step of steps) {
          if (step === 'press') rig.press('key');
          else if (step === 'wait') rig.wait(300);
          else if (step === 'reset') rig.apply({ type: 'reset', controls: null });
          else if (step === 'ack') rig.ack(rig.sent.at(-1)?.seq ?? 0, 'converged');
          else rig.slot(verb === 'restart' ? 0 : Number(step === 'slot1'));
        }
        return rig.sent.every(
          ({ want, saw, arm }) =>
            arm.length === 0 && (want === 0 || want === 1) && want === pressedNumber({ verb }, saw),
        );
      },
    ),
  );
});
