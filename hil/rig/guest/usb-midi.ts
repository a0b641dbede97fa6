/**
 * A USB-MIDI device that can be plugged in and pulled out: the kernel's own MIDI gadget (f_midi) on its software-only
 * controller (dummy_hcd), so that the program sees a real USB-Audio card. Kernel: Documentation/usb/gadget_configfs.rst,
 * Documentation/ABI/testing/configfs-usb-gadget-midi.
 */
import { existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { waitFor } from './wait.ts';

const gadgets = '/sys/kernel/config/usb_gadget';
const timeoutMs = 5_000;

/** What the device says of itself. */
export interface UsbMidiDescription {
  /** Product string: the name of its ALSA card and, with ` MIDI 1`, of its port. */
  readonly name: string;
  /** 16 bits. */
  readonly vendorId: number;
  readonly productId: number;
}

/** Both ends of the cable. */
export interface UsbMidiEnds {
  /** ALSA card on the side of the program. */
  readonly hostCard: number;
  /** Raw MIDI on the side of the program, `/dev/snd/midiC*D0`. */
  readonly hostPath: string;
  /** Raw MIDI inside the device: what is written here, the program reads. */
  readonly devicePath: string;
}

/** Number of the ALSA card that hangs below a device of the platform, once its raw MIDI can be opened. */
function cardBelow(device: string): number | null {
  for (const name of readdirSync('/sys/class/sound').filter((entry) => /^card\d+$/.test(entry))) {
    const number = Number(name.slice('card'.length));
    if (placeOf(name)?.includes(`/${device}/`) && existsSync(midiPath(number))) return number;
  }
  return null;
}

/** Where a card hangs; null: it was pulled out since it was listed. */
function placeOf(card: string): string | null {
  try {
    return realpathSync(path.join('/sys/class/sound', card));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

const midiPath = (card: number): string => `/dev/snd/midiC${card}D0`;

/** A device in a drawer. It takes one of the four ports of the simulated controller for good. */
export class UsbMidiDevice {
  readonly #folder: string;
  readonly #port: number;

  /** @param port 0 to 3, one for each device */
  constructor(port: number, description: UsbMidiDescription) {
    this.#port = port;
    this.#folder = path.join(gadgets, `midi${port}`);
    const hex = (value: number) => `0x${value.toString(16).padStart(4, '0')}`;
    const inside = (...names: string[]) => path.join(this.#folder, ...names);
    mkdirSync(this.#folder);
    writeFileSync(inside('idVendor'), hex(description.vendorId));
    writeFileSync(inside('idProduct'), hex(description.productId));
    // 0x409: English.
    mkdirSync(inside('strings', '0x409'));
    writeFileSync(inside('strings', '0x409', 'manufacturer'), 'surfaced');
    writeFileSync(inside('strings', '0x409', 'product'), description.name);
    mkdirSync(inside('configs', 'c.1'));
    mkdirSync(inside('functions', 'midi.0'));
    writeFileSync(inside('functions', 'midi.0', 'id'), `device${port}`);
    symlinkSync(inside('functions', 'midi.0'), inside('configs', 'c.1', 'midi.0'));
  }

  /** Plugs it in; resolves when the program could open it. */
  async plug(): Promise<UsbMidiEnds> {
    writeFileSync(path.join(this.#folder, 'UDC'), `dummy_udc.${this.#port}`);
    const inner = await waitFor('The MIDI card inside the USB device', timeoutMs, () =>
      cardBelow(`dummy_udc.${this.#port}`),
    );
    const hostCard = await waitFor('The MIDI card of the USB device', timeoutMs, () =>
      cardBelow(`dummy_hcd.${this.#port}`),
    );
    return { hostCard, hostPath: midiPath(hostCard), devicePath: midiPath(inner) };
  }

  /** Pulls it out; resolves when its card is gone from the program's side. */
  async unplug(): Promise<void> {
    writeFileSync(path.join(this.#folder, 'UDC'), '\n');
    await waitFor('The end of the MIDI card of the USB device', timeoutMs, () =>
      cardBelow(`dummy_hcd.${this.#port}`) === null ? true : null,
    );
  }
}
