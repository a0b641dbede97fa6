/** `surfaced first-boot`, on this machine: what it is made of, and what is told of it. */
import { execFile } from 'node:child_process';
import { access, readFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ekPublicSha256 } from '../attest/certificates/public-key.ts';
import { findEndorsement } from '../attest/evidence/endorsement.ts';
import { openTpm } from '../attest/open-tpm.ts';
import type { Tpm } from '../attest/tpm2/index.ts';
import type { DeviceConfig, TpmConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { asItIs, checkImage, remounting } from '../first-boot/boot-partition.ts';
import { systemDisk } from '../first-boot/disk.ts';
import { type FirstBootParts, firstBoot } from '../first-boot/first-boot.ts';
import { readStatus, type Status } from '../first-boot/outcome.ts';
import { type Places, placesIn } from '../first-boot/places.ts';
import { type Facts, pairingCodeIn, writeReport } from '../first-boot/report.ts';
import { parseGroups } from '../hw/doctor/machine.ts';
import { silentLog } from '../log.ts';
import { version } from '../version.ts';

export interface FirstBootOptions {
  /** Folder that stands for `/`; only there nothing is mounted, and no machine is named. */
  readonly root: string;
  /** Null: the one at /dev/tpmrm0, if there is one. */
  readonly tpm: TpmConfig | null;
  readonly signal: AbortSignal;
}

/** Does what has to be done at a start; one line about each file. @throws SurfacedError */
export async function runFirstBoot(options: FirstBootOptions): Promise<string> {
  return withParts(options, async (parts, root) => {
    const { status, isNew } = await firstBoot(parts);
    if (isNew) await report(parts, root, status, { isEarly: true });
    return summary(status);
  });
}

/** Writes the report with what is known by now. @throws SurfacedError */
export async function runReport(options: FirstBootOptions): Promise<string> {
  return withParts(options, async (parts, root) => {
    const status = await readStatus(parts.disk, parts.places.status);
    if (status === null)
      throw new SurfacedError(
        'E_USAGE',
        'first-boot --report: `surfaced first-boot` has not run since the start',
      );
    const isWritten = await report(parts, root, status, { isEarly: false });
    return isWritten ? 'report written\n' : 'nothing new to report\n';
  });
}

async function withParts<T>(
  { root, tpm: wanted, signal }: FirstBootOptions,
  work: (parts: FirstBootParts, root: string) => Promise<T>,
): Promise<T> {
  if (root === '/') await checkImage(root);
  const places = placesIn(root);
  const hasDevice = root === '/' && (await isThere('/dev/tpmrm0'));
  const tpm: Tpm | null = wanted !== null ? openTpm(wanted) : hasDevice ? openTpm({}) : null;
  const parts: FirstBootParts = {
    disk: systemDisk,
    places,
    tpm,
    setHostname: (name) => writeFile(places.kernelHostname, name),
    whileWritable: root === '/' ? remounting(places.boot) : asItIs,
    group: root === '/' ? await groupOf(places) : null,
    version,
    now: Date.now,
    signal,
  };
  try {
    return await work(parts, root);
  } finally {
    await tpm?.close();
  }
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

async function groupOf({ groups }: Places): Promise<number | null> {
  const text = await readFile(groups, 'utf8').catch(() => '');
  return parseGroups(text).find(({ name }) => name === 'surfaced')?.id ?? null;
}

async function report(
  parts: FirstBootParts,
  root: string,
  status: Status,
  { isEarly }: { readonly isEarly: boolean },
): Promise<boolean> {
  const { disk, places, tpm, whileWritable } = parts;
  const config = status.isConfigured ? await deviceOf(places) : null;
  const facts: Facts = {
    version: parts.version,
    at: parts.now(),
    isClockSynchronized: await isThere(places.isClockSynchronized),
    hostname: (await readFile(places.kernelHostname, 'utf8').catch(() => 'not known')).trim(),
    addresses: isEarly ? null : addresses(),
    hasTpm: tpm !== null,
    panel: config === null ? null : await panelOf(config, root),
    pairingCode: isEarly || root !== '/' ? null : await pairingCode(),
    identity: config === null ? null : config.identity?.tpm === undefined ? 'token' : 'tpm',
  };
  // The first time, a TPM may need a minute to make that key.
  const ekSha256 = async () => (isEarly || tpm === null ? null : endorsementOf(tpm));
  return writeReport({ disk, folder: places.boot, status, facts, ekSha256, whileWritable });
}

async function deviceOf({ deviceFile }: Places): Promise<DeviceConfig | null> {
  const { loadDevice } = await import('./load-device.ts');
  // That it is good was found out just now; a fault in it is told elsewhere.
  return loadDevice(deviceFile).catch(() => null);
}

const deviceUnit = 'surfaced-device.service';
const statusMs = 10_000;

/** What the daemon's panel shows, or cannot show with less than five rows of lights. */
async function pairingCode(): Promise<string | null> {
  try {
    const command = ['show', '--property=StatusText', '--value', deviceUnit];
    const { stdout } = await promisify(execFile)('systemctl', command, { timeout: statusMs });
    return pairingCodeIn(stdout.trim());
  } catch (problem) {
    process.stderr.write(`surfaced: ${deviceUnit}: its status is not known: ${(problem as Error).message}\n`);
    return null;
  }
}

/** Global addresses, those of version 4 where there are any: what people type. */
function addresses(): string[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).filter(({ internal }) => !internal).map((one) => ({ ...one, name })),
  );
  const global = all.filter(({ address }) => !/^(?:fe80:|169\.254\.)/i.test(address));
  const four = global.filter(({ family }) => family === 'IPv4');
  return (four.length > 0 ? four : global).map(({ address, name }) => `${address} (${name})`).sort();
}

