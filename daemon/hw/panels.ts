import type { DeviceConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Panel, Roles } from '../surface/types.ts';
import { MidiPanel, systemTimers } from './panel.ts';
import type { PanelDriver } from './panels/driver.ts';
import { genericMidi } from './panels/generic-midi.ts';
import { launchpad } from './panels/launchpad.ts';
import { mackieControl } from './panels/mackie-control.ts';
import { nanokontrol2 } from './panels/nanokontrol2.ts';
import { xTouchMini } from './panels/x-touch-mini.ts';
import { portOpener } from './ports/open.ts';
import type { OpenPort } from './ports/port.ts';

type PanelConfig = DeviceConfig['panel'];

/** All panels, by the preset that names them in a config. */
const drivers: Record<PanelConfig['preset'], (config: PanelConfig) => PanelDriver> = {
  'launchpad-mini-mk3': ({ brightness }) => launchpad({ model: 'launchpad-mini-mk3', brightness }),
  'launchpad-x': ({ brightness }) => launchpad({ model: 'launchpad-x', brightness }),
  nanokontrol2: () => nanokontrol2,
  'mackie-control': () => mackieControl,
  'x-touch-mini': () => xTouchMini,
  'generic-midi': ({ controls }) => genericMidi(controls ?? []),
};

/** What a panel needs beside its config. */
export interface PanelDependencies {
  readonly log: Log;
  /** Null: opened as the config says. */
  readonly openPort: OpenPort | null;
  /** 0..1, for jitter. */
  readonly random: () => number;
}

/** Makes the panel that a config names; throws E_CFG_INVALID with every field that does not fit. */
export function createPanel(config: PanelConfig, dependencies: PanelDependencies): Panel {
  return new MidiPanel({
    driver: panelDriver(config),
    path: config.port.path,
    openPort: dependencies.openPort ?? portOpener(config.port),
    log: dependencies.log,
    random: dependencies.random,
    timers: systemTimers,
  });
}

/** The driver for a config, with the config's roles over those of the preset. */
export function panelDriver(config: PanelConfig): PanelDriver {
  const driver = drivers[config.preset](config);
  const roles: Roles = { ...driver.spec.roles, ...withoutUndefined(config.roles ?? {}) };
  const faults = [...mapFaults(config), ...roleFaults(driver, roles)];
  if (faults.length > 0) throw new SurfacedError('E_CFG_INVALID', faults.join('; '));
  return { spec: { ...driver.spec, roles }, open: () => driver.open() };
}

function mapFaults({ preset, controls }: PanelConfig): string[] {
  if (preset !== 'generic-midi') {
    return controls === undefined ? [] : ['panel.controls: only the preset generic-midi has a map'];
  }
  if (controls === undefined || controls.length === 0) {
    return ['panel.controls: the preset generic-midi needs at least one control'];
  }
  return controls.flatMap((control, index) => {
    const faults: string[] = [];
    if (controls.findIndex((other) => other.name === control.name) !== index) {
      faults.push(`panel.controls[${index}].name: ${control.name} is already taken`);
    }
    if (control.type === 'button' && (control.note === undefined) === (control.cc === undefined)) {
      faults.push(`panel.controls[${index}]: a button needs either note or cc`);
    }
    return faults;
  });
}

function roleFaults(driver: PanelDriver, roles: Roles): string[] {
  const names = new Set(driver.spec.controls.map((control) => control.name));
  return Object.entries(roles)
    .filter(([, name]) => !names.has(name))
    .map(([role, name]) => `panel.roles.${role}: the panel has no control ${name}`);
}

function withoutUndefined(roles: NonNullable<PanelConfig['roles']>): Roles {
  return Object.fromEntries(Object.entries(roles).filter(([, name]) => name !== undefined));
}
