import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import type { InputEvent } from '../input/device.ts';
import { eventType } from '../input/events.ts';
import { followKeys } from '../input/keys.ts';
import { inputName, keyCode } from '../input/wiring.ts';
import type { HostDriver, PartIo, PartSession } from './driver.ts';

const schema = z.strictObject({
  name: controlName.describe('Name of the control that the encoder is.'),
  device: inputName.describe('Name of the input device, e.g. `rotary@11`, or its path.'),
  pulsesPerDetent: z
    .int()
    .min(1)
    .max(16)
    .default(1)
    .describe('Steps that the driver reports from one detent to the next; 1 with `steps_per_period=1`.'),
  invert: z
    .boolean()
    .default(false)
    .describe('Clockwise counts down, as the driver itself does it with `steps_per_period=4`.'),
  push: z
    .strictObject({
      device: inputName.describe('Name of the input device of the push switch, e.g. `button@16`.'),
      code: keyCode.describe('Code of its key, e.g. 28.'),
    })
    .optional()
    .describe("Push switch behind the kernel's gpio-keys driver."),
});

/** Config of an encoder behind the kernel's driver. */
export type RotaryEncoderConfig = z.infer<typeof schema>;

/**
 * An encoder that the kernel's `rotary-encoder` driver reads, with a relative axis of any code
 * (Documentation/devicetree/bindings/input/rotary-encoder.yaml). Overlay on a Pi:
 * `dtoverlay=rotary-encoder,pin_a=17,pin_b=27,relative_axis=1`. What the kernel's queue lost is not counted.
 * The driver takes a leading A for clockwise with one or two steps a period and for the opposite with four
 * (rotary_encoder.c, rotary_encoder_quarter_period_irq).
 */
export const rotaryEncoder = {
  kind: 'host',
  part: 'rotary-encoder',
  title: "Encoder behind the kernel's rotary-encoder driver",
  schema,
  declare: ({ name, pulsesPerDetent }) => ({
    controls: [{ name, kind: 'encoder', pulsesPerDetent }],
    lights: null,
  }),
  needs: ({ device, push }) => ({
    lines: [],
    inputs: push === undefined ? [device] : [device, push.device],
    files: [],
  }),
  open: openEncoder,
} satisfies HostDriver<RotaryEncoderConfig>;

async function openEncoder(config: RotaryEncoderConfig, io: PartIo): Promise<PartSession> {
  const { name: control, push } = config;
  const turns = await io.openInput(config.device, {
    onEvents: (events) => {
      const pulses = pulsesOf(events) * (config.invert ? -1 : 1);
      const at = events.at(-1)?.at ?? io.time.now();
      if (pulses !== 0) io.report([{ type: 'turn', control, pulses, at }]);
    },
    // Steps are relative: those that were lost leave nothing to put right.
    onDropped: () => {},
    onLost: io.fail,
  });
  try {
    const pushes =
      push === undefined
        ? null
        : await followKeys({
            openInput: io.openInput,
            device: push.device,
            codes: [push.code],
            now: () => io.time.now(),
            onKey: (_code, isDown, at) => io.report([{ type: 'switch', control, isDown, at }]),
            onLost: io.fail,
          });
    const close = async () => {
      // Each on its own: one that is gone may not keep the other open, and whoever closes them knows why.
      await Promise.allSettled([turns.close(), pushes?.close()]);
    };
    return { poll: null, pollMs: 0, pollWithInterruptMs: 0, show: null, close };
  } catch (problem) {
    await turns.close();
    throw problem;
  }
}

function pulsesOf(events: readonly InputEvent[]): number {
  return events.reduce((sum, { type, value }) => (type === eventType.relative ? sum + value : sum), 0);
}
