/**
 * Adafruit NeoTrellis (product 3954): 4x4 keys with a NeoPixel under each, behind a SAMD09. Registers as in
 * Adafruit_CircuitPython_seesaw `keypad.py` and Adafruit_CircuitPython_NeoTrellis: 10 01 events of a key, 10 04 how many
 * wait, 10 10 the events; pixels on pin 3. The firmware (adafruit/seesaw, board RGBTrellis) was never given a product number;
 * it is the only one that was built with the keypad, which its options tell. It looks at the keys every 10 ms and keeps 127
 * events, then drops new ones. Not run on the part.
 */
import { z } from 'zod';
import { controlName } from '../../config/panel.ts';
import type { ControlSpec, Millis, Rgb } from '../../surface/types.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import type { I2cDriver, PartIo, PartPicture, PartSession, PartSpec, RawInput } from './driver.ts';
import { noNeeds } from './driver.ts';
import {
  Faults,
  openSeesaw,
  probeSeesaw,
  queuedPauseMs,
  type Seesaw,
  type SeesawKind,
  seesawModule,
  seesawOption,
} from './seesaw.ts';
import { SeesawPixels } from './seesaw-pixels.ts';

const { keypad } = seesawModule;
const kind: SeesawKind = {
  name: 'Adafruit NeoTrellis',
  product: null,
  options: seesawOption.keypad | seesawOption.neopixel,
  readPauseMs: queuedPauseMs,
};
const size = 4;
const keyCount = size * size;
const pixelPin = 3;
/** The firmware's queue has 128 places, one of which stays empty. */
const mostEvents = 127;
/** Events may arrive after they were counted; the library reads two more, and what is not there reads as FF. */
const lateEvents = 2;

const edges = { falling: 2, rising: 3 } as const;

/** One change of one key. */
export interface KeyEvent {
  /** 0 to 15, row by row from the top left. */
  readonly key: number;
  readonly edge: keyof typeof edges;
}

/** Number of a key in the firmware, which has places for rows of eight. */
export function keyNumber(key: number): number {
  return Math.floor(key / size) * 8 + (key % size);
}

/** A byte of the queue: number in the upper six bits, edge in the lower two; null when no key does that. */
export function decodeKey(byte: number): KeyEvent | null {
  const number = byte >> 2;
  const [row, column] = [number >> 3, number & 7];
  const edge = (byte & 3) === edges.rising ? 'rising' : (byte & 3) === edges.falling ? 'falling' : null;
  return edge === null || row >= size || column >= size ? null : { key: row * size + column, edge };
}

/** Which control a key belongs to. */
interface KeyControl {
  readonly control: string;
  /** Its place in a row of pads; null: the key is a button. */
  readonly index: number | null;
}

function keyControls({ rows }: NeoTrellisConfig): KeyControl[] {
  return rows.flatMap((row) =>
    Array.from({ length: size }, (_, index) =>
      typeof row === 'string' ? { control: row, index } : { control: row[index] ?? '', index: null },
    ),
  );
}

function declare({ rows }: NeoTrellisConfig): PartSpec {
  const padRows = rows.filter((row) => typeof row === 'string');
  return {
    controls: rows.flatMap((row): ControlSpec[] =>
      typeof row === 'string'
        ? [{ name: row, kind: 'pads', steps: size }]
        : row.map((name) => ({ name, kind: 'button' })),
    ),
    lights: padRows.length === 0 ? null : { width: size, height: padRows.length, colours: 'rgb' },
  };
}

interface TrellisParts {
  readonly config: NeoTrellisConfig;
  readonly seesaw: Seesaw;
  readonly pixels: SeesawPixels;
  readonly io: PartIo;
}

class NeoTrellisSession implements PartSession {
  /** Not below 17 ms: `examples/neotrellis_simpletest.py` says that the part can be read no faster. */
  readonly pollMs = 17;
  readonly pollWithInterruptMs = 250;
  readonly #parts: TrellisParts;
  readonly #keys: readonly KeyControl[];
  readonly #faults = new Faults();
  /** False: events were lost, or none was read yet. The part tells changes only, so keys are taken for released then. */
  #isKnown = false;

  constructor(parts: TrellisParts) {
    this.#parts = parts;
    this.#keys = keyControls(parts.config);
  }

