/** From a preseed to files below /data/shared, and from those, at each start, to the running system. */
import path from 'node:path';
import { SurfacedError } from '../errors.ts';
import { type Disk, doing, forAll, forRoot, mostOwnBytes, removeFile, replaceFile } from './disk.ts';
import type { Note } from './outcome.ts';
import type { Places } from './places.ts';
import type { Preseed } from './preseed.ts';
import type { Secrets } from './secrets.ts';
import { iwdSettings, networkText, readNetwork } from './wifi.ts';

/** What these work on. */
export interface SettingsParts {
  readonly disk: Disk;
  readonly places: Places;
  readonly secrets: Secrets;
  /** Gives the running machine its name. */
  readonly setHostname: (name: string) => Promise<void>;
  /** Number of the group that the device's daemon runs in; null: there is none. */
  readonly group: number | null;
}

/**
 * Keeps what a preseed asks for; what it says nothing about stays.
 * @returns what the maker should know of it
 * @throws SurfacedError E_FIRST_BOOT
 */
export async function keepSettings(preseed: Preseed, parts: SettingsParts): Promise<readonly Note[]> {
  const { disk, places, secrets } = parts;
  const notes: Note[] = [];
  const { network, hostname, timezone, ssh } = preseed;
  if (network !== null) {
    const problem = await secrets.keep('wifi', networkText(network));
    if (problem !== null) notes.push(notSealed('the Wi-Fi password', problem));
  }
  if (hostname !== null) await replaceFile(disk, places.hostname, `${hostname}\n`, forAll);
  if (timezone !== null) await linkTimezone(timezone, parts);
  if (ssh !== null) {
    // SSH is on where there is a key: sshd starts by this file alone.
    const keys = path.join(places.ssh, 'authorized_keys');
    if (ssh.isEnabled) await replaceFile(disk, keys, `${ssh.keys.join('\n')}\n`, forAll);
    else await removeFile(disk, keys);
  }
  return notes;
}

/** A secret that is on the data partition as it is, though there is a TPM. */
export const notSealed = (what: string, problem: string): Note => ({
  kind: 'warning',
  text: `${what} is kept on the data partition without a seal: ${problem}`,
  remedy: 'Look after the TPM (`surfaced doctor`); it is sealed at a later start.',
});

async function linkTimezone(name: string, { disk, places }: SettingsParts): Promise<void> {
  await doing(places.localtime, async () => {
    const beside = `${places.localtime}.new`;
    await disk.makeFolder(path.dirname(beside), 0o755);
    await disk.remove(beside);
    await disk.link(`/usr/share/zoneinfo/${name}`, beside);
    await disk.rename(beside, places.localtime);
    await disk.syncFolder(path.dirname(places.localtime));
  });
}

/**
 * Puts into the running system what is kept. Each part on its own: one that fails keeps nothing else from working.
 * @returns what could not be done; and why there is no token to be used, null: there is one
 */
export async function startSettings(
  parts: SettingsParts,
): Promise<{ readonly notes: readonly Note[]; readonly tokenProblem: string | null }> {
  const notes: Note[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<string | null> => {
    try {
      await work();
      return null;
    } catch (problem) {
      if (!(problem instanceof SurfacedError)) throw problem;
      notes.push({ kind: 'warning', text: `${what}: ${problem.message}`, remedy: problem.remedy });
      return problem.message;
    }
  };
  await attempt('hostname', () => startHostname(parts));
  await attempt('Wi-Fi', () => startWifi(parts, notes));
  let hasToken = false;
  const problem = await attempt('one-time token', async () => {
    hasToken = await startToken(parts, notes);
  });
  return { notes, tokenProblem: problem ?? (hasToken ? null : 'The one-time token is gone: make another.') };
}

async function startHostname({ disk, places, setHostname }: SettingsParts): Promise<void> {
  const text = async (file: string): Promise<string> =>
    (await doing(file, () => disk.read(file, mostOwnBytes)))?.toString('utf8').trim() ?? '';
  const name = await text(places.hostname);
  if (/^[A-Za-z0-9-]{1,63}$/.test(name) && name !== (await text(places.kernelHostname)))
    await doing(places.kernelHostname, () => setHostname(name));
}

async function startWifi({ disk, places, secrets }: SettingsParts, notes: Note[]): Promise<void> {
  const kept = await secrets.open('wifi');
  if (kept === null) return;
  const { fileName, fileText, country } = readNetwork(kept);
  const problem = await secrets.keep('wifi', kept);
  if (problem !== null) notes.push(notSealed('the Wi-Fi password', problem));
  await replaceFile(disk, path.join(places.iwdConfig, 'main.conf'), iwdSettings(country), forAll);
  await doing(places.iwdNetworks, () => disk.makeFolder(places.iwdNetworks, 0o700));
  for (const other of await disk.list(places.iwdNetworks))
    if (other !== fileName && /\.(?:psk|open)$/.test(other))
      await removeFile(disk, path.join(places.iwdNetworks, other));
  await replaceFile(disk, path.join(places.iwdNetworks, fileName), fileText, forRoot);
}

/** True: there is one. */
async function startToken({ disk, places, secrets, group }: SettingsParts, notes: Note[]): Promise<boolean> {
  const token = await secrets.open('token');
  if (token === null) return false;
  const problem = await secrets.keep('token', token);
  if (problem !== null) notes.push(notSealed('the one-time token', problem));
  await replaceFile(disk, places.token, `${token}\n`, { mode: 0o640, group });
  return true;
}
