import type { Finding } from '../config/findings.ts';
import type { MidiPanelConfig, PanelConfig } from '../config/panel.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Roles } from '../surface/types.ts';
import { brightnessAt, nightCheckMs } from './brightness.ts';
import { partDrivers } from './chips/table.ts';
import { MidiPanel, systemTimers } from './panel.ts';
import type { PanelDriver } from './panels/driver.ts';
import { genericMidi } from './panels/generic-midi.ts';
import { launchpad } from './panels/launchpad.ts';
import { mackieControl } from './panels/mackie-control.ts';
import { nanokontrol2 } from './panels/nanokontrol2.ts';
import { xTouchMini } from './panels/x-touch-mini.ts';
import { composePanel } from './parts/compose.ts';
import { createPartsPanel } from './parts/create.ts';
import type { PartsPanel } from './parts/panel.ts';
import { portOpener } from './ports/open.ts';
import type { OpenPort } from './ports/port.ts';

/** All MIDI panels, by the preset that names them in a config. */
const drivers: Record<MidiPanelConfig['preset'], (config: MidiPanelConfig) => PanelDriver> = {
  'launchpad-mini-mk3': (config) =>
    launchpad({ model: 'launchpad-mini-mk3', brightness: brightnessOf(config) }),
  'launchpad-x': (config) => launchpad({ model: 'launchpad-x', brightness: brightnessOf(config) }),
  nanokontrol2: () => nanokontrol2,
  'mackie-control': () => mackieControl,
  'x-touch-mini': () => xTouchMini,
  'generic-midi': ({ controls }) => genericMidi(controls ?? []),
};

const brightnessOf =
  ({ brightness, night }: MidiPanelConfig) =>
  () =>
    brightnessAt(brightness, night ?? null, Date.now());

/** What a panel needs beside its config. */
export interface PanelDependencies {
  readonly log: Log;
  /** Null: opened as the config says. */
  readonly openPort: OpenPort | null;
  /** 0..1, for jitter. */
  readonly random: () => number;
}

/** True for a panel on a MIDI port. */
export function isMidi(config: PanelConfig): config is MidiPanelConfig {
  return 'port' in config;
}

/** What is wrong with a panel's config beyond its schema; paths begin below `panel`. */
export function panelFindings(config: PanelConfig): readonly Finding[] {
  return isMidi(config) ? midiFindings(config) : composePanel(config, partDrivers).findings;
}

/**
 * Makes the panel that a config names; nothing is opened before its `start`.
 * @throws SurfacedError E_CFG_INVALID with every field that does not fit, E_HW_CALIBRATION
 */
export async function createPanel(
  config: PanelConfig,
  dependencies: PanelDependencies,
): Promise<MidiPanel | PartsPanel> {
  const { log, random } = dependencies;
  if (!isMidi(config)) return createPartsPanel({ config, drivers: partDrivers, log, random, onInputs: null });
  return new MidiPanel({
    driver: panelDriver(config),
    path: config.port.path,
    openPort: dependencies.openPort ?? portOpener(config.port),
    redrawMs: config.night === undefined ? null : nightCheckMs,
    log,
    random,
    timers: systemTimers,
  });
}

/**
 * The driver for a MIDI panel, with the config's roles over those of the preset.
 * @throws SurfacedError E_CFG_INVALID with every field that does not fit
 */
export function panelDriver(config: MidiPanelConfig): PanelDriver {
  const findings = midiFindings(config);
  if (findings.length > 0) {
    const faults = findings.map(({ path, message }) => `${['panel', ...path].join('.')}: ${message}`);
    throw new SurfacedError('E_CFG_INVALID', faults.join('; '));
  }
  const driver = drivers[config.preset](config);
  return { ...driver, spec: { ...driver.spec, roles: rolesOf(config, driver) } };
}

function rolesOf({ roles }: MidiPanelConfig, driver: PanelDriver): Roles {
  const named = Object.entries(roles ?? {}).filter(([, name]) => name !== undefined);
  return { ...driver.spec.roles, ...Object.fromEntries(named) };
}

function midiFindings(config: MidiPanelConfig): Finding[] {
  const driver = drivers[config.preset](config);
  const names = new Set(driver.spec.controls.map((control) => control.name));
  const roleFindings = Object.entries(rolesOf(config, driver))
    .filter(([, name]) => !names.has(name))
    .map(([role, name]) => finding(['roles', role], `the panel has no control ${name}`));
  const nightFindings =
    config.night === undefined || driver.isDimmable
      ? []
      : [finding(['night'], `the lights of ${config.preset} are only on or off: a night cannot dim them`)];
  return [...mapFindings(config), ...roleFindings, ...nightFindings];
}

function mapFindings({ preset, controls }: MidiPanelConfig): Finding[] {
  if (preset !== 'generic-midi') {
    return controls === undefined ? [] : [finding(['controls'], 'only the preset generic-midi has a map')];
  }
  if (controls === undefined || controls.length === 0) {
    return [finding(['controls'], 'the preset generic-midi needs at least one control')];
  }
  return controls.flatMap((control, index) => {
    const found: Finding[] = [];
    if (controls.findIndex((other) => other.name === control.name) !== index) {
      found.push(finding(['controls', index, 'name'], `${control.name} is already taken`));
    }
    if (control.type === 'button' && (control.note === undefined) === (control.cc === undefined)) {
      found.push(finding(['controls', index], 'a button needs either note or cc'));
    }
    return found;
  });
}

function finding(path: Finding['path'], message: string): Finding {
  return { path, message, isAboutKey: false };
}
