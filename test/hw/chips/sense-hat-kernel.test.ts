/** The Sense HAT behind its kernel driver: pixels into a frame buffer, keys out of an input device. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { PartIo, PartPicture, RawInput } from '../../../daemon/hw/chips/driver.ts';
import {
  senseHatKernel,
  senseHatKernelOn,
  senseHatPixels,
} from '../../../daemon/hw/chips/sense-hat-kernel.ts';
import type { FrameBuffer } from '../../../daemon/hw/framebuffer.ts';
import type { InputHandlers } from '../../../daemon/hw/input/device.ts';
import { pictures } from './matrices.ts';
import { ioOf, ManualTime } from './part-rig.ts';

/** Keys and pixels in the hands of the test. */
class Bench {
  readonly pixels = new Uint8Array(128).fill(0xee);
  /** Offset and length of each write. */
  readonly writes: [offset: number, length: number][] = [];
  readonly reports: RawInput[] = [];
  readonly failures: Error[] = [];
  readonly keysDown = new Set<number>();
  readonly open: string[] = [];
  isBroken = false;
  areKeysGone = false;
  handlers: InputHandlers | null = null;
  readonly driver = senseHatKernelOn(async ({ name }) => {
    this.open.push(name);
    return this.#frameBuffer();
  });
  readonly io: PartIo = {
    ...ioOf(new ManualTime(), this.reports, this.failures),
    openInput: async (name, handlers) => {
      this.open.push(name);
      this.handlers = handlers;
      const keysDown = () => {
        if (this.areKeysGone) throw new SurfacedError('E_HW_INPUT', 'ENODEV');
        return this.keysDown;
      };
      return { keysDown, close: async () => this.#closed(name) };
    },
  };

  #frameBuffer(): FrameBuffer {
    return {
      write: async (offset, bytes) => {
        if (this.isBroken) throw new SurfacedError('E_HW_FRAME_BUFFER', 'gone');
        this.writes.push([offset, bytes.length]);
        this.pixels.set(bytes, offset);
      },
      close: async () => this.#closed('RPi-Sense FB'),
    };
  }

  #closed(name: string): void {
    this.open.splice(this.open.indexOf(name), 1);
  }

  key(code: number, value: number): void {
    this.handlers?.onEvents([{ type: 1, code, value, at: 5 }]);
  }
}

async function opened(t: Test) {
  const bench = new Bench();
  const session = await bench.driver.open({}, bench.io);
  t.teardown(() => session.close());
  const show = (rgb: Uint8Array, brightness = 1): Promise<void> | undefined =>
    session.show?.({ rgb, brightness, controls: new Map() } satisfies PartPicture);
  return { bench, session, show };
}

t.test('pixels are RGB565, low byte first', async (t) => {
  const rgb = new Uint8Array(192);
  rgb.set([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 1, 0, 0, 128, 128, 128]);
  const hex = Buffer.from(senseHatPixels(rgb, 1)).toString('hex', 0, 12);
  // Full red f800, green 07c0 (its lowest bit is not used), blue 001f; the faintest red is step 6: 3000; half is step 16.
  t.equal(hex, '00f8c0071f00dfff00301084');
  t.ok(senseHatPixels(new Uint8Array(192).fill(255), 0).every((byte) => byte === 0));
});

t.test('what is on is at a step that the kernel shows', async () => {
  fc.assert(
    fc.property(pictures(8, 8), fc.double({ min: 0.01, max: 1, noNaN: true }), (rgb, brightness) => {
      const pixels = Buffer.from(senseHatPixels(rgb, brightness));
      return Array.from({ length: 64 }, (_, light) => light).every((light) => {
        const pixel = pixels.readUInt16LE(2 * light);
        const brightest = Math.max(pixel >> 11, (pixel >> 6) & 31, pixel & 31);
        return rgb.subarray(3 * light, 3 * light + 3).some((value) => value > 0)
          ? brightest >= 6
          : brightest === 0;
      });
    }),
  );
});

