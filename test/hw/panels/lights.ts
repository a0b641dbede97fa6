import type { MidiMessage } from '../../../daemon/hw/midi/messages.ts';
import { MidiParser } from '../../../daemon/hw/midi/parser.ts';

const launchpadHeader = [0x00, 0x20, 0x29, 0x02];
const mackieHeader = [0x00, 0x00, 0x66, 0x14];

/** What a device would show after the bytes it was sent: the last value of every light, ring, motor and character. */
export class Lights {
  readonly shown = new Map<string, string>();
  readonly #parser = new MidiParser(1024);

  take(bytes: readonly number[]): void {
    for (const message of this.#parser.push(Uint8Array.from(bytes))) this.#takeMessage(message);
    const { strayBytes, droppedSysex } = this.#parser.counters;
    if (strayBytes + droppedSysex > 0) throw new Error('bytes that are no MIDI');
  }

  /** Both rows of a Mackie display. */
  get text(): string {
    return Array.from({ length: 112 }, (_, at) => this.shown.get(`character ${at}`) ?? '_').join('');
  }

  #takeMessage(message: MidiMessage): void {
    switch (message.type) {
      case 'note-on':
      case 'note-off':
        this.shown.set(`note ${message.channel} ${message.note}`, String(message.velocity));
        break;
      case 'control-change':
        this.shown.set(`cc ${message.channel} ${message.controller}`, String(message.value));
        break;
      case 'pitch-bend':
        this.shown.set(`motor ${message.channel}`, String(message.value));
        break;
      case 'sysex':
        this.#takeSysex(message.data);
        break;
      default:
        throw new Error(`a panel has no use for ${message.type}`);
    }
  }

  #takeSysex(data: Uint8Array): void {
    const isFrom = (header: readonly number[]) => header.every((byte, at) => data[at] === byte);
    if (isFrom(launchpadHeader) && data[5] === 0x03) {
      for (let at = 6; at < data.length; at += 5) {
        this.shown.set(`led ${data[at + 1]}`, data.subarray(at, at + 5).join());
      }
    } else if (isFrom(mackieHeader) && data[4] === 0x12) {
      const start = data[5] ?? 0;
      data.subarray(6).forEach((code, at) => {
        this.shown.set(`character ${start + at}`, String.fromCharCode(code));
      });
    } else {
      this.shown.set(`sysex ${data.subarray(0, 5).join()}`, data.join());
    }
  }
}
