import { SurfacedError } from '../../errors.ts';
import type { Port, PortHandlers } from './port.ts';
import { StreamPort } from './stream-port.ts';

/** The parts of the optional package `serialport` that are used. */
export type SerialPackage = Pick<typeof import('serialport'), 'SerialPort'>;

/** How to open a serial line. */
export interface SerialOptions {
  readonly path: string;
  /** 31250 for MIDI sockets; USB serial bridges often run at 115200. */
  readonly baudRate: number;
  /** Loads the optional package. */
  readonly load: () => Promise<SerialPackage>;
}

/** Opens a serial line, 8 data bits, no parity, one stop bit (MIDI 1.0 electrical specification, at any rate). */
export async function openSerial(options: SerialOptions, handlers: PortHandlers): Promise<Port> {
  const { path, baudRate } = options;
  let serial: SerialPackage;
  try {
    serial = await options.load();
  } catch (cause) {
    throw new SurfacedError('E_HW_PACKAGE', 'a serial port needs the package serialport', { cause });
  }
  const stream = new serial.SerialPort({ path, baudRate, autoOpen: false });
  await new Promise<void>((resolve, reject) => {
    stream.open((cause) => {
      if (cause === null || cause === undefined) resolve();
      else reject(new SurfacedError('E_HW_PORT_OPEN', `${path}: ${cause.message}`, { cause }));
    });
  });
  const end = () =>
    new Promise<void>((resolve) => {
      if (stream.isOpen) stream.close(() => resolve());
      else resolve();
    });
  // Ten bits on the wire for a byte: start, eight data, stop.
  return new StreamPort({ path, stream, bytesPerSecond: baudRate / 10, end }, handlers);
}
