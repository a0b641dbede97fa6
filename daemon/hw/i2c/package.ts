/** The used part of the optional package `i2c-bus` 5.2.3, which has no type declarations; words as in its README. */

/** What the adapter can do, from the I2C_FUNCS ioctl. */
export interface I2cFuncs {
  /** Transfers of any form and length, not only those of SMBus. */
  readonly i2c: boolean;
  readonly smbusReadI2cBlock: boolean;
}

/** A bus: opens one descriptor for each address at its first use and keeps it until `close`. */
export interface PromisifiedBus {
  i2cFuncs(): Promise<I2cFuncs>;
  i2cRead(address: number, length: number, buffer: Buffer): Promise<{ readonly bytesRead: number }>;
  i2cWrite(address: number, length: number, buffer: Buffer): Promise<{ readonly bytesWritten: number }>;
  readI2cBlock(
    address: number,
    command: number,
    length: number,
    buffer: Buffer,
  ): Promise<{ readonly bytesRead: number }>;
  /** `bit` 0: the address with the direction "write" and nothing else. */
  writeQuick(address: number, bit: number): Promise<void>;
  close(): Promise<void>;
}

/** The package. */
export interface I2cBusPackage {
  /** Opens nothing yet. */
  openPromisified(bus: number): Promise<PromisifiedBus>;
}

/** Loads the package; rejects when it is not installed or its native part does not fit. */
export async function loadI2cBus(): Promise<I2cBusPackage> {
  // A specifier that the compiler does not look up: there is no declaration to be found.
  const specifier: string = 'i2c-bus';
  const loaded = (await import(specifier)) as { readonly default: I2cBusPackage };
  return loaded.default;
}
