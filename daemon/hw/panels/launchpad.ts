/**
 * Novation Launchpad Mini MK3 and Launchpad X in programmer mode: 8x8 pads as the light matrix and as rows of absolute
 * choices, the right column as steps up (down while the modifier is held), the top row for the whole surface.
 * Bytes as the open-source drivers git-moss/DrivenByMoss and launchpad.py use them; not run on the device yet. To check
 * against: Novation, "Launchpad Mini [MK3] Programmer's Reference Manual" and that of the Launchpad X, layouts and SysEx.
 */
import type { ControlSpec, Frame, PanelSpec, Rgb, Roles } from '../../surface/types.ts';
import type { MidiMessage } from '../midi/messages.ts';
import { type Bytes, sysex } from '../midi/writer.ts';
import type { PanelDriver, PanelSession, Reaction } from './driver.ts';
import { nothing, report } from './driver.ts';

/** The device byte of the SysEx header `F0 00 20 29 02 <id>`. */
const deviceIds = { 'launchpad-mini-mk3': 0x0d, 'launchpad-x': 0x0c } as const;

/** Launchpads that share this driver. */
export type LaunchpadModel = keyof typeof deviceIds;

const size = 8;
const logo = 99;
const modifier = 95;
/** Top row, by controller number. */
const topRow = new Map([
  [91, 'bank-previous'],
  [92, 'bank-next'],
  [93, 'undo'],
  [96, 'lock'],
  [98, 'arm'],
]);
const roles: Roles = {
  arm: 'arm',
  undo: 'undo',
  bankNext: 'bank-next',
  bankPrevious: 'bank-previous',
  lock: 'lock',
};

const black: Rgb = [0, 0, 0];
const modifierAtRest: Rgb = [40, 40, 40];
const modifierHeld: Rgb = [255, 255, 255];
/** Hues of the logo, apart for every common colour blindness (Okabe and Ito). */
const linkColours = {
  attested: [0, 158, 115],
  notAttested: [86, 180, 233],
  stale: [230, 159, 0],
  offline: [213, 94, 0],
} satisfies Record<string, Rgb>;

/** Index of a pad or of the right column (column 8); row 0 is the top, while the device counts from the bottom. */
function padIndex(row: number, column: number): number {
  return 11 + column + 10 * (size - 1 - row);
}

const ledIndices: readonly number[] = [
  ...Array.from({ length: size * (size + 1) }, (_, n) =>
    padIndex(Math.floor(n / (size + 1)), n % (size + 1)),
  ),
  ...Array.from({ length: size }, (_, n) => 91 + n),
  logo,
];

/** What a Launchpad driver is made with. */
export interface LaunchpadOptions {
  readonly model: LaunchpadModel;
  /** 0 to 1, for all lights; asked at each frame. */
  readonly brightness: () => number;
}

/** A Launchpad Mini MK3 or X as a panel. */
export function launchpad(options: LaunchpadOptions): PanelDriver {
  const rows: ControlSpec[] = Array.from({ length: size }, (_, row) => ({
    name: `row${row + 1}`,
    kind: 'pads',
    steps: size,
  }));
  const buttons: ControlSpec[] = [...topRow.values()].map((name) => ({ name, kind: 'button' }));
  const spec: PanelSpec = {
    model: options.model,
    controls: [...rows, ...buttons],
    matrix: { width: size, height: size },
    roles,
  };
  return { spec, isDimmable: true, open: () => new LaunchpadSession(options) };
}

class LaunchpadSession implements PanelSession {
  /** The device loses light messages that come within a few milliseconds of a change of mode. */
  readonly settleMs = 10;
  readonly #deviceId: number;
  readonly #brightness: () => number;
  /** Colour that each light shows, packed; absent: unknown. */
  readonly #shown = new Map<number, number>();
  #isModifierHeld = false;

  constructor(options: LaunchpadOptions) {
    this.#deviceId = deviceIds[options.model];
    this.#brightness = options.brightness;
  }

  get enter(): Bytes {
    return this.#message(0x0e, 0x01);
  }

  receive(message: MidiMessage): Reaction {
    switch (message.type) {
      case 'note-on':
        return this.#pad(message.note, true);
      case 'note-off':
        return this.#pad(message.note, false);
      case 'control-change':
        return this.#button(message.controller, message.value > 0);
      default:
        return nothing;
    }
  }

  #pad(note: number, isDown: boolean): Reaction {
    const row = size - Math.floor(note / 10);
    const index = (note % 10) - 1;
    if (row < 0 || row >= size || index < 0 || index >= size) return nothing;
    return report({ type: isDown ? 'press' : 'release', control: `row${row + 1}`, index });
  }

  #button(controller: number, isDown: boolean): Reaction {
    if (controller === modifier) {
      this.#isModifierHeld = isDown;
      return { events: [], reply: [], isRedrawNeeded: true };
    }
    const name = topRow.get(controller);
    if (name !== undefined) return report({ type: isDown ? 'press' : 'release', control: name });
    const row = size - Math.floor(controller / 10);
    if (!isDown || controller % 10 !== 9 || row < 0 || row >= size) return nothing;
    return report({ type: 'turn', control: `row${row + 1}`, pulses: this.#isModifierHeld ? -1 : 1 });
  }

  render(frame: Frame): Bytes {
    return this.#show((index) => this.#colour(frame, index));
  }

  leave(): Bytes {
    return [...this.#show(() => black), ...this.#message(0x0e, 0x00)];
  }

  #colour(frame: Frame, index: number): Rgb {
    const light = (name: string) => frame.controls.get(name)?.light ?? black;
    if (index === logo) return linkColour(frame.link);
    if (index === modifier) return this.#isModifierHeld ? modifierHeld : modifierAtRest;
    if (index > 90) return light(topRow.get(index) ?? '');
    const row = size - Math.floor(index / 10);
    const column = (index % 10) - 1;
    if (column === size) return light(`row${row + 1}`);
    const { matrix } = frame;
    if (matrix === null || column >= matrix.width || row >= matrix.height) return black;
    const at = 3 * (row * matrix.width + column);
    return [matrix.rgb[at] ?? 0, matrix.rgb[at + 1] ?? 0, matrix.rgb[at + 2] ?? 0];
  }

  /** All changed lights in one SysEx: `03 {03 index red green blue}...`, colours in seven bits. */
  #show(colourOf: (index: number) => Rgb): Bytes {
    const brightness = this.#brightness();
    const changes = ledIndices.flatMap((index) => {
      const [red, green, blue] = colourOf(index).map((part) => Math.round((part * brightness * 127) / 255));
      const packed = ((red ?? 0) << 14) | ((green ?? 0) << 7) | (blue ?? 0);
      if (this.#shown.get(index) === packed) return [];
      this.#shown.set(index, packed);
      return [0x03, index, red ?? 0, green ?? 0, blue ?? 0];
    });
    return changes.length === 0 ? [] : this.#message(0x03, ...changes);
  }

  #message(...data: number[]): Bytes {
    return sysex([0x00, 0x20, 0x29, 0x02, this.#deviceId, ...data]);
  }
}

function linkColour(link: Frame['link']): Rgb {
  if (link.state !== 'online') return linkColours[link.state];
  return link.isAttested ? linkColours.attested : linkColours.notAttested;
}
