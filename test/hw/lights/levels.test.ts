/** Levels of lights: what is dark stays dark, what is on is seen, brighter is never darker. */
import fc from 'fast-check';
import t from 'tap';
import { brightestChannels, eyeExponent, levelsOf, settingOf } from '../../../daemon/hw/lights/levels.ts';

const scale = { max: 255, floor: 1, exponent: eyeExponent };
const byte = fc.nat({ max: 255 });

t.test('ends and middle', async (t) => {
  t.same([...levelsOf(Uint8Array.of(0, 1, 128, 255), 1, 1, scale)], [0, 1, 56, 255]);
  t.same([...levelsOf(Uint8Array.of(255, 255), 1, 0.5, scale)], [55, 55]);
  t.same([...levelsOf(Uint8Array.of(255), 1, 0, scale)], [0], 'brightness 0 is dark');
  t.same([...levelsOf(Uint8Array.of(255), 1, 7, scale)], [255], 'never beyond the whole');
  t.same([...levelsOf(Uint8Array.of(0, 128, 255), 1, 1, { max: 31, floor: 6, exponent: 1 })], [0, 16, 31]);
});

t.test('a light that would vanish is lifted as a whole and keeps its hue', async (t) => {
  t.same([...levelsOf(Uint8Array.of(0, 9, 14), 3, 0.1, { ...scale, floor: 100 })], [0, 38, 100]);
});

t.test('dark is dark, on is seen, grey is monotonic in value and brightness', async () => {
  const cases = [scale, { ...scale, floor: 90 }, { max: 31, floor: 1, exponent: eyeExponent }];
  fc.assert(
    fc.property(
      fc.constantFrom(...cases),
      byte,
      byte,
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (scale, a, b, brightness) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        const level = (value: number, bright: number) =>
          Math.max(...levelsOf(Uint8Array.of(value, value, value), 3, bright, scale));
        return (
          level(0, brightness) === 0 &&
          (high === 0 || level(high, brightness) >= scale.floor) &&
          level(low, brightness) <= level(high, brightness) &&
          level(high, brightness) <= level(high, 1) &&
          level(high, 1) <= scale.max
        );
      },
    ),
  );
});

t.test('lights of one colour take the brightest channel', async (t) => {
  t.same([...brightestChannels(Uint8Array.of(1, 2, 3, 0, 0, 0, 9, 0, 8))], [3, 0, 9]);
});

t.test('a setting is 0 only when the brightness is', async (t) => {
  t.same(
    [0, 0.001, 0.1, 0.5, 1].map((brightness) => settingOf(brightness, 255)),
    [0, 1, 2, 55, 255],
  );
});