  readonly poll = async (): Promise<void> => {
    const { seesaw, io } = this.#parts;
    this.#faults.assertSound();
    const [count = 0] = await seesaw.read('input', keypad, 0x04, 1);
    if (count > mostEvents) return this.#lose(`${count} key events, of which it can keep ${mostEvents}`);
    const bytes = count === 0 ? new Uint8Array() : await this.#readEvents(count + lateEvents);
    const events = Array.from(bytes, decodeKey);
    // Where no event is, FF is read: anything else means that none of it can be believed.
    const isSound = events.every((event, at) => event !== null || (at >= count && bytes[at] === 0xff));
    if (!isSound) return this.#lose('events of keys that it does not have');
    if (count === mostEvents) return this.#lose('a full queue of key events');
    this.#faults.clear();
    this.#report(
      events.filter((event) => event !== null),
      io.time.now(),
    );
  };

  readonly show = async ({ rgb, controls, brightness }: PartPicture): Promise<void> => {
    let light = 0;
    const colours = this.#keys.map(({ control, index }): Rgb => {
      if (index === null) return controls.get(control)?.light ?? [0, 0, 0];
      const at = 3 * light++;
      return [rgb?.[at] ?? 0, rgb?.[at + 1] ?? 0, rgb?.[at + 2] ?? 0];
    });
    await this.#parts.pixels.show(colours, brightness);
  };

  async close(): Promise<void> {
    await this.#parts.pixels.darken();
  }

  /** The part forgets events as it hands them out: those of a read that failed are lost, releases among them. */
  async #readEvents(count: number): Promise<Uint8Array> {
    try {
      return await this.#parts.seesaw.read('input', keypad, 0x10, count);
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  #report(events: readonly KeyEvent[], at: Millis): void {
    const { config, io } = this.#parts;
    const inputs = this.#isKnown ? [] : this.#keys.map((key) => reading(key, false, at));
    this.#isKnown = true;
    for (const { key, edge } of events) {
      const control = this.#keys[key];
      if (control !== undefined) inputs.push(reading(control, edge === config.pressEdge, at));
    }
    if (inputs.length > 0) io.report(inputs);
  }

  #forget(): void {
    const { config, io } = this.#parts;
    const controls = declare(config).controls.map(({ name }) => name);
    io.report([{ type: 'unsure', controls, at: io.time.now() }]);
    this.#isKnown = false;
  }

  #lose(what: string): void {
    this.#forget();
    this.#faults.count(`${kind.name} reports ${what}`);
  }
}

function reading({ control, index }: KeyControl, isDown: boolean, at: Millis): RawInput {
  return index === null
    ? { type: 'switch', control, isDown, at }
    : { type: 'switch', control, index, isDown, at };
}

const row = z.union([
  controlName.describe('Name of a row of four pads.'),
  z.array(controlName).length(size).describe('Names of four buttons, from the left.'),
]);
const schema = z.strictObject({
  rows: z
    .array(row)
    .length(size)
    .default(['row1', 'row2', 'row3', 'row4'])
    .describe(
      'What each row of keys is, from the top: a name makes it a row of pads, whose lights are one row of the matrix; a list of four names makes each key a button.',
    ),
  pressEdge: z
    .enum(['rising', 'falling'])
    .default('rising')
    .describe(
      'Which edge is a press. The firmware and the examples say rising, the documentation of the library falling.',
    ),
});

/** Config of {@link neotrellis}. */
export type NeoTrellisConfig = z.infer<typeof schema>;

async function open(config: NeoTrellisConfig, device: I2cDevice, io: PartIo): Promise<PartSession> {
  const seesaw = await openSeesaw(kind, device, io.time);
  for (let key = 0; key < keyCount; key++)
    for (const edge of Object.values(edges))
      await seesaw.write('input', keypad, 0x01, [keyNumber(key), (1 << (edge + 1)) | 1]);
  // Raises the interrupt line while events wait; nobody minds when it is not wired.
  await seesaw.write('input', keypad, 0x02, [0x01]);
  const pixels = new SeesawPixels(seesaw, { pin: pixelPin, count: keyCount });
  await pixels.start();
  return new NeoTrellisSession({ config, seesaw, pixels, io });
}

/** Adafruit NeoTrellis: 2E and up to 4D by its jumpers A0 to A4. */
export const neotrellis = {
  kind: 'i2c',
  part: 'neotrellis',
  title: 'Adafruit NeoTrellis 3954, 4x4 keys with NeoPixels',
  schema,
  addresses: Array.from({ length: 32 }, (_, jumpers) => 0x2e + jumpers),
  selector: 'its jumpers A0 to A4',
  declare,
  needs: () => noNeeds,
  probe: (device, time) => probeSeesaw(kind, device, time),
  open,
} satisfies I2cDriver<NeoTrellisConfig>;