t.test('dark at open and at close, only changed rows between', async (t) => {
  const { bench, session, show } = await opened(t);
  t.ok(bench.pixels.every((byte) => byte === 0));
  bench.writes.length = 0;
  const rgb = new Uint8Array(192);
  rgb.fill(255, 3 * 8 * 2, 3 * 8 * 2 + 3);
  await show(rgb);
  await show(rgb.slice());
  t.same(bench.writes, [[32, 16]]);
  t.same([...bench.pixels.subarray(32, 34)], [0xdf, 0xff]);
  await session.close();
  t.ok(bench.pixels.every((byte) => byte === 0));
  t.same(bench.open, []);
});

t.test('after a failed write all rows are sent; closing what is gone does not reject', async (t) => {
  const { bench, session, show } = await opened(t);
  bench.isBroken = true;
  await t.rejects(Promise.resolve(show(new Uint8Array(192).fill(9))), { code: 'E_HW_FRAME_BUFFER' });
  bench.isBroken = false;
  bench.writes.length = 0;
  await show(new Uint8Array(192));
  t.equal(bench.writes.length, 8);
  bench.isBroken = true;
  await t.resolves(session.close());
  t.same(bench.open, []);
});

t.test('keys: all at the start, then presses and releases, no repeats', async (t) => {
  const { bench } = await opened(t);
  t.same(
    bench.reports.splice(0).map((input) => (input.type === 'switch' ? [input.control, input.isDown] : [])),
    ['up', 'down', 'left', 'right', 'enter'].map((name) => [name, false]),
  );
  bench.key(103, 1);
  bench.key(103, 2);
  bench.key(103, 0);
  bench.key(28, 1);
  bench.key(30, 1);
  t.same(bench.reports.splice(0), [
    { type: 'switch', control: 'up', isDown: true, at: 5 },
    { type: 'switch', control: 'up', isDown: false, at: 5 },
    { type: 'switch', control: 'enter', isDown: true, at: 5 },
  ]);
});

t.test('events that were lost: the keys are asked for, and differences are told', async (t) => {
  const { bench } = await opened(t);
  bench.reports.length = 0;
  bench.keysDown.add(105);
  bench.handlers?.onDropped();
  t.match(bench.reports, [{ type: 'switch', control: 'left', isDown: true }]);
  t.equal(bench.reports.length, 1);
  const problem = new Error('gone');
  bench.handlers?.onLost(problem);
  t.same(bench.failures, [problem]);
});

t.test('keys that cannot be asked for are a loss of the part, and leave nothing open', async (t) => {
  const { bench } = await opened(t);
  bench.areKeysGone = true;
  t.doesNotThrow(() => bench.handlers?.onDropped(), 'it is called by the event loop itself');
  t.match(bench.failures, [{ code: 'E_HW_INPUT' }]);
  const other = new Bench();
  other.areKeysGone = true;
  await t.rejects(other.driver.open({}, other.io), { code: 'E_HW_INPUT' });
  t.same(other.open, []);
});

t.test('without its joystick, or with a frame buffer that takes nothing, nothing stays open', async (t) => {
  const bench = new Bench();
  const io: PartIo = {
    ...bench.io,
    openInput: async () => Promise.reject(new SurfacedError('E_HW_INPUT', 'none')),
  };
  await t.rejects(bench.driver.open({}, io), { code: 'E_HW_INPUT' });
  t.same(bench.open, []);
  bench.isBroken = true;
  await t.rejects(bench.driver.open({}, bench.io), { code: 'E_HW_FRAME_BUFFER' });
  t.same(bench.open, []);
});

t.test('what it occupies', async (t) => {
  t.same(senseHatKernel.needs({}), {
    lines: [],
    inputs: ['Raspberry Pi Sense HAT Joystick'],
    files: ['RPi-Sense FB'],
  });
});
