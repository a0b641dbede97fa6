import type { MidiMessage } from './messages.ts';

/** Bytes on their way to a device. */
export type Bytes = readonly number[];

/** Keeps a number inside 7 bits, so that no value can break the framing of the stream. */
function data7(value: number): number {
  return Math.min(127, Math.max(0, Math.round(value)));
}

/** Note on; velocity 0 switches the note, or the light behind it, off. */
export function noteOn(channel: number, note: number, velocity: number): Bytes {
  return [0x90 | channel, data7(note), data7(velocity)];
}

/** Control change. */
export function controlChange(channel: number, controller: number, value: number): Bytes {
  return [0xb0 | channel, data7(controller), data7(value)];
}

/** Pitch bend, 0..16383, low seven bits first. */
export function pitchBend(channel: number, value: number): Bytes {
  const bounded = Math.min(0x3fff, Math.max(0, Math.round(value)));
  return [0xe0 | channel, bounded & 0x7f, bounded >> 7];
}

/** System exclusive message with its framing. */
export function sysex(data: Iterable<number>): Bytes {
  return [0xf0, ...Array.from(data, data7), 0xf7];
}

/** Any message as bytes, with its own status. */
export function encode(message: MidiMessage): Bytes {
  switch (message.type) {
    case 'note-on':
      return noteOn(message.channel, message.note, message.velocity);
    case 'note-off':
      return [0x80 | message.channel, data7(message.note), data7(message.velocity)];
    case 'control-change':
      return controlChange(message.channel, message.controller, message.value);
    case 'program-change':
      return [0xc0 | message.channel, data7(message.program)];
    case 'channel-pressure':
      return [0xd0 | message.channel, data7(message.pressure)];
    case 'poly-pressure':
      return [0xa0 | message.channel, data7(message.note), data7(message.pressure)];
    case 'pitch-bend':
      return pitchBend(message.channel, message.value);
    case 'sysex':
      return sysex(message.data);
    case 'realtime':
      return [message.status];
  }
}
