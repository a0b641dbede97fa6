/** The file that describes a bench: which line of its controller moves what on the panel. */
import path from 'node:path';
import { Composer, LineCounter } from 'yaml';
import { z } from 'zod';
import { type Finding, findingsOf } from '../../daemon/config/findings.ts';
import { readConfigFile, tokensOf } from '../../daemon/config/load.ts';
import { controlName } from '../../daemon/config/panel.ts';
import { apiVersion } from '../../daemon/config/schema.ts';
import { SurfacedError } from '../../daemon/errors.ts';

/** Lines of a Raspberry Pi Pico that are on its edge: GP0 to GP22 and GP26 to GP28. */
const line = z
  .int()
  .min(0)
  .max(28)
  .refine((value) => value < 23 || value > 25, {
    message: 'GP23 to GP25 are not on the edge of a Pico',
  });
/** What the lines of a contact do to close it, see README.md. */
const closes = z
  .enum(['low', 'high'])
  .default('low')
  .describe(
    'Level that closes the contact: low pulls a line of the panel down; high drives an analog switch across a key.',
  );
const bounces = z
  .int()
  .min(0)
  .max(100)
  .default(3)
  .describe('How often a contact opens again, 0.2 ms apart, before it rests.');

/** What the arguments of the program under test stand for in `device.command`. */
export const argumentsWord = '{arguments}';

const encoder = z.strictObject({
  a: line.describe('Line at contact A.'),
  b: line.describe('Line at contact B; the one after that of A.'),
  push: line.optional().describe('Line at the push switch.'),
  edgesPerDetent: z
    .int()
    .min(1)
    .max(16)
    .default(4)
    .describe('Edges of A and B from one detent to the next; 4, 2 or 1.'),
  invert: z.boolean().default(false).describe('Clockwise is B before A.'),
  bounces,
});
const button = z.strictObject({ line: line.describe('Line at the button.'), closes, bounces });
const pads = z.strictObject({
  lines: z.array(line).min(1).max(26).describe('Lines at the pads of a row, from pad 0.'),
  closes,
  bounces,
});
const fader = z.strictObject({
  line: line.describe('Line with the filter in place of the wiper.'),
  low: z.number().min(0).max(1).default(0).describe('Output at the bottom, a part of 3.3 V.'),
  high: z.number().min(0).max(1).default(1).describe('Output at the top.'),
});
const byControl = <T extends z.ZodType>(of: T) => z.record(controlName, of).default({});

const benchSchema = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('Bench'),
  port: z
    .strictObject({
      type: z.enum(['serial', 'pty']).default('serial'),
      path: z.string().min(1).describe('Serial port of the controller.'),
    })
    .describe('Where the controller is plugged in.'),
  device: z
    .strictObject({
      config: z.string().min(1).describe('Device file of the panel, or a copy of it, on this machine.'),
      panelConfig: z
        .string()
        .min(1)
        .default('/etc/surfaced/surfaced.yaml')
        .describe('The Device file itself, where the panel is.'),
      command: z
        .array(z.string().min(1).max(1000))
        .max(100)
        .refine((words) => words.some((word) => word.includes(argumentsWord)), {
          message: `no word of it has ${argumentsWord}`,
        })
        .describe(
          `Runs \`surfaced\` where the panel is; ${argumentsWord} stands for its arguments, quoted for a shell there.`,
        ),
    })
    .describe('The program under test.'),
  encoders: byControl(encoder).describe('Encoders, by control.'),
  buttons: byControl(button).describe('Buttons, by control.'),
  pads: byControl(pads).describe('Rows of pads, by control.'),
  faders: byControl(fader).describe('Faders, by control.'),
  power: z
    .record(z.string().min(1).max(64), line)
    .default({})
    .describe('Lines that switch parts off their bus, by part, e.g. `ads1115@48`.'),
  sniffer: z
    .strictObject({
      bus: z.int().min(0).max(255).default(1).describe('I2C bus of the panel that is listened to.'),
      sda: line.describe('Line at SDA; the one after it is at SCL.'),
    })
    .optional()
    .describe('Listens to what is sent to the lights; left out: they are not looked at.'),
});

/** A bench as its file describes it; paths are absolute. */
export type BenchConfig = Readonly<z.infer<typeof benchSchema>>;
type Path = readonly (string | number)[];

