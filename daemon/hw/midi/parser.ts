import type { MidiMessage } from './messages.ts';

/** Data bytes after a channel status, by its high nibble from 8 to E (MIDI 1.0 detailed specification, channel messages). */
const channelDataBytes = [2, 2, 2, 2, 1, 1, 2];
/** Data bytes after F1 to F6 (system common messages); F4 and F5 are undefined, F6 has none. */
const commonDataBytes = new Map([
  [0xf1, 1],
  [0xf2, 2],
  [0xf3, 1],
]);

const sysexStart = 0xf0;
const sysexEnd = 0xf7;
const firstRealtime = 0xf8;

/** What a parser did not pass on, for diagnosis of a bad cable or a wrong baud rate. */
export interface ParserCounters {
  /** Data bytes that belong to no message. */
  readonly strayBytes: number;
  /** System exclusive messages that were too long or were cut off by another status. */
  readonly droppedSysex: number;
}

/**
 * Turns a MIDI byte stream into messages, however the stream is cut into pieces. It keeps running status, and takes
 * real-time bytes out of the middle of anything without disturbing it (MIDI 1.0, "Running Status").
 * Memory is bounded by `maxSysexBytes`; nothing that arrives makes it throw.
 */
export class MidiParser {
  readonly #maxSysexBytes: number;
  /** Status that data bytes belong to: channel (kept as running status) or system common; 0: none. */
  #status = 0;
  #data: number[] = [];
  /** Open SysEx, null outside of one. */
  #sysex: number[] | null = null;
  #isSysexTooLong = false;
  #strayBytes = 0;
  #droppedSysex = 0;

  constructor(maxSysexBytes: number) {
    this.#maxSysexBytes = maxSysexBytes;
  }

  get counters(): ParserCounters {
    return { strayBytes: this.#strayBytes, droppedSysex: this.#droppedSysex };
  }

  /** Takes the next bytes of the stream and returns the messages that they complete. */
  push(bytes: Uint8Array): MidiMessage[] {
    const messages: MidiMessage[] = [];
    for (const byte of bytes) {
      if (byte >= firstRealtime) messages.push({ type: 'realtime', status: byte });
      else if (byte >= 0x80) this.#takeStatus(byte, messages);
      else this.#takeData(byte, messages);
    }
    return messages;
  }

  #takeStatus(status: number, messages: MidiMessage[]): void {
    this.#endSysex(status === sysexEnd, messages);
    this.#data = [];
    if (status < sysexStart) this.#status = status;
    else this.#status = commonDataBytes.has(status) ? status : 0;
    if (status === sysexStart) this.#sysex = [];
  }

  #endSysex(isComplete: boolean, messages: MidiMessage[]): void {
    if (this.#sysex === null) return;
    if (isComplete && !this.#isSysexTooLong) {
      messages.push({ type: 'sysex', data: Uint8Array.from(this.#sysex) });
    } else {
      this.#droppedSysex += 1;
    }
    this.#sysex = null;
    this.#isSysexTooLong = false;
  }

  #takeData(byte: number, messages: MidiMessage[]): void {
    if (this.#sysex !== null) {
      if (this.#sysex.length < this.#maxSysexBytes) this.#sysex.push(byte);
      else this.#isSysexTooLong = true;
      return;
    }
    if (this.#status === 0) {
      this.#strayBytes += 1;
      return;
    }
    this.#data.push(byte);
    const isCommon = this.#status >= sysexStart;
    const wanted = isCommon ? commonDataBytes.get(this.#status) : channelDataBytes[(this.#status >> 4) - 8];
    if (this.#data.length !== wanted) return;
    // System common (time code, song position, song select) means nothing to a panel and has no running status.
    if (isCommon) this.#status = 0;
    else messages.push(channelMessage(this.#status, this.#data[0] ?? 0, this.#data[1] ?? 0));
    this.#data = [];
  }
}

function channelMessage(status: number, first: number, second: number): MidiMessage {
  const channel = status & 0x0f;
  switch (status & 0xf0) {
    case 0x80:
      return { type: 'note-off', channel, note: first, velocity: second };
    case 0x90:
      return second === 0
        ? { type: 'note-off', channel, note: first, velocity: 0 }
        : { type: 'note-on', channel, note: first, velocity: second };
    case 0xa0:
      return { type: 'poly-pressure', channel, note: first, pressure: second };
    case 0xb0:
      return { type: 'control-change', channel, controller: first, value: second };
    case 0xc0:
      return { type: 'program-change', channel, program: first };
    case 0xd0:
      return { type: 'channel-pressure', channel, pressure: first };
    default:
      return { type: 'pitch-bend', channel, value: first | (second << 7) };
  }
}
