/** `surfaced device`: a device from its config file. */
import { readFile } from 'node:fs/promises';
import { createTokenCredentials } from '../attest/enrol/client.ts';
import { createTpmCredentials } from '../attest/enrol/tpm-client.ts';
import { openProver } from '../attest/evidence/tpm-prover.ts';
import { openTpm } from '../attest/open-tpm.ts';
import type { CredentialSource } from '../attest/types.ts';
import { systemClock } from '../clock.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { type Device, startDevice } from '../device.ts';
import { SurfacedError } from '../errors.ts';
import { healthOf, startHealthServer } from '../health.ts';
import { createPanel } from '../hw/panels.ts';
import type { Log, LogLevel } from '../log.ts';
import type { SurfaceOptions } from '../surface/surface.ts';
import type { Panel, PanelSpec } from '../surface/types.ts';
import { loadDevice } from './load-device.ts';
import { openUpdateMachine } from './update-machine.ts';

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

type Identity = NonNullable<DeviceConfig['identity']>;

async function readToken(identity: Identity): Promise<string> {
  if (identity.token !== undefined) return identity.token;
  try {
    return (await readFile(identity.tokenFile ?? '', 'utf8')).trim();
  } catch (cause) {
    throw new SurfacedError('E_CFG_READ', `identity.tokenFile: cannot read ${identity.tokenFile}`, { cause });
  }
}

/**
 * The surface's credentials, by what its file says that it has. The TPM is opened when it is first needed and again after it
 * was away; `close` leaves nothing in it, and comes after the last use of the credentials.
 */
async function openCredentials(
  config: NonNullable<DeviceConfig['gateway']>,
  identity: Identity,
  firmware: string,
  log: Log,
): Promise<{ readonly credentials: CredentialSource; close(): Promise<void> }> {
  const common = { config, clock: systemClock, random: Math.random, log };
  const { tpm } = identity;
  if (tpm === undefined) {
    const credentials = createTokenCredentials({ ...common, token: await readToken(identity) });
    return { credentials, close: async () => {} };
  }
  const { firmwareLog, imaLog, measuredLog, systemdLog } = tpm;
  const logs = { firmware: firmwareLog, ima: imaLog, measured: measuredLog, systemd: systemdLog };
  const prover = openProver({ tpm: openTpm(tpm), logs, log, random: Math.random });
  const credentials = createTpmCredentials({ ...common, prover, firmware });
  return { credentials, close: () => prover.close() };
}

/** The health endpoint, null when none is asked for. A surface is ready as soon as it runs: what it lacks, it shows. */
async function startHealth(
  { health, metrics }: DeviceConfig,
  device: Device,
  panel: Panel,
): Promise<{ close(): Promise<void> } | null> {
  if (health === undefined) return null;
  // Not before it is asked for: it costs a Pi memory and time at the start.
  const meter =
    metrics === undefined
      ? null
      : (await import('../metrics/device-metrics.ts')).createDeviceMeter(device, panel);
  return startHealthServer(health.listen, {
    report: () => device.health(),
    readiness: () => healthOf({ device: { ok: true, detail: 'started' } }),
    metrics: meter,
  });
}

/**
 * Reads the config and starts; everything wrong with the file is reported at once.
 * @param options.firmware version that runs
 * @param options.updates folder where updates are asked for
 * @param options.signal calls it off
 * @throws SurfacedError
 */
export async function runDevice(options: {
  readonly file: string;
  readonly firmware: string;
  readonly updates: string;
  readonly logFor: (level: LogLevel) => Promise<Log>;
  readonly signal: AbortSignal;
}): Promise<Device> {
  const { file, firmware, logFor, signal } = options;
  const config = await loadDevice(file);
  const { gateway, identity } = config;
  if (!gateway || !identity) {
    const missing = gateway ? 'identity' : 'gateway';
    throw new SurfacedError(
      'E_CFG_INVALID',
      `${file}: ${missing}: required to run a device; only the demo does without`,
    );
  }
  if (config.metrics && !config.health)
    throw new SurfacedError('E_CFG_INVALID', `${file}: metrics: needs health.listen, where they are served`);
  const log = await logFor(config.log.level);
  const panel = await createPanel(config.panel, {
    log: log.child({ part: 'panel' }),
    openPort: null,
    random: Math.random,
  });
  const surface = surfaceOptions(config.surface, panel.spec, file);
  const identified = await openCredentials(gateway, identity, firmware, log.child({ part: 'enrol' }));
  const updates = await openUpdateMachine({
    folder: options.updates,
    gatewayUrl: gateway.url,
    log: log.child({ part: 'update' }),
  });
  let device: Device | null = null;
  const stop = async (): Promise<void> => {
    await device?.stop();
    await updates.close();
    await identified.close();
  };
  try {
    device = await startDevice({
      panel,
      credentials: identified.credentials,
      surface,
      firmware,
      updates,
      clock: systemClock,
      random: Math.random,
      log,
      signal,
    });
    const health = await startHealth(config, device, panel);
    return {
      ...device,
      stop: async () => {
        await Promise.allSettled([stop(), health?.close()]);
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
