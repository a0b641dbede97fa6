/** `surfaced device`: a device from its config file. */
import { readFile } from 'node:fs/promises';
import { createTokenCredentials } from '../attest/enrol/client.ts';
import { systemClock } from '../clock.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { type Device, startDevice } from '../device.ts';
import { SurfacedError } from '../errors.ts';
import { startHealthServer } from '../health.ts';
import { createPanel } from '../hw/panels.ts';
import type { Log, LogLevel } from '../log.ts';
import type { SurfaceOptions } from '../surface/surface.ts';
import type { PanelSpec } from '../surface/types.ts';
import { loadDevice } from './load-device.ts';

/**
 * The surface's options as a Device file names them, for the panel that they are meant for.
 * @param file named in errors
 * @throws SurfacedError E_CFG_INVALID when the panel would lock without a key to unlock it: it would stay so for ever
 */
export function surfaceOptions(
  config: DeviceConfig['surface'],
  { roles }: PanelSpec,
  file: string,
): SurfaceOptions {
  const { settleMs, longestMoveMs, isLockedAtStart, lockAfterIdleSeconds } = config;
  if (roles.lock === undefined && (isLockedAtStart || lockAfterIdleSeconds > 0)) {
    const field = isLockedAtStart ? 'isLockedAtStart' : 'lockAfterIdleSeconds';
    throw new SurfacedError(
      'E_CFG_INVALID',
      `${file}: surface.${field}: needs a control in panel.roles.lock`,
    );
  }
  return { settleMs, longestMoveMs, isLockedAtStart, lockAfterIdleMs: lockAfterIdleSeconds * 1000 };
}

async function readToken(identity: NonNullable<DeviceConfig['identity']>): Promise<string> {
  if (identity.token !== undefined) return identity.token;
  try {
    return (await readFile(identity.tokenFile ?? '', 'utf8')).trim();
  } catch (cause) {
    throw new SurfacedError('E_CFG_READ', `identity.tokenFile: cannot read ${identity.tokenFile}`, { cause });
  }
}

/** The health endpoint, null when none is asked for; a device whose endpoint cannot be opened is stopped. */
async function startHealth(
  { health }: DeviceConfig,
  device: Device,
): Promise<{ close(): Promise<void> } | null> {
  if (!health) return null;
  try {
    return await startHealthServer(health.listen, () => device.health());
  } catch (error) {
    await device.stop();
    throw error;
  }
}

/** Reads the config and starts; everything wrong with the file is reported at once. The signal calls it off. @throws SurfacedError */
export async function runDevice(
  file: string,
  firmware: string,
  logFor: (level: LogLevel) => Promise<Log>,
  signal: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  const config = await loadDevice(file);
  const { gateway, identity } = config;
  if (!gateway || !identity) {
    const missing = gateway ? 'identity' : 'gateway';
    throw new SurfacedError(
      'E_CFG_INVALID',
      `${file}: ${missing}: required to run a device; only the demo does without`,
    );
  }
  const log = await logFor(config.log.level);
  const credentials = createTokenCredentials({
    config: gateway,
    token: await readToken(identity),
    clock: systemClock,
    random: Math.random,
    log: log.child({ part: 'enrol' }),
  });
  const panel = await createPanel(config.panel, {
    log: log.child({ part: 'panel' }),
    openPort: null,
    random: Math.random,
  });
  const device: Device = await startDevice({
    panel,
    credentials,
    surface: surfaceOptions(config.surface, panel.spec, file),
    firmware,
    clock: systemClock,
    random: Math.random,
    log,
    signal,
  });
  const health = await startHealth(config, device);
  return {
    stop: async () => {
      await Promise.allSettled([device.stop(), health?.close()]);
    },
  };
}
