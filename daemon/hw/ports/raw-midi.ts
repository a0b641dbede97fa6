import { close, constants, open } from 'node:fs';
import { promisify } from 'node:util';
import { SurfacedError } from '../../errors.ts';
import { DescriptorPort, type KoffiPackage, loadPackage } from './descriptor-port.ts';
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
export async function openRawMidi(options: RawMidiOptions, handlers: PortHandlers): Promise<Port> {
  const { path } = options;
  const koffi = await loadPackage('koffi', options.loadKoffi);
  let descriptor: number | null = null;
  try {
    descriptor = await promisify(open)(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
    return new DescriptorPort(
      {
        path,
        descriptor,
        // Behind a DIN socket the line carries 3125 bytes a second, behind USB far more; the kernel does not say which.
        bytesPerSecond: null,
        koffi,
        closeDescriptor: () => closeNumber(descriptor),
      },
      handlers,
    );
  } catch (cause) {
    await closeNumber(descriptor);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SurfacedError('E_HW_PORT_OPEN', `${path}: ${reason}`, { cause });
  }
}

async function closeNumber(descriptor: number | null): Promise<void> {
  if (descriptor !== null) await promisify(close)(descriptor);
}
