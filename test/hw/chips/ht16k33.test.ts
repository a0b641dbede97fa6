/** What an HT16K33 makes of pictures: on or off, red, green or yellow, sixteen steps for all. */
import fc from 'fast-check';
import t from 'tap';
import { ht16k33, ht16k33Dimming, ht16k33Ram } from '../../../daemon/hw/chips/ht16k33.ts';
import { Ht16k33Model } from '../../../hil/sim/chips/ht16k33.ts';
import { pictures } from './matrices.ts';
import { partRig } from './part-rig.ts';

t.test('a light is on from the threshold on, by its brightest channel', async () => {
  fc.assert(
    fc.property(pictures(16, 8), fc.integer({ min: 1, max: 255 }), (rgb, threshold) => {
      const ram = ht16k33Ram({ display: '16x8', threshold }, rgb, 1);
      const lit = [...ram].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
      const wanted = Array.from({ length: 128 }, (_, light) =>
        Math.max(...rgb.subarray(3 * light, 3 * light + 3)),
      );
      return lit === wanted.filter((value) => value >= threshold).length;
    }),
  );
});

t.test('red and green: nothing that is on is invisible, whatever its hue', async () => {
  fc.assert(
    fc.property(pictures(8, 8), (rgb) => {
      const ram = ht16k33Ram({ display: 'bicolour-8x8', threshold: 1 }, rgb, 1);
      return Array.from({ length: 64 }, (_, light) => light).every((light) => {
        const [x, y] = [light % 8, light >> 3];
        const isOn = (((ram[2 * x] ?? 0) | (ram[2 * x + 1] ?? 0)) >> y) & 1;
        return isOn === (rgb.subarray(3 * light, 3 * light + 3).some((value) => value > 0) ? 1 : 0);
      });
    }),
  );
});

t.test('a pulse becomes blinking, brightness never turns a light off', async (t) => {
  const model = new Ht16k33Model('8x8');
  const rig = partRig(t, ht16k33, { display: '8x8' }, model);
  await rig.open();
  const pulse = async (value: number, brightness: number) => {
    const rgb = new Uint8Array(192);
    rgb.fill(value, 0, 3);
    await rig.show({ rgb, brightness });
    return model.lights().rgb[0] ?? 0;
  };
  t.same([await pulse(255, 1), await pulse(20, 1), await pulse(255, 1)], [255, 0, 255]);
  t.ok((await pulse(255, 0.05)) > 0);
  t.equal(await pulse(255, 0), 0, 'but 0 is dark');
});

t.test(
  'a power dip while it is dark, with a RAM that comes up as 0, is over with the next picture',
  async (t) => {
    const model = new Ht16k33Model('8x8', 0);
    const rig = partRig(t, ht16k33, { display: '8x8' }, model);
    await rig.open();
    const lit = new Uint8Array(192).fill(255);
    for (const before of [new Uint8Array(192), lit, new Uint8Array(192)])
      await rig.show({ rgb: before, brightness: 1 });
    model.reset();
    await rig.show({ rgb: lit, brightness: 1 });
    t.ok(model.lights().rgb.every((level) => level === 255));
  },
);

t.test('dimming: sixteen steps, never brighter for less', async (t) => {
  t.same([0, 0.05, 0.6, 0.8, 1].map(ht16k33Dimming), [0, 0, 4, 9, 15]);
  const brightness = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(brightness, brightness, (a, b) =>
      a < b ? ht16k33Dimming(a) <= ht16k33Dimming(b) : ht16k33Dimming(b) <= ht16k33Dimming(a),
    ),
  );
});

t.test('config: the display must be named', async (t) => {
  t.notOk(ht16k33.schema.safeParse({}).success);
  t.notOk(ht16k33.schema.safeParse({ display: '8x8', threshold: 0 }).success);
  t.notOk(ht16k33.schema.safeParse({ display: '8x8', thresold: 1 }).success);
  t.same(ht16k33.schema.parse({ display: '16x8' }), { display: '16x8', threshold: 32 });
});
