import { DescriptorPort, type KoffiPackage, loadPackage, openError } from './descriptor-port.ts';
import type { Port, PortHandlers } from './port.ts';

/** The parts of the optional package `serialport` that are used. */
export type SerialPackage = Pick<typeof import('serialport'), 'SerialPort'>;

/** How to open a serial line. */
export interface SerialOptions {
  readonly path: string;
  /** 31250 for MIDI sockets; USB serial bridges often run at 115200. */
  readonly baudRate: number;
  /** Load the optional packages. */
  readonly loadSerial: () => Promise<SerialPackage>;
  readonly loadKoffi: () => Promise<KoffiPackage>;
}

/**
 * Opens a serial line, 8 data bits, no parity, one stop bit (MIDI 1.0 electrical specification, at any rate).
 * The package opens and sets up the line, 31250 baud included, which needs more than termios; its stream is not used:
 * read() gives 0 after a hang-up, and its reading loop takes that for "try again", for ever, at full load.
 */
export async function openSerial(options: SerialOptions, handlers: PortHandlers): Promise<Port> {
  const { path, baudRate } = options;
  const { SerialPort } = await loadPackage('serialport', options.loadSerial);
  const koffi = await loadPackage('koffi', options.loadKoffi);
  try {
    const line = await SerialPort.binding.open({ path, baudRate });
    if (line.fd === null) throw new Error('serial lines are read on Linux and macOS only');
    return new DescriptorPort(
      {
        path,
        descriptor: line.fd,
        // Ten bits on the wire for a byte: start, eight data, stop.
        bytesPerSecond: baudRate / 10,
        koffi,
        closeDescriptor: () => line.close(),
      },
      handlers,
    );
  } catch (cause) {
    throw openError(path, cause);
  }
}
