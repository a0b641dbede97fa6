/** `surfaced doctor`, the config: what it says, and whether what it names beside the panel is there. */
import { readFile } from 'node:fs/promises';
import { readToken } from '../attest/enrol/token-proof.ts';
import { readCalibration } from '../config/calibration.ts';
import { loadConfig } from '../config/load.ts';
import type { PanelConfig } from '../config/panel.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { PartDriver } from '../hw/chips/driver.ts';
import { type Check, checksOf, messageOf } from '../hw/doctor/report.ts';
import { isMidi, panelDriver } from '../hw/panels.ts';
import { composePanel } from '../hw/parts/compose.ts';
import type { PanelSpec } from '../surface/types.ts';
import { surfaceOptions } from './device.ts';
import { loadDevice } from './load-device.ts';

const { ok, warning, fault } = checksOf('config');

/** A Device file as far as it could be read. */
export interface ExaminedConfig {
  /** Null: it cannot be read, or its fields are wrong. A config whose panel does not fit together is there. */
  readonly config: DeviceConfig | null;
  readonly checks: readonly Check[];
}

/** Reads a Device file, with everything that is wrong with it. Never rejects. */
export async function examineConfig(file: string, drivers: readonly PartDriver[]): Promise<ExaminedConfig> {
  let config: DeviceConfig;
  try {
    config = await loadDevice(file);
  } catch (error) {
    const remedy = error instanceof SurfacedError ? error.remedy : null;
    const rest = await loadConfig('Device', file).catch(() => null);
    return { config: rest, checks: [fault('file', messageOf(error), remedy)] };
  }
  const checks = [fileCheck(config, file, drivers), ...gatewayChecks(config)];
  const token = await tokenCheck(config);
  if (token !== null) checks.push(token);
  if (!isMidi(config.panel)) checks.push(await calibrationCheck(config.panel.calibration));
  return { config, checks };
}

function fileCheck(config: DeviceConfig, file: string, drivers: readonly PartDriver[]): Check {
  const { spec, words } = panelOf(config.panel, drivers);
  try {
    surfaceOptions(config.surface, spec, file);
  } catch (error) {
    return fault('file', messageOf(error), error instanceof SurfacedError ? error.remedy : null);
  }
  return ok('file', `${file}: ${words}, ${spec.controls.length} controls`);
}

function panelOf(panel: PanelConfig, drivers: readonly PartDriver[]): { spec: PanelSpec; words: string } {
  if (isMidi(panel)) return { spec: panelDriver(panel).spec, words: panel.preset };
  const { panel: composed } = composePanel(panel, drivers);
  // It was read with the same drivers just now.
  if (composed === null) throw new Error('the panel could be composed and now it cannot');
  const { length } = composed.parts;
  const name = panel.preset === 'parts' ? '' : `${panel.preset}, `;
  return { spec: composed.spec, words: `${name}${length} part${length === 1 ? '' : 's'}` };
}

function gatewayChecks({ gateway, identity }: DeviceConfig): Check[] {
  const missing = [
    ...(gateway === undefined ? ['gateway'] : []),
    ...(identity === undefined ? ['identity'] : []),
  ];
  if (missing.length === 0) return [];
  return [
    warning(
      'gateway',
      `no ${missing.join(' and no ')}: only \`surfaced demo --device\` and \`surfaced monitor\` do without`,
      'Let the gateway make the file: `surfaced enroll config`.',
    ),
  ];
}

/** Looks at the token without spending it; its value appears nowhere. */
async function tokenCheck({ identity }: DeviceConfig): Promise<Check | null> {
  const file = identity?.tokenFile;
  if (file === undefined) return null;
  try {
    const text = (await readFile(file, 'utf8')).trim();
    if (readToken(text) !== null) return ok('token', `${file} holds one`);
    return fault('token', `${file} holds no token`, 'Write into it what `surfaced enroll token` prints.');
  } catch (error) {
    return fault('token', messageOf(error), 'Check `identity.tokenFile` and who may read it.');
  }
}

async function calibrationCheck(file: string): Promise<Check> {
  try {
    const { size } = await readCalibration(file);
    return ok('calibration', size === 0 ? 'none: faders use their whole scale' : `${file}: ${size} faders`);
  } catch (error) {
    return fault('calibration', messageOf(error), error instanceof SurfacedError ? error.remedy : null);
  }
}
