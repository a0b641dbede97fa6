/**
 * Lines between a bench and its controller, see PROTOCOL.md; the other end is firmware/protocol.py. Pure.
 * The sum is CRC-32 of IEEE 802.3, which zlib and MicroPython's binascii bring along.
 */
import { crc32 } from 'node:zlib';

/** Version of the protocol that is spoken here. */
export const protocolVersion = 1;
/** Characters of the longest line, its newline not counted. */
export const longestLine = 200;
/** Numbers of messages go from 0 to this and begin again. */
export const highestNumber = 0xffff;

/** `?` is a request of the bench, `=` the reply to it, `!` an event that the controller tells by itself. */
export type MessageKind = '?' | '=' | '!';

/** One line. */
export interface Message {
  readonly kind: MessageKind;
  /** Of a request and its reply: the same; of an event: one more than that of the event before. */
  readonly number: number;
  /** At least one; visible ASCII without spaces. */
  readonly words: readonly string[];
}

/** A line with its newline; throws when it would be none that `decodeLine` takes. */
export function encodeLine({ kind, number, words }: Message): string {
  const text = `${kind} ${number} ${words.join(' ')}`;
  const line = `${text} *${crc32(text).toString(16).padStart(8, '0')}`;
  if (decodeLine(line)?.words.length !== words.length)
    throw new Error(`This is no line of the bench protocol: ${line}`);
  return `${line}\n`;
}

/** The message of a line without its newline; null when it is not as `encodeLine` writes it: torn, spoilt, or noise. */
export function decodeLine(line: string): Message | null {
  if (line.length > longestLine) return null;
  const match = /^([?=!]) (0|[1-9]\d{0,4})((?: [!-~]+)+) \*([0-9a-f]{8})$/.exec(line);
  if (match === null) return null;
  const [, kind, number, words = '', sum] = match;
  if (Number(number) > highestNumber) return null;
  if (crc32(line.slice(0, line.length - 10)) !== Number.parseInt(sum ?? '', 16)) return null;
  return { kind: kind as MessageKind, number: Number(number), words: words.slice(1).split(' ') };
}

/** Cuts bytes into lines; what is too long is left out up to its end. */
export class LineReader {
  #line = '';
  #isTooLong = false;

  /** Takes bytes as they come and gives the lines that end in them. */
  push(bytes: Uint8Array): string[] {
    const lines: string[] = [];
    const pieces = Buffer.from(bytes).toString('latin1').split('\n');
    for (const [index, piece] of pieces.entries()) {
      // A terminal driver may have put a carriage return before the newline; one more than the longest line is kept.
      this.#isTooLong ||= this.#line.length + piece.length > longestLine + 1;
      this.#line = this.#isTooLong ? '' : this.#line + piece;
      if (index === pieces.length - 1) break;
      if (this.#line !== '') lines.push(this.#line.replace(/\r$/, ''));
      this.#line = '';
      this.#isTooLong = false;
    }
    return lines;
  }
}