async function panelOf({ panel }: DeviceConfig, root: string): Promise<Facts['panel']> {
  const at = (file: string): Promise<boolean> => isThere(path.join(root, file));
  const { isMidi } = await import('../hw/panels.ts');
  if (isMidi(panel)) {
    const where = panel.port.path;
    // `hw:1,0,1`, or the card by its id.
    const card = /^hw:([^,]+)/.exec(where)?.[1];
    const file = card === undefined ? where : `/proc/asound/${/^\d+$/.test(card) ? `card${card}` : card}`;
    return { name: panel.preset, where, isThere: await at(file) };
  }
  const { wantsOf } = await import('../hw/doctor/wants.ts');
  const { partDrivers } = await import('../hw/chips/table.ts');
  const wired = wantsOf(panel, partDrivers).parts.flatMap(({ wiring }) =>
    wiring === null ? [] : [wiring.bus],
  );
  const files = [...new Set(wired)].sort().map((bus) => `/dev/i2c-${bus}`);
  // What is on a bus is for the daemon to ask, which has it by now.
  if (files.length === 0) return null;
  const found = await Promise.all(files.map(at));
  return { name: panel.preset, where: files.join(', '), isThere: found.every(Boolean) };
}

async function endorsementOf(tpm: Tpm): Promise<string | null> {
  try {
    return await tpm.scope(async (scope) => {
      const { key } = await findEndorsement(scope, silentLog);
      return ekPublicSha256(key.publicArea);
    });
  } catch {
    // The daemon tells what is wrong with the TPM; the report does without.
    return null;
  }
}

/** For the journal. */
function summary({ device, preseed, notes, problem, isConfigured }: Status): string {
  const lines = [device, preseed].flatMap((file) =>
    file === null
      ? []
      : [`${file.name}: ${file.state}`, ...file.notes.map(({ kind, text }) => `  ${kind}: ${text}`)],
  );
  const end =
    problem === null ? (isConfigured ? 'configured' : 'not configured') : `${problem.code} ${problem.detail}`;
  return `${[...lines, ...notes.map(({ kind, text }) => `${kind}: ${text}`), end].join('\n')}\n`;
}
