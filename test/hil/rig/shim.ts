/** Whether the preloaded I2C shim can be used here. */
import { createRequire } from 'node:module';
import { adapterMissing } from '../../../hil/rig/adapters/build.mjs';

/** Why tests of i2c-bus behind the shim cannot run here, or false. */
export function shimMissing(): string | false {
  const missing = adapterMissing('i2c-shim.so');
  if (missing !== null) return missing;
  try {
    createRequire(import.meta.url).resolve('i2c-bus');
    return false;
  } catch {
    return 'the optional package i2c-bus is not installed';
  }
}
