/** Local self-tests of a surface: what is wrong now, by name. Nothing here needs the network. */
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { registersOf } from '../attest/measure/registers.ts';
import { openTpm } from '../attest/open-tpm.ts';
import { loadConfig } from '../config/load.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { type Host, textOrNull, writeWhole } from './host.ts';
import { keptFolder, oneLine } from './standing.ts';

/** What is wrong, by the name of the test. */
export type Problems = ReadonlyMap<string, string>;

/** The unit of the device daemon. */
export const deviceUnit = 'surfaced-device.service';
const deviceFile = '/etc/surfaced/device.yaml';
const beforeFile = path.join(keptFolder, 'before.json');

/** The device daemon as systemd sees it. */
export interface DeviceUnit {
  /** It serves, as it said itself. */
  readonly isActive: boolean;
  /** Another one after every start. */
  readonly invocation: string;
  /** What it says of itself. */
  readonly status: string;
}

/** Asks systemd. */
export async function readDeviceUnit(host: Host, signal: AbortSignal): Promise<DeviceUnit> {
  const properties = '--property=ActiveState,InvocationID,StatusText';
  const { stdout } = await host.run(['systemctl', 'show', properties, deviceUnit], { onLine: null, signal });
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  return {
    isActive: value('ActiveState') === 'active',
    invocation: value('InvocationID'),
    status: value('StatusText'),
  };
}

/** Whether a Device file is there: without one there is no daemon to wait for. */
export const isConfigured = ({ root }: Host): Promise<boolean> =>
  stat(path.join(root, deviceFile)).then(
    () => true,
    () => false,
  );

/** All tests. Rejects only with the reason of the signal. */
export async function findProblems(host: Host, signal: AbortSignal): Promise<Problems> {
  const problems = new Map<string, string>();
  const tell = (name: string, problem: string | null): void => {
    if (problem !== null) problems.set(name, oneLine(problem));
  };
  if (await isConfigured(host)) {
    const unit = await readDeviceUnit(host, signal);
    tell('device', unit.isActive ? null : 'the device daemon does not run');
    tell('panel', unit.isActive ? (/panel not ok: [^;]*/.exec(unit.status)?.[0] ?? null) : 'nobody opens it');
    tell('tpm', await tpmProblem(host));
  }
  for (const unit of await failedUnits(host, signal)) tell(`unit ${unit}`, 'failed');
  tell('data', await dataProblem(host));
  return problems;
}

async function tpmProblem(host: Host): Promise<string | null> {
  let config: DeviceConfig;
  try {
    config = await loadConfig('Device', path.join(host.root, deviceFile));
  } catch (problem) {
    return (problem as Error).message;
  }
  const wanted = config.identity?.tpm;
  if (wanted === undefined) return null;
  const { device, swtpm, mssim } = wanted;
  const tpm = openTpm({
    ...(device === undefined ? {} : { device }),
    ...(swtpm === undefined ? {} : { swtpm }),
    ...(mssim === undefined ? {} : { mssim }),
  });
  try {
    await tpm.scope((scope) => registersOf(scope, [0], ['sha256']));
    return null;
  } catch (problem) {
    return (problem as Error).message;
  } finally {
    await tpm.close();
  }
}

/** Units that fail by what is in a stick or comes over the network, which says nothing about the version that runs. */
const isAboutOthers = (unit: string): boolean => /^surfaced-(?:usb-update@.*|update)\.service$/.test(unit);

async function failedUnits(host: Host, signal: AbortSignal): Promise<readonly string[]> {
  const command = ['systemctl', 'list-units', '--failed', '--plain', '--no-legend', '--full'] as const;
  const { stdout } = await host.run(command, { onLine: null, signal });
  const units = stdout.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
  return units.filter((unit) => !isAboutOthers(unit));
}

/** A data partition that cannot be written loses what the surface is given. */
async function dataProblem({ root }: Host): Promise<string | null> {
  const file = path.join(root, keptFolder, 'written');
  try {
    await writeWhole(file, 'yes\n');
    await rm(file);
    return null;
  } catch (problem) {
    return (problem as Error).message;
  }
}

/** Keeps what was wrong before an update: a panel that was away need not be there afterwards. */
export async function keepProblems(host: Host, problems: Problems): Promise<void> {
  await writeWhole(path.join(host.root, beforeFile), `${JSON.stringify([...problems.keys()])}\n`);
}

/** Names of what was wrong before; when nobody has kept them, or they cannot be read, nothing was. */
export async function problemsBefore({ root }: Host): Promise<ReadonlySet<string>> {
  try {
    const text = await textOrNull(path.join(root, beforeFile));
    return new Set(z.array(z.string()).parse(JSON.parse(text ?? '[]')));
  } catch {
    return new Set();
  }
}
