/** A panel made of parts, from its config to the buses and lines of this machine. */
import { readCalibration } from '../../config/calibration.ts';
import type { PartsPanelConfig } from '../../config/panel.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { PartDriver, RawInput } from '../chips/driver.ts';
import { lineOpener } from '../gpio/open.ts';
import { holdBus } from '../i2c/hold.ts';
import { openI2cBus } from '../i2c/i2c-bus.ts';
import { processBuses } from '../i2c/keeper.ts';
import { defaultTransferTimeoutMs, I2cOwner } from '../i2c/owner.ts';
import { systemInput } from '../input/evdev.ts';
import { systemTimers } from '../panel.ts';
import { composePanel } from './compose.ts';
import { PartsPanel } from './panel.ts';

/** What a panel of parts is created with. */
export interface CreatePartsPanelOptions {
  readonly config: PartsPanelConfig;
  readonly drivers: readonly PartDriver[];
  readonly log: Log;
  /** 0..1, for jitter. */
  readonly random: () => number;
  /** Sees readings as the parts make them; null: nobody does. */
  readonly onInputs: ((inputs: readonly RawInput[]) => void) | null;
}

/**
 * Creates the panel; nothing is opened before its `start`.
 * @throws SurfacedError E_CFG_INVALID with every field that does not fit, E_HW_CALIBRATION
 */
export async function createPartsPanel(options: CreatePartsPanelOptions): Promise<PartsPanel> {
  const { config, drivers, log, random, onInputs } = options;
  const { panel: composed, findings } = composePanel(config, drivers);
  if (composed === null) {
    const faults = findings.map(({ path, message }) => `${['panel', ...path].join('.')}: ${message}`);
    throw new SurfacedError('E_CFG_INVALID', faults.join('; '));
  }
  return new PartsPanel({
    composed,
    drivers,
    calibration: await readCalibration(config.calibration),
    brightness: config.brightness,
    night: config.night ?? null,
    holdBus: (bus) => holdBus(bus, `/dev/i2c-${bus}`),
    makeBus: (bus, handlers) =>
      new I2cOwner({
        bus,
        open: openI2cBus,
        neighbours: processBuses,
        timers: systemTimers,
        random,
        log,
        transferTimeoutMs: defaultTransferTimeoutMs,
        ...handlers,
      }),
    openLines: lineOpener(config.gpio, log),
    openInput: systemInput(log),
    onInputs,
    timers: systemTimers,
    now: () => Date.now(),
    random,
    log,
  });
}