/** Reads the file of a bench. @throws SurfacedError E_CFG_READ, E_CFG_INVALID with file and field of all that is wrong */
export async function loadBench(file: string): Promise<BenchConfig> {
  return parseBench(await readConfigFile(file), file);
}

/** Checks the text of such a file. @throws SurfacedError E_CFG_INVALID */
export function parseBench(text: string, file: string): BenchConfig {
  const input = readYaml(text, file);
  const { success, data, error } = benchSchema.safeParse(input);
  const findings = success ? wiringFindings(data) : findingsOf(error, benchSchema, input);
  if (data === undefined || findings.length > 0)
    throw invalid(
      findings.map(({ path: field, message }) =>
        // Of fields below names of the user's own, such as controls, the known ones are not found.
        [file, field.join('.'), message.replace(/; known here: $/, '')]
          .filter((word) => word !== '')
          .join(': '),
      ),
      error,
    );
  const config = path.resolve(path.dirname(file), data.device.config);
  return { ...data, device: { ...data.device, config } };
}

/** Most encoders that a controller turns: it has a state machine for each. */
const mostEncoders = 4;

/** What the schema cannot say: which lines there are enough of, and which are next to each other. */
function wiringFindings(config: BenchConfig): Finding[] {
  const findings: Finding[] = [];
  const say = (path: Path, message: string) => findings.push({ path, message, isAboutKey: false });
  const owners = new Map<number, string>();
  for (const [line, path] of linesOf(config)) {
    const owner = owners.get(line);
    if (owner !== undefined) say(path, `GP${line} is at ${owner} already`);
    owners.set(line, path.join('.'));
  }
  const encoders = Object.entries(config.encoders);
  for (const [name, { a, b }] of encoders)
    if (b !== a + 1) say(['encoders', name, 'b'], `expected GP${a + 1}, the line after A, got GP${b}`);
  if (encoders.length > mostEncoders) say(['encoders'], `expected at most ${mostEncoders} encoders`);
  // Outputs of pulse width are shared by lines 16 apart: "RP2040 Datasheet", section 4.5.2.
  const outputs = new Map<number, string>();
  for (const [name, { line }] of Object.entries(config.faders)) {
    const other = outputs.get(line % 16);
    if (other !== undefined) say(['faders', name, 'line'], `GP${line} has the same output as ${other}`);
    outputs.set(line % 16, name);
  }
  return findings;
}

function linesOf({ encoders, buttons, pads, faders, power, sniffer }: BenchConfig): [number, Path][] {
  const lines: [number, Path][] = [];
  for (const [name, { a, b, push }] of Object.entries(encoders)) {
    lines.push([a, ['encoders', name, 'a']], [b, ['encoders', name, 'b']]);
    if (push !== undefined) lines.push([push, ['encoders', name, 'push']]);
  }
  for (const [name, { line }] of Object.entries(buttons)) lines.push([line, ['buttons', name, 'line']]);
  for (const [name, row] of Object.entries(pads))
    lines.push(...row.lines.map((line, index): [number, Path] => [line, ['pads', name, 'lines', index]]));
  for (const [name, { line }] of Object.entries(faders)) lines.push([line, ['faders', name, 'line']]);
  for (const [name, line] of Object.entries(power)) lines.push([line, ['power', name]]);
  if (sniffer !== undefined)
    lines.push([sniffer.sda, ['sniffer', 'sda']], [sniffer.sda + 1, ['sniffer', 'sda']]);
  return lines;
}

function readYaml(text: string, file: string): unknown {
  const lines = new LineCounter();
  let documents: ReturnType<Composer['compose']> extends Iterable<infer D> ? D[] : never;
  try {
    documents = [...new Composer({ prettyErrors: false, logLevel: 'silent' }).compose(tokensOf(text, lines))];
  } catch (cause) {
    throw invalid([`${file}: ${(cause as Error).message}`], cause);
  }
  const problem = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw invalid([`${file}:${line}:${col} ${problem.message.split('\n')[0]}`], problem);
  }
  if (documents.length !== 1)
    throw invalid([`${file}: expected one document, got ${documents.length}`], undefined);
  try {
    return documents[0]?.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw invalid([`${file}: ${(cause as Error).message}`], cause);
  }
}

const invalid = (faults: readonly string[], cause: unknown): SurfacedError =>
  new SurfacedError('E_CFG_INVALID', faults.join('\n'), { cause });
