import type { PartsPanelConfig } from '../../config/panel.ts';
import type { Log } from '../../log.ts';
import { openCharacterDeviceLines } from './character-device.ts';
import type { OpenLines } from './lines.ts';
import { openSysfsLines } from './sysfs.ts';

/**
 * The way to open lines that a config names; packages with native code are loaded only then. A request that names no
 * chip is for the chip of the config.
 */
export function lineOpener(gpio: PartsPanelConfig['gpio'], log: Log): OpenLines {
  const openLines = openerFor(gpio.via, log);
  return (request, handlers) => openLines({ ...request, chip: request.chip ?? gpio.chip ?? null }, handlers);
}

function openerFor(via: PartsPanelConfig['gpio']['via'], log: Log): OpenLines {
  switch (via) {
    case 'character-device': {
      const loadKoffi = async () => (await import('koffi')).default;
      return openCharacterDeviceLines({ loadKoffi, deviceFolder: '/dev', log });
    }
    case 'sysfs':
      return openSysfsLines({ loadOnoff: () => import('onoff'), folder: '/sys/class/gpio', log });
  }
}
