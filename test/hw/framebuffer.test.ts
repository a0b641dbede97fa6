/** Frame buffers by name, in a folder that stands for the machine. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { frameBuffersIn } from '../../daemon/hw/framebuffer.ts';

const shape = { name: 'RPi-Sense FB', width: 8, height: 8, bitsPerPixel: 16, stride: 16 };

function machine(t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'surfaced-framebuffer-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  return root;
}

function addFrameBuffer(root: string, number: number, attributes: Record<string, string>): void {
  const folder = join(root, `sys/class/graphics/fb${number}`);
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(attributes)) writeFileSync(join(folder, name), `${value}\n`);
  mkdirSync(join(root, 'dev'), { recursive: true });
  writeFileSync(join(root, `dev/fb${number}`), Buffer.alloc(128, 0xee));
}

const hdmi = { name: 'vc4drmfb', virtual_size: '1920,1080', bits_per_pixel: '32', stride: '7680' };
const sense = { name: shape.name, virtual_size: '8,8', bits_per_pixel: '16', stride: '16' };

t.test('the one of that name, whatever its number; bytes where they belong', async (t) => {
  const root = machine(t);
  addFrameBuffer(root, 0, hdmi);
  addFrameBuffer(root, 1, sense);
  const frameBuffer = await frameBuffersIn(root)(shape);
  await frameBuffer.write(16, Uint8Array.of(1, 2, 3));
  await frameBuffer.write(127, Uint8Array.of(9));
  await frameBuffer.close();
  const bytes = readFileSync(join(root, 'dev/fb1'));
  t.equal(bytes.length, 128);
  t.same([...bytes.subarray(15, 20)], [0xee, 1, 2, 3, 0xee]);
  t.equal(bytes[127], 9);
  t.ok(readFileSync(join(root, 'dev/fb0')).every((byte) => byte === 0xee));
});

t.test('absent, of another shape, without its device', async (t) => {
  const root = machine(t);
  const open = frameBuffersIn(root);
  await t.rejects(open(shape), { code: 'E_HW_FRAME_BUFFER', message: /no frame buffer named RPi-Sense FB/ });
  addFrameBuffer(root, 0, hdmi);
  await t.rejects(open(shape), { code: 'E_HW_FRAME_BUFFER' });
  addFrameBuffer(root, 1, { ...sense, bits_per_pixel: '32' });
  await t.rejects(open(shape), { code: 'E_HW_FRAME_BUFFER', message: /fb1 .* is 8,8 at 32 bits, 16 bytes/ });
  addFrameBuffer(root, 1, sense);
  rmSync(join(root, 'dev/fb1'));
  await t.rejects(open(shape), { code: 'E_HW_FRAME_BUFFER', message: /dev\/fb1 cannot be opened/ });
});

t.test('a write that fails says so', async (t) => {
  const root = machine(t);
  addFrameBuffer(root, 1, sense);
  const frameBuffer = await frameBuffersIn(root)(shape);
  await frameBuffer.close();
  await t.rejects(frameBuffer.write(0, Uint8Array.of(1)), { code: 'E_HW_FRAME_BUFFER' });
});
