/** Linux error numbers, as include/uapi/asm-generic/errno-base.h and errno.h have them, that tell what went wrong on a bus. */

/** No such device or address: the address was not acknowledged (i2c-gpio, i2c-algo-bit.c). */
export const errnoNoDevice = 6;
/** Busy: a kernel driver has the address (i2c-dev.c, I2C_SLAVE). */
export const errnoBusy = 16;
/** Not supported: the adapter cannot do such a transfer (i2c-core-base.c, quirks). */
export const errnoNotSupported = 95;
/** Remote I/O error: something was not acknowledged (i2c-bcm2835.c, i2c-designware). */
export const errnoRemote = 121;

/**
 * The error number behind an error or its cause, or null. libuv's numbers are negative, those of native add-ons positive;
 * names are no help, as Node knows none for EREMOTEIO.
 */
export function errnoOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  if ('errno' in error && typeof error.errno === 'number') return Math.abs(error.errno);
  return error.cause === undefined ? null : errnoOf(error.cause);
}
