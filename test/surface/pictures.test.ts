import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isLitIn } from '../../daemon/surface/font.ts';
import { type Picture, paintPicture } from '../../daemon/surface/pictures.ts';
import type { Fault } from '../../daemon/surface/types.ts';
import { binding, desk, Rig, view } from './rig.ts';

const faults: readonly Fault[] = ['network', 'refused'];
const pictures: readonly Picture[] = [
  { kind: 'boot' },
  { kind: 'pairing', code: '3F7A' },
  ...faults.map((fault): Picture => ({ kind: 'fault', fault })),
];

function paint(picture: Picture, at: number, width = 8, height = 8): Uint8Array {
  const rgb = new Uint8Array(width * height * 3);
  paintPicture({ width, height, rgb }, picture, at);
  return rgb;
}

/** Rows of `#` and `.`: which lights are brighter than the threshold. */
function shape(rgb: Uint8Array, width: number, threshold: number): string[] {
  const lights = Array.from({ length: rgb.length / 3 }, (_, index) =>
    Math.max(...rgb.subarray(index * 3, index * 3 + 3)) > threshold ? '#' : '.',
  );
  return Array.from({ length: lights.length / width }, (_, row) =>
    lights.slice(row * width, (row + 1) * width).join(''),
  );
}

/** How often all of a picture gets bright in a period. */
function flashes(picture: Picture, width: number, height: number): number {
  let count = 0;
  let wasBright = false;
  for (let at = 0; at < 3000; at += 25) {
    const isBright = Math.max(...paint(picture, at, width, height)) > 128;
    if (isBright && !wasBright) count++;
    wasBright = isBright;
  }
  return count;
}

t.test('faults differ in shape, in hue and in the number of flashes', async (t) => {
  t.same(shape(paint({ kind: 'fault', fault: 'network' }, 0), 8, 100), [
    '........',
    '........',
    '........',
    '###..###',
    '###..###',
    '........',
    '........',
    '........',
  ]);
  t.same(shape(paint({ kind: 'fault', fault: 'refused' }, 0), 8, 100), [
    '#......#',
    '.#....#.',
    '..#..#..',
    '...##...',
    '...##...',
    '..#..#..',
    '.#....#.',
    '#......#',
  ]);
  const hues = faults.map((fault) =>
    [...paint({ kind: 'fault', fault }, 0)].filter((part) => part > 0).sort(),
  );
  t.notSame(hues[0], hues[1]);
  for (const [width, height] of [
    [8, 8],
    [16, 8],
    [13, 9],
    [4, 4],
    [8, 1],
  ] as const) {
    const counts = faults.map((fault) => flashes({ kind: 'fault', fault }, width, height));
    t.same(counts, [1, 2], `${width}x${height}: flashes tell them apart without hue or shape`);
  }
});

t.test('a fault stays visible between its flashes', async (t) => {
  for (const fault of faults)
    for (let at = 0; at < 6000; at += 50) t.ok(Math.max(...paint({ kind: 'fault', fault }, at)) > 15);
});

t.test('the boot picture moves, and is faint and white', async (t) => {
  const seen = new Set<string>();
  for (let at = 0; at < 1600; at += 100) {
    const rgb = paint({ kind: 'boot' }, at);
    seen.add(rgb.join());
    t.ok(Math.max(...rgb) <= 128);
    for (let index = 0; index < rgb.length; index += 3) assert.equal(rgb[index], rgb[index + 2]);
  }
  t.ok(seen.size > 10);
});

t.test('a pairing code is shown two characters at a time, with the place of each pair', async (t) => {
  const first = shape(paint({ kind: 'pairing', code: '3F7A' }, 0), 8, 100);
  t.same(first, [
    '........',
    '###.###.',
    '..#.#...',
    '.##.##..',
    '..#.#...',
    '###.#...',
    '........',
    '#.......',
  ]);
  const second = shape(paint({ kind: 'pairing', code: '3F7A' }, 1500), 8, 100);
  t.same(second, [
    '........',
    '###..#..',
    '..#.#.#.',
    '.#..###.',
    '.#..#.#.',
    '.#..#.#.',
    '........',
    '.#......',
  ]);
  const pause = paint({ kind: 'pairing', code: '3F7A' }, 3300);
  t.equal(Math.max(...pause), 0, 'a pause before it begins again');
  t.ok(Math.max(...paint({ kind: 'pairing', code: '3F7A' }, 1500, 2, 2)) > 0, 'too small: a pulse');
});

t.test('every character is another one', async (t) => {
  const drawn = new Set<string>();
  const characters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  for (const character of characters) {
    const rows = [0, 1, 2, 3, 4].map((row) =>
      [0, 1, 2].map((column) => isLitIn(character, column, row)).join(),
    );
    drawn.add(rows.join());
  }
  t.equal(drawn.size, characters.length);
  t.equal(isLitIn('?', 0, 0), false);
});

t.test('any picture on any matrix at any time stays within its lights', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...pictures),
      fc.integer({ min: 1, max: 32 }),
      fc.integer({ min: 1, max: 32 }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      (picture, width, height, at) => {
        // A write beyond the lights would be lost in the array: the last light of a longer one stays dark.
        const rgb = new Uint8Array(width * height * 3 + 300);
        paintPicture({ width, height, rgb }, picture, at);
        assert.equal(Math.max(...rgb.subarray(width * height * 3)), 0);
      },
    ),
  );
});

t.test('offline shows booting, then the fault, and the pairing code before both', async (t) => {
  const rig = new Rig(desk, [binding()]);
  const shown = () => shape(Uint8Array.from(rig.frame.matrix?.rgb ?? []), 8, 100).join('/');
  rig.at = 3000;
  const fault = (kind: Fault | null) =>
    rig.apply({ type: 'link', state: 'offline', detail: '', isAttested: true, fault: kind });
  const expected = (picture: Picture) => shape(paint(picture, rig.at), 8, 100).join('/');
  fault(null);
  t.equal(shown(), expected({ kind: 'boot' }));
  fault('network');
  t.equal(shown(), expected({ kind: 'fault', fault: 'network' }));
  fault('refused');
  t.equal(shown(), expected({ kind: 'fault', fault: 'refused' }));
  rig.apply({ type: 'pairing', code: '3F7A' });
  t.equal(shown(), expected({ kind: 'pairing', code: '3F7A' }));
  rig.apply({ type: 'pairing', code: null });
  t.equal(shown(), expected({ kind: 'fault', fault: 'refused' }));
});

t.test('the row of a control that is missing flashes at both ends until it is back', async (t) => {
  const rig = new Rig(desk, [
    binding({ slot: 0, control: 'fader' }),
    binding({ slot: 1, control: 'encoder' }),
  ]);
  for (const slot of [0, 1]) rig.apply({ type: 'slot', slot, view: view(1) });
  rig.at = 10_000;
  t.equal(rig.frame.isAnimated, false);
  rig.apply({ type: 'missing', controls: ['encoder'] });
  t.equal(rig.frame.isAnimated, true);
  const row = 4;
  const ends = () => [rig.light(row * 8), rig.light(row * 8 + 7)];
  rig.at = 20_000;
  t.same(ends(), [
    [204, 121, 167],
    [204, 121, 167],
  ]);
  rig.at = 20_500;
  t.notSame(ends()[1], [204, 121, 167]);
  t.same(
    rig.frame.strips.map((strip) => strip.isControlMissing),
    [false, true],
  );
  rig.apply({ type: 'missing', controls: [] });
  t.equal(rig.frame.isAnimated, false);
});
