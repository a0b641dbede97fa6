/** The machine that is looked at: its files below a root, and the few things that files do not tell. */
import { constants } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { PartDriver } from '../chips/driver.ts';
import type { OpenI2c } from '../i2c/bus.ts';
import type { Ioctl } from '../kernel/ioctl.ts';
import type { Timers } from '../panel.ts';

/** Optional packages with native code. */
export type NativePackage = 'i2c-bus' | 'koffi' | 'onoff' | 'serialport';

/** How long one may wait for what, milliseconds. */
export interface Limits {
  /** One transfer of an I2C bus. */
  readonly transferMs: number;
  /** Everything that is asked of one I2C bus. */
  readonly busMs: number;
}

/** Everything through which the doctor sees a machine; tests make one up. */
export interface Machine {
  /** Folder that stands for `/`. */
  readonly root: string;
  /** Who asks. */
  readonly user: { readonly name: string; readonly groupIds: readonly number[]; readonly processId: number };
  readonly drivers: readonly PartDriver[];
  readonly openI2c: OpenI2c;
  /** Rejects when koffi cannot be loaded. */
  readonly loadIoctl: () => Promise<Ioctl>;
  /** Rejects when the package is not installed, or its native part does not fit. */
  readonly loadPackage: (name: NativePackage) => Promise<unknown>;
  /** Opens a raw MIDI port by its path or name, without waiting, and closes it. Rejects with the system's reason. */
  readonly openMidi: (pathOrName: string) => Promise<void>;
  /** Whether the user may open a file (below the root) in this mode of access(2). */
  readonly isAllowed: (file: string, mode: number) => Promise<boolean>;
  /** Whether the system's clock follows a time server; null: nothing tells. */
  readonly isSynchronized: () => Promise<boolean | null>;
  /** Unix milliseconds by the system's clock. */
  readonly now: () => number;
  /** When this program was built or installed, Unix milliseconds: the clock cannot be before it. */
  readonly builtAt: number;
  readonly timers: Timers;
  readonly limits: Limits;
}

/** Where a file of the machine is really. */
export function fileOf({ root }: Machine, file: string): string {
  return path.join(root, file);
}

/** Text of a file, without zero bytes at its end as device trees have them; null when it is not there or not readable. */
export async function textOf(machine: Machine, file: string): Promise<string | null> {
  try {
    return (await readFile(fileOf(machine, file), 'utf8')).replace(/\0+$/, '').trimEnd();
  } catch {
    // Half of what is looked for is missing on any machine.
    return null;
  }
}

/** A big-endian 32-bit number of the device tree; null when there is none. */
export async function cellOf(machine: Machine, file: string): Promise<number | null> {
  try {
    const bytes = await readFile(fileOf(machine, file));
    return bytes.length === 4 ? bytes.readUInt32BE() : null;
  } catch {
    return null;
  }
}

/** Names in a folder that match, by the number in them; none when the folder is not there. */
export async function namesIn(machine: Machine, folder: string, pattern: RegExp): Promise<string[]> {
  try {
    const names = await readdir(fileOf(machine, folder));
    return names
      .filter((name) => pattern.test(name))
      .sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  } catch {
    return [];
  }
}

/** Whether a file is there, links followed. */
export async function isThere(machine: Machine, file: string): Promise<boolean> {
  try {
    await stat(fileOf(machine, file));
    return true;
  } catch {
    return false;
  }
}

/** Whether the user may read and write a file. */
export function mayUse(machine: Machine, file: string): Promise<boolean> {
  return machine.isAllowed(fileOf(machine, file), constants.R_OK | constants.W_OK);
}

/** A group of /etc/group. */
interface Group {
  readonly name: string;
  readonly id: number;
  readonly members: readonly string[];
}

/** Reads /etc/group, as group(5) has it; lines that are none are left out. */
export function parseGroups(text: string): Group[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , id = '', members = ''] = line.split(':');
    if (name === '' || !/^\d+$/.test(id)) return [];
    return [{ name, id: Number(id), members: members.split(',').filter((member) => member !== '') }];
  });
}

/** Names of the groups that the user is in now. */
export async function groupsOf(machine: Machine): Promise<string[]> {
  const groups = parseGroups((await textOf(machine, '/etc/group')) ?? '');
  return machine.user.groupIds.map((id) => groups.find((group) => group.id === id)?.name ?? String(id));
}

/**
 * What to do when a device file is not for this user.
 * @param usual group that distributions give such files
 */
export async function permissionRemedy(machine: Machine, file: string, usual: string): Promise<string> {
  const { user } = machine;
  const groups = parseGroups((await textOf(machine, '/etc/group')) ?? '');
  const owner = await stat(fileOf(machine, file)).catch(() => null);
  const group = groups.find(({ id }) => id === owner?.gid);
  // Group "root", or a mode that gives the group nothing: no rule of udev has touched the file.
  if (owner === null || group === undefined || group.id === 0 || (owner.mode & 0o060) !== 0o060)
    return `${file} is for root alone: a rule of udev has to give it to a group, usually \`${usual}\` (GROUP="${usual}", MODE="0660").`;
  if (group.members.includes(user.name) && !user.groupIds.includes(group.id))
    return `${user.name} was put in the group \`${group.name}\`, which counts from the next login: log out and in again.`;
  return `Put the user in its group: \`sudo usermod -aG ${group.name} ${user.name}\`, then log in again.`;
}
