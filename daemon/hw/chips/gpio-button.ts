import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import { biasField, lineNumber } from '../gpio/wiring.ts';
import type { HostDriver, PartIo, PartSession } from './driver.ts';

const schema = z.strictObject({
  name: controlName.describe('Name of the control that the button is.'),
  line: lineNumber.describe('GPIO line (BCM number) of the button.'),
  bias: biasField,
  activeLow: z.boolean().default(true).describe('The line is low while the button is pressed.'),
});

/** Config of a button on a GPIO line. */
export type GpioButtonConfig = z.infer<typeof schema>;

/** A push button on a GPIO line; bounces are passed on, hw/signal makes presses of them. */
export const gpioButton = {
  kind: 'host',
  part: 'gpio-button',
  title: 'Push button on a GPIO line',
  schema,
  declare: ({ name }) => ({ controls: [{ name, kind: 'button' }], lights: null }),
  needs: ({ line }) => ({ lines: [line], inputs: [], files: [] }),
  open: openButton,
} satisfies HostDriver<GpioButtonConfig>;

async function openButton(config: GpioButtonConfig, io: PartIo): Promise<PartSession> {
  const { name, line, bias, activeLow } = config;
  const report = (isDown: boolean, at: number) => {
    io.report([{ type: 'switch', control: name, isDown, at }]);
  };
  const lines = await io.openLines(
    {
      chip: null,
      lines: [line],
      bias,
      isActiveLow: activeLow,
      debounceMs: null,
      consumer: `surfaced:${name}`,
    },
    {
      onEdges: (edges) => {
        for (const edge of edges) report(edge.isHigh, edge.at);
      },
      onMissed: ([isDown = null]) => {
        if (isDown !== null) report(isDown, io.time.now());
      },
      onLost: io.fail,
    },
  );
  try {
    report(lines.levels()[0] === true, io.time.now());
  } catch (problem) {
    await lines.close();
    throw problem;
  }
  return { poll: null, pollMs: 0, pollWithInterruptMs: 0, show: null, close: () => lines.close() };
}
