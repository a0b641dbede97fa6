import t from 'tap';
import { frameRows, measureMatrix } from '../../bench/frame-bytes.ts';
import { MatrixOnBus, matrices } from '../../bench/matrices.ts';
import { scenesOf } from '../../bench/scenes.ts';
import { isMet } from '../../bench/types.ts';

for (const kind of matrices) {
  t.test(`${kind.name}: only what changes is sent, a whole frame always is`, async (t) => {
    const matrix = await MatrixOnBus.open(kind);
    const rgb = new Uint8Array(3 * matrix.width * matrix.height).fill(200);
    const whole = await matrix.showWhole(rgb);
    t.same(await matrix.show(rgb), { bytes: 0, busMs: 0 });
    t.same(await matrix.showWhole(rgb), whole, 'however well it is known');
    const one = rgb.slice().fill(0, 0, 3);
    const sent = await matrix.show(one);
    t.ok(sent.bytes > 0 && sent.busMs > 0);
    t.ok(sent.bytes <= whole.bytes, `${sent.bytes} of ${whole.bytes}`);
    const lights = matrix.width * matrix.height;
    t.ok(whole.bytes > lights / 8, 'a bit a light at least');
  });
}

t.test('scenes begin at boot and end at rest', async (t) => {
  for (const [width, height] of [
    [8, 8],
    [4, 4],
    [16, 9],
  ] as const) {
    const scenes = scenesOf(width, height);
    for (const { name, frames, seconds } of scenes) {
      t.ok(frames.every(({ length }) => length === 3 * width * height));
      t.ok(frames.length <= 25 * seconds);
      t.equal(frames.length > 0, name !== 'idle', `${width}x${height}: ${name}`);
    }
  }
});

t.test('rows of one matrix, and of all', async (t) => {
  const kind = matrices.find(({ name }) => name === 'HT16K33 8x8');
  const measured = await measureMatrix(kind!);
  const rows = frameRows([measured, { ...measured, name: 'slow', longestMs: 10.5, idleBytes: 1 }]);
  t.equal(rows.length, 6);
  t.same(
    rows.map((row) => isMet(row)),
    [null, false, null, true, null, false],
  );
  const [first] = rows;
  t.ok(first!.ours > 0 && first!.ratio < 0.5);
  t.equal(measured.idleBytes, 0);
});
