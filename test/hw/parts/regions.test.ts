import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { RawInput } from '../../../daemon/hw/chips/driver.ts';
import { padGridOf, turnedInput } from '../../../daemon/hw/parts/pad-grid.ts';
import {
  cut,
  lightsOf,
  overlap,
  type Rotation,
  regionAt,
  turnedPlace,
  turnedSize,
} from '../../../daemon/hw/parts/regions.ts';

const side = fc.integer({ min: 1, max: 16 });
const size = fc.record({ width: side, height: side });
const rotation = fc.constantFrom<Rotation>(0, 90, 180, 270);
const at = fc.tuple(fc.nat(20), fc.nat(20));

t.test('four quarter turns are none, two are a half, three the other way round', async (t) => {
  fc.assert(
    fc.property(size, fc.nat(255), (own, light) => {
      const start = [light % own.width, Math.floor(light / own.width) % own.height] as const;
      let place: readonly [number, number] = start;
      let turned = own;
      for (const rotate of [90, 180, 270, 0] as const) {
        place = turnedPlace(turned, 90, place[0], place[1]);
        turned = turnedSize(turned, 90);
        assert.deepEqual(place, turnedPlace(own, rotate, start[0], start[1]));
        assert.deepEqual(turned, turnedSize(own, rotate));
      }
    }),
  );
  t.same(turnedPlace({ width: 3, height: 2 }, 90, 0, 0), [1, 0], 'clockwise: top left goes to top right');
});

t.test('each light of the region goes to exactly one light of the part', async (t) => {
  fc.assert(
    fc.property(size, at, rotation, (own, place, rotate) => {
      const region = regionAt(place, own, rotate);
      const matrix = { width: region.x + region.width + 1, height: region.y + region.height + 2 };
      const expected: number[] = [];
      for (let y = region.y; y < region.y + region.height; y++)
        for (let x = region.x; x < region.x + region.width; x++) expected.push(y * matrix.width + x);
      assert.deepEqual(
        lightsOf(region, matrix)?.toSorted((a, b) => a - b),
        expected,
      );
    }),
  );
  t.equal(lightsOf(regionAt([1, 0], { width: 2, height: 1 }, 0), { width: 2, height: 1 }), null);
});

t.test('regions overlap exactly when they share a light', async () => {
  const matrix = { width: 40, height: 40 };
  fc.assert(
    fc.property(size, at, rotation, size, at, rotation, (ownA, atA, rotateA, ownB, atB, rotateB) => {
      const [a, b] = [regionAt(atA, ownA, rotateA), regionAt(atB, ownB, rotateB)];
      const lightsA = new Set(lightsOf(a, matrix));
      const isShared = lightsOf(b, matrix)?.some((light) => lightsA.has(light));
      assert.equal(overlap(a, b), isShared);
      assert.equal(overlap(b, a), isShared);
    }),
  );
});

t.test('a frame that is too small leaves lights dark', async (t) => {
  t.same([...cut(Uint8Array.of(1, 2, 3, 4, 5, 6), [1, 0, 7])], [4, 5, 6, 1, 2, 3, 0, 0, 0]);
  t.same([...cut(new Uint8Array(0), [0])], [0, 0, 0]);
});

t.test('keys under lights turn with them', async (t) => {
  const rows = ['row1', 'row2', 'row3', 'row4'];
  const square = {
    controls: rows.map((name) => ({ name, kind: 'pads' as const, steps: 4 })),
    lights: { width: 4, height: 4, colours: 'rgb' as const },
  };
  const key = (control: string, index: number): RawInput => ({
    type: 'switch',
    control,
    index,
    isDown: true,
    at: 0,
  });
  const turned = (rotate: Rotation, input: RawInput): RawInput => {
    const grid = padGridOf(square, rotate);
    if (grid === 'impossible') throw new Error('impossible');
    return turnedInput(grid, input);
  };
  t.same(turned(0, key('row1', 1)), key('row1', 1));
  t.same(turned(90, key('row1', 1)), key('row2', 3));
  t.same(turned(180, key('row1', 1)), key('row4', 2));
  t.same(turned(270, key('row1', 1)), key('row3', 0));
  t.same(turned(180, key('other', 1)), key('other', 1));
  const unsure = (...controls: string[]): RawInput => ({ type: 'unsure', controls, at: 0 });
  t.same(turned(90, unsure('row2')), unsure('row2', 'row1', 'row3', 'row4'));
  t.same(turned(90, unsure('other')), unsure('other'));
  const wide = { ...square, controls: square.controls.slice(0, 2), lights: { ...square.lights, height: 2 } };
  t.equal(padGridOf(wide, 90), 'impossible');
  t.not(padGridOf(wide, 180), 'impossible');
  t.equal(padGridOf({ ...square, lights: null }, 90), null);
});
