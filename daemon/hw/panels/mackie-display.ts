/**
 * The display of a Mackie Control: two rows of 56 characters, seven a strip, and the strip colours of a Behringer
 * X-Touch. Name above, `ready/desired` or what is more urgent below.
 * SysEx 12 for the text and 72 for the colours, as git-moss/DrivenByMoss sends them; not run on a device yet. To check
 * against: Mackie, "Logic Control User's Manual", MIDI implementation.
 */
import type { Frame, Rgb, Strip } from '../../surface/types.ts';
import { type Bytes, sysex } from '../midi/writer.ts';

const header = [0x00, 0x00, 0x66, 0x14];
const columns = 8;
const charactersPerColumn = 7;
const rowLength = columns * charactersPerColumn;
/** Fewer unchanged characters than the framing of another message are sent again with their neighbours. */
const framingBytes = 8;
/** Also the device's own colour: a strip without a binding stays readable. */
const white = 7;

/** Sends the characters and colours that differ from those on the device. */
export class MackieDisplay {
  /** Character codes on the device, -1: unknown. */
  readonly #shown: number[] = Array.from({ length: 2 * rowLength }, () => -1);
  #colours = '';

  show(frame: Frame): Bytes {
    const strips = stripsByColumn(frame);
    const top = banner(frame) ?? strips.map((strip) => cell(strip === null ? '' : nameOf(strip))).join('');
    const bottom = strips.map((strip) => cell(strip === null ? '' : statusOf(strip))).join('');
    const isLastFree = strips[columns - 1] === null && !frame.link.isAttested;
    const text = isLastFree ? withLastColumn(top, bottom, 'NOT', 'ATTEST.') : top + bottom;
    const hues = strips.map((strip) => (strip === null ? white : colourOf(strip.hue)));
    return [...this.#write(text), ...this.#paint(hues)];
  }

  clear(): Bytes {
    return [
      ...this.#write(' '.repeat(2 * rowLength)),
      ...this.#paint(Array.from({ length: columns }, () => white)),
    ];
  }

  #write(text: string): Bytes {
    const wanted = Array.from(text, characterCode);
    const bytes: number[] = [];
    for (let at = 0; at < wanted.length; at += 1) {
      if (wanted[at] === this.#shown[at]) continue;
      const start = at;
      let end = at + 1;
      for (let next = end; next < wanted.length && next - end < framingBytes; next += 1) {
        if (wanted[next] !== this.#shown[next]) end = next + 1;
      }
      bytes.push(...sysex([...header, 0x12, start, ...wanted.slice(start, end)]));
      at = end;
    }
    wanted.forEach((code, at) => {
      this.#shown[at] = code;
    });
    return bytes;
  }

  #paint(hues: readonly number[]): Bytes {
    const colours = hues.join();
    if (colours === this.#colours) return [];
    this.#colours = colours;
    return sysex([...header, 0x72, ...hues]);
  }
}

/** The strip above each fader; a fader's binding goes before that of the encoder in the same column. */
function stripsByColumn(frame: Frame): (Strip | null)[] {
  return Array.from({ length: columns }, (_, index) => {
    const of = (control: string) => frame.strips.find((strip) => strip.control === `${control}${index + 1}`);
    return of('fader') ?? of('encoder') ?? null;
  });
}

/** What stands in place of all names while nothing can be set. */
function banner(frame: Frame): string | null {
  if (frame.link.state === 'online') return null;
  const word = frame.link.state === 'stale' ? 'STALE' : 'OFFLINE';
  return `${word}: ${frame.link.detail}`.slice(0, rowLength).padEnd(rowLength);
}

/** Six characters of the name: the seventh keeps neighbours apart on displays without gaps. */
function nameOf(strip: Strip): string {
  return strip.name.slice(0, charactersPerColumn - 1);
}

function statusOf(strip: Strip): string {
  if (strip.arming !== null) return `ARM ${strip.arming.want}?`;
  if (strip.notice !== null) return strip.notice.code === '' ? strip.notice.phase : strip.notice.code;
  if (strip.condition.state === 'blocked') return strip.condition.reason;
  if (strip.condition.state === 'missing' || strip.condition.state === 'denied') return strip.condition.state;
  if (strip.condition.state === 'unreachable') return 'no API';
  if (strip.hint !== null) return `${strip.hint === 'up' ? '^' : 'v'} ${strip.ready}/${strip.desired ?? '?'}`;
  if (strip.wanted !== null && strip.wanted !== strip.desired) return `${strip.ready}>${strip.wanted}`;
  return `${strip.ready}/${strip.desired ?? '?'}`;
}

function cell(text: string): string {
  return text.slice(0, charactersPerColumn).padEnd(charactersPerColumn);
}

function withLastColumn(top: string, bottom: string, above: string, below: string): string {
  const keep = rowLength - charactersPerColumn;
  return top.slice(0, keep) + cell(above) + bottom.slice(0, keep) + cell(below);
}

/** The display knows ASCII only. */
function characterCode(character: string): number {
  const code = character.charCodeAt(0);
  return code >= 0x20 && code < 0x7f ? code : 0x3f;
}

/** Eight colours: red 1, green 2, blue 4; a part counts from three quarters of the strongest, which tells most hues apart. */
function colourOf([red, green, blue]: Rgb): number {
  const bright = 0.75 * Math.max(red, green, blue, 1);
  return (red >= bright ? 1 : 0) + (green >= bright ? 2 : 0) + (blue >= bright ? 4 : 0);
}
