import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import { followKeys } from '../input/keys.ts';
import { inputName, keyCode } from '../input/wiring.ts';
import type { HostDriver, PartIo, PartSession } from './driver.ts';

const schema = z
  .strictObject({
    device: inputName.describe('Name of the input device, e.g. `button@16`, or its path.'),
    keys: z
      .array(
        z.strictObject({
          code: keyCode.describe('Code of the key as `linux,code` or `keycode=` of the overlay says it.'),
          name: controlName.describe('Name of the control that the button is.'),
        }),
      )
      .min(1)
      .max(64)
      .describe('Keys of the device that are buttons of the panel.'),
  })
  .refine(
    ({ keys }) =>
      new Set(keys.map(({ code }) => code)).size === keys.length &&
      new Set(keys.map(({ name }) => name)).size === keys.length,
    'codes and names are different from each other',
  );

/** Config of buttons behind the kernel's driver. */
export type GpioKeysConfig = z.infer<typeof schema>;

/**
 * Buttons that the kernel's `gpio-keys` driver reads (Documentation/devicetree/bindings/input/gpio-keys.yaml), or any
 * other input device with keys. Overlay on a Pi: `dtoverlay=gpio-key,gpio=22,keycode=28`.
 */
export const gpioKeys = {
  kind: 'host',
  part: 'gpio-keys',
  title: "Buttons behind the kernel's gpio-keys driver",
  schema,
  declare: ({ keys }) => ({ controls: keys.map(({ name }) => ({ name, kind: 'button' })), lights: null }),
  needs: ({ device }) => ({ lines: [], inputs: [device], files: [] }),
  open: openKeys,
} satisfies HostDriver<GpioKeysConfig>;

async function openKeys({ device, keys }: GpioKeysConfig, io: PartIo): Promise<PartSession> {
  const names = new Map(keys.map(({ code, name }) => [code, name]));
  const input = await followKeys({
    openInput: io.openInput,
    device,
    codes: [...names.keys()],
    now: () => io.time.now(),
    onKey: (code, isDown, at) => {
      const control = names.get(code);
      if (control !== undefined) io.report([{ type: 'switch', control, isDown, at }]);
    },
    onLost: io.fail,
  });
  return { poll: null, pollMs: 0, pollWithInterruptMs: 0, show: null, close: () => input.close() };
}
