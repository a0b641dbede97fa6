import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isLitIn } from '../../daemon/surface/font.ts';
import {
  type Picture,
  type PictureFault,
  paintPicture,
  pictureChangesAt,
} from '../../daemon/surface/pictures.ts';
import type { Fault, PodLight } from '../../daemon/surface/types.ts';
import { binding, desk, pods, Rig, view } from './rig.ts';

const faults: readonly PictureFault[] = ['network', 'refused', 'panel', 'identity'];
const pictures: readonly Picture[] = [
  { kind: 'boot' },
  { kind: 'pairing', code: '3F7A' },
  { kind: 'pairing', code: '4821-9037' },
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
  t.same(shape(paint({ kind: 'fault', fault: 'panel' }, 0), 8, 100), [
    '########',
    '#......#',
    '#......#',
    '#......#',
    '#......#',
    '#......#',
    '#......#',
    '########',
  ]);
  t.same(shape(paint({ kind: 'fault', fault: 'identity' }, 0), 8, 100), [
    '........',
    '........',
    '..####..',
    '..####..',
    '..####..',
    '..####..',
    '........',
    '........',
  ]);
  const hues = faults.map((fault) =>
    [...new Set(paint({ kind: 'fault', fault }, 0))].filter((part) => part > 0).join(),
  );
  t.equal(new Set(hues).size, faults.length, hues.join(' '));
  for (const [width, height] of [
    [8, 8],
    [16, 8],
    [13, 9],
    [4, 4],
    [8, 1],
  ] as const) {
    const counts = faults.map((fault) => flashes({ kind: 'fault', fault }, width, height));
    t.same(counts, [1, 2, 3, 4], `${width}x${height}: flashes tell them apart without hue or shape`);
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

/** The shapes that a code goes through, one a line of pictures beside each other. */
function pages(code: string, width: number, height: number): string[] {
  const picture: Picture = { kind: 'pairing', code };
  const seen: string[][] = [];
  for (let at = 0; at < 60_000; at += 1500) {
    const rgb = paint(picture, at, width, height);
    if (Math.max(...rgb) === 0) break;
    seen.push(shape(rgb, width, 100));
  }
  return Array.from({ length: height }, (_, row) => seen.map((rows) => rows[row]).join('  '));
}

t.test('the code of a TPM can be read on every matrix with room for a digit', async (t) => {
  t.same(pages('4821-9037', 8, 8), [
    '........  ........  ........  ........',
    '#.#.###.  ###..#..  ###.###.  ###.###.',
    '#.#.#.#.  ..#.##..  #.#.#.#.  ..#...#.',
    '###.###.  ###..#..  ###.#.#.  .##..#..',
    '..#.#.#.  #....#..  ..#.#.#.  ..#..#..',
    '..#.###.  ###.###.  ###.###.  ###..#..',
    '........  ........  ........  ........',
    '#.......  .#......  ..#.....  ...#....',
  ]);
  t.same(pages('4821-9037', 16, 8), [
    '................  ................',
    '#.#.###.###..#..  ###.###.###.###.',
    '#.#.#.#...#.##..  #.#.#.#...#...#.',
    '###.###.###..#..  ###.#.#..##..#..',
    '..#.#.#.#....#..  ..#.#.#...#..#..',
    '..#.###.###.###.  ###.###.###..#..',
    '................  ................',
    '#...............  .#..............',
  ]);
  t.same(pages('5566-1004', 35, 7), [
    '...................................',
    '###.###.###.###......#..###.###.#.#',
    '#...#...#...#.......##..#.#.#.#.#.#',
    '###.###.###.###.###..#..#.#.#.#.###',
    '..#...#.#.#.#.#......#..#.#.#.#...#',
    '###.###.###.###.....###.###.###...#',
    '#..................................',
  ]);
  t.equal(pages('4821-9037', 13, 9)[0]?.split('  ').length, 4, 'two and two rather than three and one');
  t.equal(pages('4821-9037', 5, 5)[0]?.split('  ').length, 8);
});

t.test('every character is another one', async (t) => {
  const drawn = new Set<string>();
  const characters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-';
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

t.test('a picture looks the same until it is said to change', async () => {
  const time = fc.nat(100_000);
  fc.assert(
    fc.property(
      fc.constantFrom(...pictures),
      fc.constantFrom(2, 8),
      time,
      time,
      (picture, side, at, part) => {
        const next = pictureChangesAt({ width: side, height: side }, picture, at);
        assert.ok(next >= at);
        const later = at + Math.floor((next - at) * (part / 100_001));
        assert.deepEqual(paint(picture, later, side, side), paint(picture, at, side, side));
        assert.ok(picture.kind === 'boot' || side === 2 || next > at, 'and it does not move all the time');
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

t.test('text says the code as well, while it is needed', async (t) => {
  const rig = new Rig(desk, [binding()]);
  const detail = () => rig.frame.link.detail;
  rig.apply({ type: 'pairing', code: '4821-9037' });
  t.not(detail(), '', 'not while it is online');
  t.notMatch(detail(), /4821/);
  rig.apply({ type: 'link', state: 'offline', detail: 'why', isAttested: false, fault: 'refused' });
  t.match(detail(), /4821-9037/);
  t.ok(`OFFLINE: ${detail()}`.length <= 56, 'a row of the display of a Mackie Control');
  rig.apply({ type: 'pairing', code: null });
  t.equal(detail(), 'why');
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

t.test('a frame is asked for when something changes, and then only', async (t) => {
  const rig = new Rig(desk, [binding()]);
  rig.slot(3);
  t.equal(rig.frame.isAnimated, false);
  t.equal(rig.surface.nextFrameAt(), null, 'nothing moves');
  rig.apply({ type: 'link', state: 'offline', detail: '', isAttested: true, fault: 'refused' });
  rig.at = 3000;
  const asked: number[] = [];
  while (rig.at < 6000) {
    asked.push(rig.at - 3000);
    t.ok(rig.frame.isAnimated);
    rig.at = rig.surface.nextFrameAt() ?? Number.NaN;
  }
  t.same(asked, [0, 225, 450, 675], 'two flashes begin and end');
  rig.apply({ type: 'link', state: 'offline', detail: '', isAttested: true, fault: null });
  t.ok(rig.frame.isAnimated);
  t.equal(rig.surface.nextFrameAt(), rig.at, 'the boot picture moves all the time');
});

t.test('frames that are drawn when they are asked for look as if drawn all the time', async () => {
  const state = fc.record({
    link: fc.constantFrom('online', 'stale', 'offline'),
    fault: fc.constantFrom(null, ...faults.filter((fault) => fault !== 'panel')),
    code: fc.constantFrom(null, '3F7A'),
    missing: fc.constantFrom(
      [],
      ['fader'],
      ['arm'],
      desk.controls.map(({ name }) => name),
    ),
    condition: fc.constantFrom('ok', 'denied', 'missing', 'blocked'),
    desired: fc.constantFrom(1, 70),
    light: fc.constantFrom<PodLight>('ready', 'crashed', 'pending'),
    isLockedAtStart: fc.boolean(),
  } as const);
  fc.assert(
    fc.property(state, fc.nat(10_000), (given, start) => {
      const { desired, condition, light, isLockedAtStart } = given;
      const rigs = [0, 1].map(() => {
        const rig = new Rig(desk, [binding({ max: 99 })], { isLockedAtStart });
        const state = { state: condition, reason: '', message: '' };
        rig.apply({
          type: 'slot',
          slot: 0,
          view: { ...view(desired), pods: pods(1, light), condition: state },
        });
        rig.apply({ type: 'link', state: given.link, detail: '', isAttested: true, fault: given.fault });
        rig.apply({ type: 'pairing', code: given.code });
        rig.apply({ type: 'missing', controls: given.missing });
        return rig;
      });
      const [lazy, eager] = rigs as [Rig, Rig];
      let due = 0;
      let shown: Uint8Array | undefined;
      for (let at = start + 20_000; at < start + 24_000; at += 25) {
        eager.at = at;
        eager.apply({ type: 'pairing', code: given.code });
        if (at >= due) {
          lazy.at = at;
          shown = lazy.frame.matrix?.rgb;
          due = lazy.surface.nextFrameAt() ?? Number.POSITIVE_INFINITY;
        }
        assert.deepEqual(shown, eager.frame.matrix?.rgb);
      }
    }),
    { numRuns: 60 },
  );
});

t.test('a control that acts on the whole surface is missing: a corner flashes', async (t) => {
  for (const control of ['arm', 'undo', 'next', 'previous', 'lock']) {
    const rig = new Rig(desk, [binding({ max: 99 })]);
    rig.slot(64);
    rig.apply({ type: 'missing', controls: [control] });
    rig.at = 10_000;
    t.same(rig.light(0, 7), [204, 121, 167], control);
    t.same(rig.light(7, 7), rig.light(1, 7), 'the other corner shows its Pod');
    t.equal(rig.surface.nextFrameAt(), 10_300);
    rig.at = 10_300;
    t.same(rig.light(0, 7), [0, 0, 0]);
    rig.apply({ type: 'missing', controls: [] });
    t.same(rig.light(0, 7), rig.light(1, 7));
    t.equal(rig.surface.nextFrameAt(), null);
  }
});

t.test('without any control the panel says so, and between the flashes what the cluster does', async (t) => {
  const all = desk.controls.map(({ name }) => name);
  const rig = new Rig(desk, [binding()]);
  rig.slot(1);
  rig.at = 30_000;
  const pods = [...(rig.frame.matrix?.rgb ?? [])];
  const rgb = () => [...(rig.frame.matrix?.rgb ?? [])];
  rig.apply({ type: 'missing', controls: all.slice(1) });
  t.notSame(rgb(), [...paint({ kind: 'fault', fault: 'panel' }, rig.at)], 'one is left');
  rig.apply({ type: 'missing', controls: all });
  t.same(rgb(), [...paint({ kind: 'fault', fault: 'panel' }, rig.at)]);
  rig.at += 300;
  t.same(rgb(), pods);
  for (const fault of [null, 'network', 'refused'] as const) {
    rig.apply({ type: 'link', state: 'offline', detail: '', isAttested: true, fault });
    t.same(rgb(), [...paint({ kind: 'fault', fault: 'panel' }, rig.at)], 'what is near goes first');
  }
  rig.apply({ type: 'pairing', code: '3F7A' });
  t.same(rgb(), [...paint({ kind: 'pairing', code: '3F7A' }, rig.at)]);
});
