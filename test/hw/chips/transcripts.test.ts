/**
 * Plays every folder of test/hw/chips/transcripts: what goes over the bus, byte for byte, and what is reported for it.
 * A bug is a new folder with a transcript.yaml, without code; the README there says how to write one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { SurfacedError } from '../../../daemon/errors.ts';
import type { I2cDriver, PartPicture, PartSession, RawInput } from '../../../daemon/hw/chips/driver.ts';
import type { I2cTransport } from '../../../daemon/hw/i2c/bus.ts';
import type { ControlFeedback, Rgb } from '../../../daemon/surface/types.ts';
import { deviceOn, hexOf, ioOf, ManualTime } from './part-rig.ts';

/** What is done, and with `bus` what goes over the bus for it. */
interface Step {
  readonly do: 'probe' | 'open' | 'poll' | 'show' | 'close';
  readonly bus?: readonly string[];
  /** Poll: readings, without their time. */
  readonly reports?: readonly object[];
  /** Probe: what is found. */
  readonly finds?: string | null;
  /** Code of the error that it ends with. */
  readonly rejects?: string;
  /** Show: colour by `row,column`; the rest is dark. */
  readonly lights?: Record<string, Rgb>;
  readonly controls?: Record<string, Partial<ControlFeedback>>;
  readonly brightness?: number;
}

interface Transcript {
  readonly about: string;
  readonly part: string;
  readonly config: object;
  readonly steps: readonly Step[];
}

const dark: ControlFeedback = { position: null, ring: null, light: [0, 0, 0], hint: null };
const folder = new URL('./transcripts/', import.meta.url);
const chips = new URL('../../../daemon/hw/chips/', import.meta.url);
const cases = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());

for (const { name } of cases) {
  const transcript: Transcript = parse(readFileSync(new URL(`${name}/transcript.yaml`, folder), 'utf8'));
  t.test(`${name}: ${transcript.about}`, async (t) => {
    const driver = await driverOf(transcript.part);
    const config = driver.schema.parse(transcript.config);
    const script = new Script();
    const device = deviceOn(script, driver.addresses[0] ?? 0);
    const reports: RawInput[] = [];
    const io = ioOf(script, reports, []);
    let session: PartSession | null = null;
    const play = async (step: Step): Promise<unknown> => {
      if (step.do === 'probe') return driver.probe(device, script);
      if (step.do === 'open') session = await driver.open(config, device, io);
      if (step.do === 'poll') await session?.poll?.();
      if (step.do === 'show') await session?.show?.(pictureOf(driver, config, step));
      if (step.do === 'close') await session?.close();
      return undefined;
    };
    for (const [index, step] of transcript.steps.entries()) {
      const at = `step ${index + 1}, ${step.do}`;
      const bus = step.bus ?? [];
      script.expect(bus);
      const outcome = await play(step).then(
        (found) => ({ found, code: undefined }),
        (error: unknown) => ({ found: undefined, code: codeOf(error) }),
      );
      t.same(script.lines, bus, `${at}: bus`);
      t.equal(outcome.code, step.rejects, `${at}: end`);
      if (step.do === 'probe') t.equal(outcome.found, step.finds, `${at}: finds`);
      t.same(reports.splice(0).map(plain), step.reports ?? [], `${at}: reports`);
    }
  });
}

/** Bus and time that answer as the transcript says and write down what they are asked. */
class Script extends ManualTime implements I2cTransport {
  readonly lines: string[] = [];
  #expected: readonly string[] = [];

  expect(lines: readonly string[]): void {
    this.#expected = lines;
    this.lines.length = 0;
  }

  override async pause(ms: number): Promise<void> {
    this.lines.push(`pause ${ms}`);
    this.pass(ms);
  }

  async transfer(_address: number, write: ArrayLike<number>, readLength: number): Promise<Uint8Array> {
    const wanted = this.#expected[this.lines.length] ?? '';
    const isTaken = !wanted.endsWith('no-ack');
    const answer = bytesOf(/(?:^|\s)r\s([0-9a-f ]*)/.exec(wanted)?.[1] ?? '');
    const isAnswered = !isTaken || answer.length === readLength;
    const words = [
      write.length > 0 || readLength === 0 ? `w ${hexOf(Array.from(write))}` : '',
      readLength > 0 ? `r ${isAnswered ? hexOf(answer) : `(${readLength} bytes)`}` : '',
      isTaken ? '' : 'no-ack',
    ];
    const line = words.map((word) => word.trim()).filter(Boolean);
    this.lines.push(line.join(' '));
    if (!isTaken) throw new SurfacedError('E_HW_NO_ACK', 'as the transcript says');
    if (!isAnswered)
      throw new SurfacedError('E_HW_BUS', `no such answer in the transcript: ${line.join(' ')}`);
    return answer;
  }

  async close(): Promise<void> {}
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** The driver of a part: the export of its file that says so. */
async function driverOf(part: string): Promise<I2cDriver> {
  const module: Record<string, Partial<I2cDriver> | undefined> = await import(
    new URL(`${part}.ts`, chips).href
  );
  const driver = Object.values(module).find((exported) => exported?.part === part && exported.kind === 'i2c');
  if (driver === undefined) throw new Error(`${part}.ts exports no driver of that name on the I2C bus`);
  return driver as I2cDriver;
}

function pictureOf(driver: I2cDriver, config: unknown, step: Step): PartPicture {
  const { lights, controls: declared } = driver.declare(config);
  const rgb = lights && new Uint8Array(3 * lights.width * lights.height);
  for (const [place, colour] of Object.entries(step.lights ?? {})) {
    const [row = 0, column = 0] = place.split(',').map(Number);
    rgb?.set(colour, 3 * (row * (lights?.width ?? 0) + column));
  }
  const controls = declared.map(({ name }) => [name, { ...dark, ...step.controls?.[name] }] as const);
  return { rgb, controls: new Map(controls), brightness: step.brightness ?? 1 };
}

function codeOf(error: unknown): string {
  return error instanceof SurfacedError ? error.code : String(error);
}

/** Readings without their time; levels to six places, as transcripts write them. */
function plain({ at: _, ...reading }: RawInput): object {
  return reading.type === 'level' ? { ...reading, value: Number(reading.value.toFixed(6)) } : reading;
}
