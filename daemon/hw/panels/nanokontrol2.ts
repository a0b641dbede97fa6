/**
 * Korg nanoKONTROL2: eight faders and knobs without motors, so they pick values up; S and R of a strip show which way
 * to move its fader, M that it is bound. The lights obey only in external LED mode, which is set in the device's
 * working memory through a scene dump and taken back on leaving; nothing is written to its flash.
 * Bytes as the open-source driver of zynthian/zynthian-ui uses them; not run on the device yet. To check against: Korg,
 * "nanoKONTROL2 MIDI Implementation", scene dump and parameter table.
 */
import type { Frame } from '../../surface/types.ts';
import type { MidiMessage } from '../midi/messages.ts';
import { type Bytes, sysex } from '../midi/writer.ts';
import type { PanelDriver, PanelSession, Reaction } from './driver.ts';
import { nothing } from './driver.ts';
import { numbered, type PanelTable, specOf, type TableControl, TableSession } from './table.ts';

const strips = numbered(8, (number, index): TableControl[] => [
  {
    spec: { name: `fader${number}`, kind: 'fader' },
    channel: null,
    position: { cc: index, lsbCc: null },
    lights: [{ cc: 48 + index }],
    hintLights: { up: { cc: 32 + index }, down: { cc: 64 + index } },
  },
  {
    spec: { name: `knob${number}`, kind: 'fader' },
    channel: null,
    position: { cc: 16 + index, lsbCc: null },
  },
  { spec: { name: `solo${number}`, kind: 'button' }, channel: null, press: { cc: 32 + index } },
  { spec: { name: `mute${number}`, kind: 'button' }, channel: null, press: { cc: 48 + index } },
  { spec: { name: `rec${number}`, kind: 'button' }, channel: null, press: { cc: 64 + index } },
]).flat();

const transport = Object.entries({
  play: 41,
  stop: 42,
  rewind: 43,
  forward: 44,
  record: 45,
  cycle: 46,
  'track-previous': 58,
  'track-next': 59,
  'marker-set': 60,
  'marker-previous': 61,
  'marker-next': 62,
}).map(
  ([name, cc]): TableControl => ({
    spec: { name, kind: 'button' },
    channel: null,
    press: { cc },
    lights: [{ cc }],
  }),
);

const table: PanelTable = {
  model: 'nanokontrol2',
  controls: [...strips, ...transport],
  roles: {
    arm: 'record',
    undo: 'rewind',
    bankPrevious: 'track-previous',
    bankNext: 'track-next',
    lock: 'cycle',
  },
};

/** A Korg nanoKONTROL2 as a panel. */
export const nanokontrol2: PanelDriver = {
  spec: specOf(table),
  isDimmable: false,
  open: () => new NanoKontrol2Session(),
};

const inquiry = sysex([0x7e, 0x7f, 0x06, 0x01]);
const dumpPrefix = [0x7f, 0x7f, 0x02, 0x03, 0x05, 0x40];
const dumpBytes = 388;
const globalChannelAt = 0;
const ledModeAt = 2;
const externalLeds = 1;
const loadCompleted = 0x23;

/** Every Korg message begins with maker, channel and model; `g` is the device's global channel. */
function korg(channel: number, data: Iterable<number>): Bytes {
  return sysex([0x42, 0x40 | channel, 0x00, 0x01, 0x13, 0x00, ...data]);
}

class NanoKontrol2Session implements PanelSession {
  /** Channel 1 is the factory setting; the answer to the inquiry tells another one. */
  readonly enter: Bytes = [...inquiry, ...korg(0, [0x1f, 0x10, 0x00])];
  readonly settleMs = 0;
  readonly #lights = new TableSession(table);
  /** The message that puts the LED mode back as it was; empty when it was never changed. */
  #restore: Bytes = [];

  receive(message: MidiMessage): Reaction {
    return message.type === 'sysex' ? this.#system(message.data) : this.#lights.receive(message);
  }

  #system(data: Uint8Array): Reaction {
    const isIdentity = data[0] === 0x7e && data[2] === 0x06 && data[3] === 0x02 && data[4] === 0x42;
    if (isIdentity && data[5] === 0x13 && data[6] === 0x01) {
      const channel = (data[1] ?? 0) & 0x0f;
      // The first request was for channel 1: a device on another channel has not answered it.
      return channel === 0 ? nothing : { ...nothing, reply: korg(channel, [0x1f, 0x10, 0x00]) };
    }
    if (data[0] !== 0x42 || data[3] !== 0x01 || data[4] !== 0x13) return nothing;
    if (data[6] === 0x5f && data[7] === loadCompleted) {
      // Lights sent before the change of mode had no effect.
      this.#lights.forget();
      return { ...nothing, isRedrawNeeded: true };
    }
    const body = data.subarray(6);
    if (body.length !== dumpPrefix.length + dumpBytes) return nothing;
    return dumpPrefix.every((byte, at) => body[at] === byte) ? this.#scene(data, body) : nothing;
  }

  #scene(data: Uint8Array, body: Uint8Array): Reaction {
    const scene = unpack7(body.subarray(dumpPrefix.length));
    const channel = (scene[globalChannelAt] ?? 0) & 0x0f;
    this.#lights.outputChannel = channel;
    if (scene[ledModeAt] === externalLeds) {
      this.#lights.forget();
      return { ...nothing, isRedrawNeeded: true };
    }
    this.#restore = sysex(data);
    scene[ledModeAt] = externalLeds;
    return { ...nothing, reply: korg(channel, [...dumpPrefix, ...pack7(scene)]) };
  }

  render(frame: Frame): Bytes {
    return this.#lights.render(frame);
  }

  leave(): Bytes {
    return [...this.#lights.leave(), ...this.#restore];
  }
}

/** Eight bytes carry seven: the first holds their top bits, lowest first (Korg's packing of SysEx data). */
function unpack7(packed: Uint8Array): number[] {
  const bytes: number[] = [];
  for (let at = 0; at < packed.length; at += 8) {
    const tops = packed[at] ?? 0;
    packed.subarray(at + 1, at + 8).forEach((low, index) => {
      bytes.push(low | (((tops >> index) & 1) << 7));
    });
  }
  return bytes;
}

/** The reverse of {@link unpack7}. */
function pack7(bytes: readonly number[]): number[] {
  const packed: number[] = [];
  for (let at = 0; at < bytes.length; at += 7) {
    const group = bytes.slice(at, at + 7);
    packed.push(group.reduce((tops, byte, index) => tops | ((byte >> 7) << index), 0));
    packed.push(...group.map((byte) => byte & 0x7f));
  }
  return packed;
}
