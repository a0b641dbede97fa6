/** All parts that a panel can be made of. */
import { ads1115 } from './ads1115.ts';
import { ads7830 } from './ads7830.ts';
import type { PartDriver } from './driver.ts';
import { gpioButton } from './gpio-button.ts';
import { gpioEncoder } from './gpio-encoder.ts';
import { gpioKeys } from './gpio-keys.ts';
import { ht16k33 } from './ht16k33.ts';
import { is31fl3731 } from './is31fl3731.ts';
import { is31fl3741 } from './is31fl3741.ts';
import { mcp23017 } from './mcp23017.ts';
import { neoslider } from './neoslider.ts';
import { neotrellis } from './neotrellis.ts';
import { rotaryEncoder } from './rotary-encoder.ts';
import { seesawEncoder } from './seesaw-encoder.ts';
import { seesawQuadEncoder } from './seesaw-quad-encoder.ts';
import { senseHat } from './sense-hat.ts';
import { senseHatKernel } from './sense-hat-kernel.ts';

/** One line a driver; the order is that of the documentation. */
export const partDrivers: readonly PartDriver[] = [
  ads1115,
  ads7830,
  neoslider,
  gpioEncoder,
  gpioButton,
  rotaryEncoder,
  gpioKeys,
  seesawEncoder,
  seesawQuadEncoder,
  mcp23017,
  neotrellis,
  ht16k33,
  is31fl3731,
  is31fl3741,
  senseHat,
  senseHatKernel,
];
