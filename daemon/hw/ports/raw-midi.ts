import type { KoffiPackage } from './descriptor-port.ts';
import { openDescriptor } from './descriptor-port.ts';
import type { Port, PortHandlers } from './port.ts';

/** How to open an ALSA raw MIDI device. */
export interface RawMidiOptions {
  readonly path: string;
  /** Loads the optional package. */
  readonly loadKoffi: () => Promise<KoffiPackage>;
}

/**
 * Opens an ALSA raw MIDI device such as /dev/snd/midiC1D1. Node's own streams read it with a blocking read() in a
 * thread, which makes process.exit hang; hence the descriptor that the event loop polls.
 */
export function openRawMidi(options: RawMidiOptions, handlers: PortHandlers): Promise<Port> {
  return openDescriptor({ ...options, prepare: null }, handlers);
}
