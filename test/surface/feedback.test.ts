import t from 'tap';
import { palette } from '../../daemon/surface/palette.ts';
import type { Rgb } from '../../daemon/surface/types.ts';
import { binding, desk, Rig } from './rig.ts';

const control = (rig: Rig, name: string) => rig.frame.controls.get(name);

/** Which of three cones see how much: simulation of missing ones after Viénot, Brettel and Mollon, 1999. */
const deficiencies: Record<string, readonly Rgb[]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.11238, 0.88762, 0],
    [0.11238, 0.88762, 0],
    [0.00401, -0.00401, 1],
  ],
  deuteranopia: [
    [0.29275, 0.70725, 0],
    [0.29275, 0.70725, 0],
    [-0.02234, 0.02234, 1],
  ],
};

t.test('hues stay apart with the common colour blindnesses', async (t) => {
  for (const [name, matrix] of Object.entries(deficiencies)) {
    const seen = Object.entries(palette).map(([colour, hue]) => {
      const linear = hue.map((part) => (part / 255) ** 2.2);
      const parts = matrix.map((row) =>
        row.reduce((sum, weight, index) => sum + weight * (linear[index] ?? 0), 0),
      );
      return { colour, parts: parts.map((part) => Math.max(0, part) ** (1 / 2.2) * 255) };
    });
    for (const [index, a] of seen.entries())
      for (const b of seen.slice(index + 1)) {
        const distance = Math.hypot(...a.parts.map((part, axis) => part - (b.parts[axis] ?? 0)));
        t.ok(distance > 30, `${a.colour} and ${b.colour}, ${name}: ${distance.toFixed()}`);
      }
  }
});

t.test('rings and lights show the number that is set, else the one in force', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative' })]);
  t.match(control(rig, 'encoder'), { ring: null, position: null });
  rig.slot(6);
  t.match(control(rig, 'encoder'), { ring: 0.5, light: palette.green });
  rig.turn(4);
  t.equal(control(rig, 'encoder')?.ring, 0.6);
  t.same(control(rig, 'fader'), { position: null, ring: null, light: [0, 0, 0], hint: null }, 'not bound');
  rig.link('stale');
  t.match(control(rig, 'encoder'), { ring: 0.5 });
  t.ok((control(rig, 'encoder')?.light[1] ?? 255) < 40, 'dim');
  rig.link('offline');
  t.same(control(rig, 'encoder'), { position: null, ring: null, light: [0, 0, 0], hint: null });
});

t.test('motors rest while offline or stale, and are turned around with their binding', async (t) => {
  const rig = new Rig(desk, [binding({ control: 'motor', takeover: 'motor', isInverted: true })]);
  rig.slot(1);
  t.equal(control(rig, 'motor')?.position, 1);
  rig.slot(11);
  t.equal(control(rig, 'motor')?.position, 0);
  rig.link('stale');
  t.equal(control(rig, 'motor')?.position, null);
  rig.link('online');
  t.equal(control(rig, 'motor')?.position, 0);
});

t.test('the controls of the whole surface show what they would do', async (t) => {
  const isLit = (name: string): boolean => (control(rig, name)?.light ?? [0, 0, 0]).some((part) => part > 0);
  let rig = new Rig(desk, [binding()]);
  t.same(['arm', 'undo', 'next', 'previous', 'lock'].map(isLit), [false, false, false, false, false]);
  rig = new Rig(desk, [binding(), binding({ slot: 1, bank: 1 })], { isLockedAtStart: true });
  t.same(['arm', 'undo', 'next', 'previous', 'lock'].map(isLit), [false, false, true, true, true]);
  rig = new Rig(desk, [binding({ control: 'encoder', takeover: 'relative', min: 0, zero: 'arm' })]);
  rig.slot(1);
  rig.turn(-4);
  rig.wait(150);
  const moments = new Set<boolean>();
  for (let moment = 0; moment < 4; moment++) {
    moments.add(isLit('arm'));
    rig.at += 250;
  }
  t.equal(moments.size, 2, 'arm blinks');
  rig.press('arm');
  rig.wait(100);
  for (let moment = 0; moment < 4; moment++) {
    t.equal(isLit('arm'), true, 'steady while held');
    rig.at += 200;
  }
});

t.test('link and attestation are told as they are', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.apply({ type: 'link', state: 'online', detail: 'token only', isAttested: false, fault: null });
  t.same(rig.frame.link, { state: 'online', detail: 'token only', isAttested: false });
  t.match(rig.strip(), { condition: { state: 'unknown', reason: 'NotSeenYet' }, desired: null });
});
