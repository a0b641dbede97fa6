/**
 * Adafruit I2C Quad Rotary Encoder (product 5752): four encoders with push buttons and four NeoPixels behind an ATtiny817.
 * Pins as in Adafruit_Seesaw `PID5752_QuadEncoder_demo` and Adafruit_CircuitPython_seesaw `examples/seesaw_quadrotary.py`:
 * pushes on 12, 14, 17, 9 (low while pressed), pixels on 18; firmware `example_pid5752` of Adafruit_seesawPeripheral, which
 * looks at the contacts every 3 ms. That clockwise counts down is what the comment in the second example says, and not
 * what it does: `invert` turns it around. Not run on the part.
 */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import type { I2cDriver } from './driver.ts';
import { noNeeds } from './driver.ts';
import { probeSeesaw, promptPauseMs } from './seesaw.ts';
import { type EncoderBoard, encoderControls, openEncoders } from './seesaw-encoder.ts';

const board: EncoderBoard = {
  kind: { name: 'Adafruit quad rotary encoder', product: 5752, options: 0, readPauseMs: promptPauseMs },
  pushPins: [12, 14, 17, 9],
  pixelPin: 18,
};

const schema = z.strictObject({
  names: z
    .array(controlName)
    .length(board.pushPins.length)
    .default(['encoder1', 'encoder2', 'encoder3', 'encoder4'])
    .describe('Names of the four encoders, in the order of the board; their pushes have the same.'),
  invert: z.boolean().default(false).describe('Turns the direction of all four encoders around.'),
});

/** Config of {@link seesawQuadEncoder}. */
export type SeesawQuadEncoderConfig = z.infer<typeof schema>;

/** Adafruit I2C Quad Rotary Encoder. */
export const seesawQuadEncoder = {
  kind: 'i2c',
  part: 'seesaw-quad-encoder',
  title: 'Adafruit I2C Quad Rotary Encoder 5752, four encoders with push and NeoPixels',
  schema,
  addresses: [0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x50],
  selector: 'its jumpers A0 to A2',
  declare: ({ names }) => ({ controls: encoderControls(names), lights: null }),
  needs: () => noNeeds,
  probe: (device, time) => probeSeesaw(board.kind, device, time),
  open: (names, device, io) => openEncoders(board, names, device, io),
} satisfies I2cDriver<SeesawQuadEncoderConfig>;
