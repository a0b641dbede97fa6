import { closeSync, openSync, readlinkSync } from 'node:fs';
import { type KoffiPackage, openNonBlocking } from './descriptor-port.ts';

/** A raw MIDI port by the name that `amidi -l` prints: `hw:<card>,<device>,<sub-device>`. */
export interface AlsaName {
  /** Number, or the card's id, which stays the same when cards are plugged in another order. */
  readonly card: string;
  readonly device: number;
  readonly subdevice: number;
}

/** Reads `hw:1,0,1` or `hw:MK3,0,1`; null when it is no such name but a path. */
export function parseAlsaName(name: string): AlsaName | null {
  const match = /^hw:(\w+),(\d+),(\d+)$/.exec(name);
  if (match === null) return null;
  const [, card = '', device, subdevice] = match;
  return { card, device: Number(device), subdevice: Number(subdevice) };
}

/** SNDRV_CTL_IOCTL_RAWMIDI_PREFER_SUBDEVICE, _IOW('U', 0x42, int) (Linux include/uapi/sound/asound.h). */
const preferSubdevice = 0x40045542;

/**
 * Opens one of the ports that share a device file, as those of USB devices with several ports do. The kernel keeps the
 * wish for the thread that opened the card's control file, while that is open: so all is done at once, on this thread.
 */
export function openSubdevice(name: AlsaName, koffi: KoffiPackage): number {
  const card = /^\d+$/.test(name.card) ? name.card : cardNumber(name.card);
  const control = openSync(`/dev/snd/controlC${card}`, 'r');
  try {
    const ioctl = koffi.load(null).func('int ioctl(int descriptor, unsigned long request, int *value)');
    if (ioctl(control, preferSubdevice, [name.subdevice]) !== 0) {
      throw new Error(`the sound card takes no wish for sub-device ${name.subdevice}`);
    }
    return openNonBlocking(`/dev/snd/midiC${card}D${name.device}`);
  } finally {
    closeSync(control);
  }
}

/** The kernel links a card's id to its number: /proc/asound/MK3 -> card1. */
function cardNumber(id: string): string {
  return readlinkSync(`/proc/asound/${id}`).replace(/^card/, '');
}
