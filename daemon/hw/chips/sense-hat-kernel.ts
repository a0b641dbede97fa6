/**
 * Raspberry Pi Sense HAT through its kernel driver: the lights are a frame buffer, the joystick is an input device.
 * raspberrypi/linux, `drivers/video/fbdev/rpisense-fb.c` (name, 8x8 RGB565, 16 bytes a row, the curve of its levels),
 * `drivers/input/joystick/rpisense-js.c` and `sensehat-joystick.c` (name and keys, the same in both). Not run on the
 * kernel driver.
 */
import { z } from 'zod';
import { type FrameBuffer, frameBuffersIn, type OpenFrameBuffer } from '../framebuffer.ts';
import type { InputDevice } from '../input/device.ts';
import { followKeys } from '../input/keys.ts';
import { levelsOf } from '../lights/levels.ts';
import type { HostDriver, PartIo, PartPicture, PartSession } from './driver.ts';
import { senseHatSpec } from './sense-hat.ts';

const schema = z.strictObject({});

/** A Sense HAT behind its kernel driver has no fields of its own. */
export type SenseHatKernelConfig = z.infer<typeof schema>;

const frameBufferName = 'RPi-Sense FB';
const joystickName = 'Raspberry Pi Sense HAT Joystick';
const rowBytes = 16;
const rows = 8;

/** The keys, Linux include/uapi/linux/input-event-codes.h. */
const controlOfKey: ReadonlyMap<number, string> = new Map([
  [103, 'up'],
  [108, 'down'],
  [105, 'left'],
  [106, 'right'],
  [28, 'enter'],
]);

/**
 * The kernel bends the levels by a table of its own that shows steps 0 to 5 as dark, 6 as the faintest light; so the
 * steps are straight here, and a light that is on has at least 6.
 */
const steps = { max: 31, floor: 6, exponent: 1 };

/** The frame buffer for a picture: 128 bytes, RGB565 little endian. */
export function senseHatPixels(rgb: Uint8Array, brightness: number): Uint8Array {
  const levels = levelsOf(rgb, 3, brightness, steps);
  const pixels = new Uint8Array(rows * rowBytes);
  const view = new DataView(pixels.buffer);
  for (let light = 0; light < pixels.length / 2; light++) {
    const [red = 0, green = 0, blue = 0] = levels.subarray(3 * light, 3 * light + 3);
    // Green has six bits, of which the kernel takes the upper five.
    view.setUint16(2 * light, (red << 11) | (green << 6) | blue, true);
  }
  return pixels;
}

class SenseHatKernelSession implements PartSession {
  readonly poll = null;
  readonly pollMs = 0;
  readonly pollWithInterruptMs = 0;
  readonly #frameBuffer: FrameBuffer;
  readonly #joystick: InputDevice;
  /** Null: not known. */
  #pixels: Uint8Array | null = null;

  constructor(frameBuffer: FrameBuffer, joystick: InputDevice) {
    this.#frameBuffer = frameBuffer;
    this.#joystick = joystick;
  }

  async show({ rgb, brightness }: PartPicture): Promise<void> {
    if (rgb !== null) await this.#write(senseHatPixels(rgb, brightness));
  }

  async #write(pixels: Uint8Array): Promise<void> {
    const shown = this.#pixels;
    this.#pixels = null;
    for (let offset = 0; offset < pixels.length; offset += rowBytes) {
      const row = pixels.subarray(offset, offset + rowBytes);
      if (shown === null || row.some((byte, at) => byte !== shown[offset + at]))
        await this.#frameBuffer.write(offset, row);
    }
    this.#pixels = pixels;
  }

  /** Dark, whatever was there before. */
  async start(): Promise<void> {
    await this.#write(new Uint8Array(rows * rowBytes));
  }

  async close(): Promise<void> {
    this.#pixels = null;
    // Each step on its own: the HAT may be gone, or its driver unloaded, and whoever closes it knows why.
    await this.start().catch(() => {});
    await this.#frameBuffer.close().catch(() => {});
    await this.#joystick.close().catch(() => {});
  }
}

function openJoystick(io: PartIo): Promise<InputDevice> {
  return followKeys({
    openInput: io.openInput,
    device: joystickName,
    codes: [...controlOfKey.keys()],
    now: () => io.time.now(),
    onKey: (code, isDown, at) => {
      const control = controlOfKey.get(code);
      if (control !== undefined) io.report([{ type: 'switch', control, isDown, at }]);
    },
    onLost: io.fail,
  });
}

/** The driver on the frame buffers that `openFrameBuffer` finds. */
export function senseHatKernelOn(openFrameBuffer: OpenFrameBuffer): HostDriver<SenseHatKernelConfig> {
  return {
    part: 'sense-hat-kernel',
    title: 'Raspberry Pi Sense HAT, 8x8 RGB lights and joystick, through its kernel driver',
    kind: 'host',
    schema,
    declare: () => senseHatSpec,
    needs: () => ({ lines: [], inputs: [joystickName], files: [frameBufferName] }),
    async open(_config, io) {
      const frameBuffer = await openFrameBuffer({
        name: frameBufferName,
        width: 8,
        height: rows,
        bitsPerPixel: 16,
        stride: rowBytes,
      });
      const joystick = await openJoystick(io).catch(async (error: unknown) => {
        await frameBuffer.close();
        throw error;
      });
      const session = new SenseHatKernelSession(frameBuffer, joystick);
      try {
        await session.start();
      } catch (error) {
        await session.close();
        throw error;
      }
      return session;
    },
  };
}

/** Raspberry Pi Sense HAT through its kernel driver. */
export const senseHatKernel = senseHatKernelOn(frameBuffersIn('/'));
