/** A panel's end of a pseudo-terminal, without another process between: times are taken at the very write. */
import { closeSync, constants, openSync } from 'node:fs';
import { DescriptorPort } from '../daemon/hw/ports/descriptor-port.ts';

export interface PseudoTerminal {
  /** What the device opens. */
  readonly path: string;
  write(...bytes: number[]): void;
  onData: (bytes: Uint8Array) => void;
  close(): Promise<void>;
}

/** Opens a new pseudo-terminal (posix_openpt(3)). */
export async function openPseudoTerminal(): Promise<PseudoTerminal> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const openMaster = library.func('int posix_openpt(int flags)');
  const grant = library.func('int grantpt(int descriptor)');
  const unlock = library.func('int unlockpt(int descriptor)');
  const nameOf = library.func('const char *ptsname(int descriptor)');
  const master: number = openMaster(constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  if (master < 0 || grant(master) !== 0 || unlock(master) !== 0) throw new Error('no pseudo-terminal');
  const path: string = nameOf(master);
  // Kept open, so that the panel's end outlives a device that closes its own.
  const far = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const terminal = {
    path,
    onData: (_bytes: Uint8Array): void => {},
    write: (...bytes: number[]): void => port.write(Uint8Array.from(bytes)),
    close: () => port.close(),
  };
  const port = new DescriptorPort(
    {
      path,
      descriptor: master,
      bytesPerSecond: null,
      koffi,
      closeDescriptor: async () => {
        closeSync(far);
        closeSync(master);
      },
    },
    {
      onData: (bytes) => terminal.onData(bytes),
      onClosed: () => {},
    },
  );
  return terminal;
}
