import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import type { LineEdge } from '../gpio/lines.ts';
import { biasField, lineNumber } from '../gpio/wiring.ts';
import { QuadratureDecoder } from '../signal/quadrature.ts';
import type { HostDriver, PartIo, PartSession, RawInput } from './driver.ts';

const schema = z
  .strictObject({
    name: controlName.describe('Name of the control that the encoder is.'),
    a: lineNumber.describe('GPIO line (BCM number) of output A, CLK on many boards.'),
    b: lineNumber.describe('GPIO line of output B, DT on many boards.'),
    push: lineNumber.optional().describe('GPIO line of the push switch, SW on many boards.'),
    pulsesPerDetent: z
      .int()
      .min(1)
      .max(16)
      .default(4)
      .describe('Edges of A and B from one detent to the next: 4, 2 or 1, as the data sheet draws them.'),
    invert: z.boolean().default(false).describe('Clockwise counts down: A and B are the other way round.'),
    bias: biasField,
  })
  .refine(({ a, b, push }) => a !== b && push !== a && push !== b, 'a, b and push are lines of their own');

/** Config of an encoder on GPIO lines. */
export type GpioEncoderConfig = z.infer<typeof schema>;

/**
 * A mechanical quadrature encoder on two lines, with or without a push switch on a third. All lines are of one request,
 * so that turns and presses keep their order. The kernel does not debounce them: it would leave out the edges of fast
 * turns, while a bounce counts up and down again. Lost edges leave the count too low, never wrong in direction.
 */
export const gpioEncoder = {
  kind: 'host',
  part: 'gpio-encoder',
  title: 'Quadrature encoder with or without push switch, on GPIO lines',
  schema,
  declare: ({ name, pulsesPerDetent }) => ({
    controls: [{ name, kind: 'encoder', pulsesPerDetent }],
    lights: null,
  }),
  needs: (config) => ({ lines: linesOf(config), inputs: [], files: [] }),
  open: openEncoder,
} satisfies HostDriver<GpioEncoderConfig>;

function linesOf({ a, b, push }: GpioEncoderConfig): number[] {
  return push === undefined ? [a, b] : [a, b, push];
}

async function openEncoder(config: GpioEncoderConfig, io: PartIo): Promise<PartSession> {
  const { name, bias, push } = config;
  // Edges before the first levels are in them.
  let decoder: QuadratureDecoder | null = null;
  const switchInput = (isDown: boolean, at: number): RawInput => ({
    type: 'switch',
    control: name,
    isDown,
    at,
  });
  const lines = await io.openLines(
    {
      chip: null,
      lines: linesOf(config),
      bias,
      // Contacts to ground are the rule, with pulls on the board too; pulled down, they are to the supply.
      isActiveLow: bias !== 'pull-down',
      debounceMs: null,
      consumer: `surfaced:${name}`,
    },
    {
      onEdges: (edges) => {
        if (decoder !== null) io.report(readingsOf(config, decoder, edges));
      },
      onMissed: ([a = null, b = null, isDown = null]) => {
        decoder?.resync({ a, b });
        if (isDown !== null) io.report([switchInput(isDown, io.time.now())]);
      },
      onLost: io.fail,
    },
  );
  try {
    const [a = false, b = false, isDown] = lines.levels();
    decoder = new QuadratureDecoder({ a, b });
    if (push !== undefined) io.report([switchInput(isDown === true, io.time.now())]);
  } catch (problem) {
    await lines.close();
    throw problem;
  }
  return { poll: null, pollMs: 0, pollWithInterruptMs: 0, show: null, close: () => lines.close() };
}

/** Turns are summed up to the next change of the switch, so that bounces within one queue do not show. */
function readingsOf(
  config: GpioEncoderConfig,
  decoder: QuadratureDecoder,
  edges: readonly LineEdge[],
): RawInput[] {
  const inputs: RawInput[] = [];
  let pulses = 0;
  let at = 0;
  const flush = () => {
    if (pulses !== 0) inputs.push({ type: 'turn', control: config.name, pulses, at });
    pulses = 0;
  };
  for (const edge of edges) {
    if (edge.line === config.push) {
      flush();
      inputs.push({ type: 'switch', control: config.name, isDown: edge.isHigh, at: edge.at });
    } else {
      const pulse = decoder.edge(edge.line === config.a ? 'a' : 'b', edge.isHigh);
      pulses += config.invert ? -pulse : pulse;
      at = edge.at;
    }
  }
  flush();
  return inputs;
}
