/**
 * Raw MIDI ports as `amidi -l` lists them, and who has them. Linux sound/core/rawmidi.c: /proc/asound/card<n>/midi<m> and
 * SNDRV_CTL_IOCTL_RAWMIDI_INFO; include/uapi/sound/asound.h.
 */
import { closeSync, openSync } from 'node:fs';
import type { Ioctl } from '../kernel/ioctl.ts';
import { fileOf, type Machine, namesIn, textOf } from './machine.ts';
import type { FoundMidiPort } from './report.ts';

/** _IOWR('U', 0x41, struct snd_rawmidi_info), worked out from the header with a C compiler. */
const rawMidiInfo = 0xc10c_5541;
/** sizeof(struct snd_rawmidi_info): no field of it depends on the word size. */
const infoBytes = 268;
/** Offsets and lengths of its fields. */
const field = { device: 0, subdevice: 4, stream: 8, name: [84, 80], subname: [164, 32] } as const;
/** enum SNDRV_RAWMIDI_STREAM_*. */
const streams = [0, 1] as const;

/** What the kernel's page about a device says. */
export interface MidiPage {
  readonly title: string;
  /** Sub-devices with the process that has them open; null: nobody has. */
  readonly subdevices: ReadonlyMap<number, number | null>;
}

/** Reads /proc/asound/card<n>/midi<m>: takes any text. */
export function parseMidiPage(text: string): MidiPage {
  const [title = '', ...lines] = text.split('\n');
  const subdevices = new Map<number, number | null>();
  let current: number | null = null;
  for (const line of lines) {
    const begin = /^(?:Output|Input) (\d{1,4})$/.exec(line.trim())?.[1];
    const owner = /^Owner PID\s*:\s*(\d{1,10})$/.exec(line.trim())?.[1];
    if (begin !== undefined) {
      current = Number(begin);
      subdevices.set(current, subdevices.get(current) ?? null);
    } else if (owner !== undefined && current !== null) {
      subdevices.set(current, Number(owner));
    }
  }
  return { title: title.trim(), subdevices };
}

/** Asks for a sub-device: struct snd_rawmidi_info with its key fields filled in. */
export function encodeRawMidiInfo(device: number, subdevice: number, stream: number): Uint8Array {
  const bytes = new Uint8Array(infoBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(field.device, device, true);
  view.setUint32(field.subdevice, subdevice, true);
  view.setInt32(field.stream, stream, true);
  return bytes;
}

/** The name of the sub-device, or of the device when it has none of its own. */
export function decodeRawMidiName(bytes: Uint8Array): string {
  const [own, whole] = [field.subname, field.name].map(([at, length]) => {
    const text = bytes.subarray(at, at + length);
    const end = text.indexOf(0);
    return new TextDecoder().decode(end < 0 ? text : text.subarray(0, end)).trim();
  });
  return own !== undefined && own !== '' ? own : (whole ?? '');
}

/**
 * All raw MIDI ports. Without `ioctl`, those that share a device file have one name.
 * @param ioctl null: the package for it is missing
 */
export async function listMidiPorts(machine: Machine, ioctl: Ioctl | null): Promise<FoundMidiPort[]> {
  const ports: FoundMidiPort[] = [];
  for (const file of await namesIn(machine, '/dev/snd', /^midiC\d+D\d+$/)) {
    const [, card = 0, device = 0] = (/^midiC(\d+)D(\d+)$/.exec(file) ?? []).map(Number);
    const page = parseMidiPage((await textOf(machine, `/proc/asound/card${card}/midi${device}`)) ?? '');
    const subdevices = page.subdevices.size > 0 ? page.subdevices : new Map([[0, null]]);
    for (const [subdevice, ownerId] of subdevices) {
      const own = ioctl === null ? null : askName({ machine, ioctl, card, device, subdevice });
      ports.push({
        name: `hw:${card},${device},${subdevice}`,
        path: `/dev/snd/${file}`,
        title: own ?? (page.title || 'without a name'),
        owner: ownerId === null ? null : await labelOf(machine, ownerId),
      });
    }
  }
  return ports;
}

async function labelOf(machine: Machine, processId: number): Promise<string> {
  const name = (await textOf(machine, `/proc/${processId}/comm`)) ?? 'a program';
  return `${name} (process ${processId})`;
}

function askName({
  machine,
  ioctl,
  card,
  device,
  subdevice,
}: {
  machine: Machine;
  ioctl: Ioctl;
  card: number;
  device: number;
  subdevice: number;
}): string | null {
  let descriptor: number;
  try {
    descriptor = openSync(fileOf(machine, `/dev/snd/controlC${card}`), 'r');
  } catch {
    // Not for this user, which the port itself will say.
    return null;
  }
  try {
    for (const stream of streams) {
      const bytes = encodeRawMidiInfo(device, subdevice, stream);
      try {
        ioctl(descriptor, rawMidiInfo, bytes);
        return decodeRawMidiName(bytes) || null;
      } catch {
        // A port of one direction has no information about the other.
      }
    }
    return null;
  } finally {
    closeSync(descriptor);
  }
}
