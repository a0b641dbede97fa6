/** What the two PWM matrices do of their own: frames that turn, and the LEDs of the 13x9 board. */
import fc from 'fast-check';
import t from 'tap';
import { is31fl3731 } from '../../../daemon/hw/chips/is31fl3731.ts';
import { is31fl3741, is31fl3741Leds, is31fl3741Levels } from '../../../daemon/hw/chips/is31fl3741.ts';
import { Is31fl3731Model } from '../../../hil/sim/chips/is31fl3731.ts';
import { Is31fl3741Model } from '../../../hil/sim/chips/is31fl3741.ts';
import type { I2cMessage } from '../../../hil/sim/chips/model.ts';
import { pictures } from './matrices.ts';
import { PartRig, partRig } from './part-rig.ts';

/** A model that keeps what was seen after every transfer. */
class Watched extends Is31fl3731Model {
  readonly seen: string[] = [];

  override transfer(messages: readonly I2cMessage[]): readonly Uint8Array[] {
    const reads = super.transfer(messages);
    this.seen.push(this.lights().rgb.join());
    return reads;
  }
}

t.test('is31fl3731: no picture is ever seen half done', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(pictures(16, 9), { minLength: 1, maxLength: 6 }), async (frames) => {
      const model = new Watched();
      const rig = new PartRig(is31fl3731, {}, model);
      await rig.open();
      for (const rgb of frames) {
        const before = model.lights().rgb.join();
        model.seen.length = 0;
        await rig.show({ rgb });
        const after = model.lights().rgb.join();
        if (model.seen.some((seen) => seen !== before && seen !== after)) return false;
      }
      return true;
    }),
    { numRuns: 60 },
  );
});

t.test('is31fl3731: a light that blinks costs one register a change', async (t) => {
  const rig = partRig(t, is31fl3731, {}, new Is31fl3731Model());
  await rig.open();
  const on = new Uint8Array(432).fill(200);
  const off = on.slice();
  off.fill(0, 30, 33);
  for (const rgb of [on, off]) await rig.show({ rgb });
  rig.lines();
  for (const rgb of [on, off, on, off]) await rig.show({ rgb });
  t.same(rig.lines(), ['w 01 01', 'w 01 00', 'w 01 01', 'w 01 00']);
});

t.test('is31fl3741: every LED of the part is one channel of one light', async (t) => {
  const leds = Array.from({ length: 117 }, (_, light) => is31fl3741Leds(light % 13, Math.floor(light / 13)));
  t.same(
    leds.flat().sort((a, b) => a - b),
    Array.from({ length: 351 }, (_, led) => led),
  );
});

t.test('is31fl3741: brightness is the current, PWM keeps its steps', async (t) => {
  const rgb = new Uint8Array(351).fill(255);
  t.equal(is31fl3741Levels(rgb, 1).current, 255);
  t.equal(is31fl3741Levels(rgb, 0).current, 0);
  t.equal(is31fl3741Levels(rgb, 0.1).current, 2);
  t.ok(is31fl3741Levels(rgb, 0.1).pwm.every((level) => level === 255));
  const faint = is31fl3741Levels(new Uint8Array(351).fill(1), 0.1);
  t.ok(
    faint.pwm.every((level) => level * faint.current >= 255),
    'the faintest light of a dark night is still a step of the light',
  );
});

t.test('is31fl3741: only changed runs go out, pages one after the other', async (t) => {
  const rig = partRig(t, is31fl3741, {}, new Is31fl3741Model(0x30));
  await rig.open();
  const rgb = new Uint8Array(351);
  await rig.show({ rgb });
  rig.lines();
  const next = rgb.slice();
  next.fill(255, 0, 3);
  next.fill(255, 13 * 3, 13 * 3 + 3);
  await rig.show({ rgb: next });
  const lines = rig.lines();
  t.same(
    lines.filter((line) => line.startsWith('w fd')),
    ['w fd 00', 'w fd 01', 'w fd 04'],
  );
  t.ok(lines.join(' ').split('w').length - 1 === 8, `${lines}`);
});
