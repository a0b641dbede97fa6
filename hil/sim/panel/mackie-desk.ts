/**
 * A Mackie Control as a person at a keyboard has it: what its display says, and hands on its controls by words such as
 * `fader1 50`. Bytes as in daemon/hw/panels/mackie-control.ts. Pure: bytes in, bytes out.
 */
import { MidiParser } from '../../../daemon/hw/midi/parser.ts';

/** What is said to the display: where the text goes, then the text ("Logic Control User's Manual"). */
const displayHeader = [0x00, 0x00, 0x66, 0x14, 0x12];
const rowLength = 56;
const displayRows = 2;
const mostSysexBytes = 256;
/** Ten bits in the upper part of fourteen. */
const faderTop = 0x3ff << 4;
const faders = 8;
const touchNote = 0x68;
const turnCc = 0x10;
const mostDetents = 100;
const mostSeconds = 30;
const tapMs = 100;
const settleMs = 400;
/** Buttons by their names in docs/panels.md. */
const buttons: ReadonlyMap<string, number> = new Map([
  ['enter', 0x53],
  ['undo', 0x51],
  ['shift', 0x46],
  ['bank-left', 0x2e],
  ['bank-right', 0x2f],
]);

/** What hands do: bytes for the surface, and how long they rest afterwards, milliseconds. */
export interface Move {
  readonly bytes: readonly number[];
  readonly restMs: number;
}

/** The words that {@link MackieDesk.hands} understands. */
export const words = `fader1 50          moves fader 1 to the middle; 0 is down, 100 is up; fader1 to fader${faders}
encoder1 +2        turns encoder 1 by two detents; -1 the other way; encoder1 to encoder${faders}
press enter        presses a button: ${[...buttons.keys()].join(', ')}
hold enter 1.5     holds it for so many seconds; on this panel enter arms and shift locks`;

/** A panel whose display is text and whose hands are words. */
export class MackieDesk {
  readonly #characters: string[] = Array.from({ length: displayRows * rowLength }, () => ' ');
  /** Where motors or hands have put the faders, in the units of the wire. */
  readonly #places: number[] = Array.from({ length: faders }, () => 0);
  readonly #parser = new MidiParser(mostSysexBytes);

  /** The rows of the display, each of 56 characters. */
  get rows(): readonly string[] {
    return Array.from({ length: displayRows }, (_, row) =>
      this.#characters.slice(row * rowLength, (row + 1) * rowLength).join(''),
    );
  }

  /** Takes what the surface says. */
  take(bytes: readonly number[]): void {
    for (const message of this.#parser.push(Uint8Array.from(bytes))) {
      if (message.type === 'sysex') this.#show([...message.data]);
      else if (message.type === 'pitch-bend' && message.channel < faders)
        this.#places[message.channel] = message.value;
    }
  }

  /** What hands do to carry out a line of words; null when it is none of {@link words}. */
  hands(line: string): readonly Move[] | null {
    const [what = '', ...more] = line.trim().split(/\s+/);
    const [, kind, digit] = /^(fader|encoder)([1-8])$/.exec(what) ?? [];
    const index = Number(digit) - 1;
    const [value = ''] = more;
    if (kind === 'fader' && more.length === 1 && /^\d{1,3}(?:\.\d+)?%?$/.test(value)) {
      const percent = Number.parseFloat(value);
      return percent > 100 ? null : this.#slide(index, percent / 100);
    }
    if (kind === 'encoder' && more.length === 1 && /^[+-]\d{1,3}$/.test(value)) {
      const detents = Math.abs(Number(value));
      if (detents === 0 || detents > mostDetents) return null;
      const step = [0xb0, turnCc + index, Number(value) > 0 ? 0x01 : 0x41];
      return [{ bytes: Array.from({ length: detents }, () => step).flat(), restMs: 0 }];
    }
    const note = buttons.get(value);
    if (note === undefined) return null;
    if (what === 'press' && more.length === 1) return held(note, tapMs);
    const seconds = Number(more[1]);
    if (what === 'hold' && more.length === 2 && seconds > 0 && seconds <= mostSeconds)
      return held(note, seconds * 1000);
    return null;
  }

  /** A finger goes there in some steps, rests, and lets go. */
  #slide(index: number, place: number): readonly Move[] {
    const [from, to] = [this.#places[index] ?? 0, Math.round(place * faderTop)];
    this.#places[index] = to;
    const way = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => {
      const position = Math.round(from + part * (to - from));
      return [0xe0 + index, position & 0x7f, position >> 7];
    });
    return [
      { bytes: [0x90, touchNote + index, 0x7f, ...way], restMs: settleMs },
      { bytes: [0x90, touchNote + index, 0x00], restMs: 0 },
    ];
  }

  #show(data: readonly number[]): void {
    if (!displayHeader.every((part, at) => data[at] === part)) return;
    const [start = 0, ...text] = data.slice(displayHeader.length);
    for (const [at, code] of text.entries())
      if (start + at < this.#characters.length) this.#characters[start + at] = String.fromCharCode(code);
  }
}

const held = (note: number, restMs: number): readonly Move[] => [
  { bytes: [0x90, note, 0x7f], restMs },
  { bytes: [0x90, note, 0x00], restMs: 0 },
];
