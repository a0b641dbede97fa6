import { openSubdevice, parseAlsaName } from './alsa.ts';
import { type KoffiPackage, openDescriptor, openNonBlocking } from './descriptor-port.ts';
import type { Port, PortHandlers } from './port.ts';

/** How to open an ALSA raw MIDI device. */
export interface RawMidiOptions {
  /** A device file such as /dev/snd/midiC1D1, or a name such as `hw:1,0,1`. */
  readonly path: string;
  /** Loads the optional package. */
  readonly loadKoffi: () => Promise<KoffiPackage>;
}

/**
 * Opens an ALSA raw MIDI device. Node's own streams read it with a blocking read() in a thread, which makes
 * process.exit hang; hence the descriptor that the event loop polls.
 */
export function openRawMidi(options: RawMidiOptions, handlers: PortHandlers): Promise<Port> {
  const name = parseAlsaName(options.path);
  const open = (koffi: KoffiPackage) =>
    name === null ? openNonBlocking(options.path) : openSubdevice(name, koffi);
  return openDescriptor({ ...options, open, prepare: null }, handlers);
}
