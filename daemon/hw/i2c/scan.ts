/** What buses there are, and what answers on them; for `surfaced doctor`. */
import { access, constants, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import type { I2cDevice } from './bus.ts';
import { errnoBusy, errnoNotSupported, errnoOf } from './errno.ts';

/** Where the kernel shows its buses; tests have their own. */
export interface ScanRoots {
  readonly dev: string;
  readonly sysfs: string;
}

/** The machine's own. */
export const systemRoots: ScanRoots = { dev: '/dev', sysfs: '/sys' };

/** An I2C bus of this machine. */
export interface BusInfo {
  /** As in `/dev/i2c-1`. */
  readonly bus: number;
  readonly path: string;
  /** The adapter as its driver calls it, e.g. `bcm2835 (i2c@7e804000)`; null for buses that sysfs does not know (CUSE). */
  readonly name: string | null;
  /** Whether the device file is there: without it udev has not run or the container hides it. */
  readonly hasFile: boolean;
  /** For the user of this process. */
  readonly isReadable: boolean;
  readonly isWritable: boolean;
}

/** All buses that `/dev` or sysfs has, by number; rejects with E_HW_BUS_OPEN when these folders cannot be read. */
export async function listBuses(roots: ScanRoots): Promise<BusInfo[]> {
  const classFolder = path.join(roots.sysfs, 'class/i2c-dev');
  const files = busNumbers(await namesIn(roots.dev));
  const adapters = busNumbers(await namesIn(classFolder));
  const buses = [...new Set([...files, ...adapters])].sort((a, b) => a - b);
  return Promise.all(
    buses.map(async (bus) => {
      const file = path.join(roots.dev, `i2c-${bus}`);
      return {
        bus,
        path: file,
        name: adapters.includes(bus) ? await nameIn(path.join(classFolder, `i2c-${bus}`)) : null,
        hasFile: files.includes(bus),
        isReadable: await isAllowed(file, constants.R_OK),
        isWritable: await isAllowed(file, constants.W_OK),
      };
    }),
  );
}

/**
 * What is at an address. `claimed`: a kernel driver has it. `untested`: the adapter cannot ask without doing something
 * (no SMBus "Quick Command", as on some DesignWare adapters).
 */
export type Presence = 'answers' | 'silent' | 'claimed' | 'untested';

/**
 * Asks whether something answers at the device's address, with as little harm as is possible, as `i2cdetect` does it:
 * EEPROM addresses read a byte, because a quick write can corrupt some of them (AT24RF08); all others get a quick write,
 * because a read can lock up write-only parts (i2c-tools, i2cdetect(8)). Rejects with E_HW_BUS when the bus fails.
 */
export async function probeAddress(device: I2cDevice): Promise<Presence> {
  const { address } = device;
  const isRead = (address >= 0x30 && address <= 0x37) || (address >= 0x50 && address <= 0x5f);
  try {
    if (isRead) await device.read('frame', 1);
    else await device.write('frame', []);
    return 'answers';
  } catch (error) {
    if (error instanceof SurfacedError && error.code === 'E_HW_NO_ACK') return 'silent';
    const errno = errnoOf(error);
    if (errno === errnoBusy) return 'claimed';
    if (errno === errnoNotSupported) return 'untested';
    throw error;
  }
}

function busNumbers(names: readonly string[]): number[] {
  return names.filter((name) => /^i2c-\d{1,6}$/.test(name)).map((name) => Number(name.slice(4)));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    // The kernel has no I2C, or no bus yet.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw new SurfacedError('E_HW_BUS_OPEN', `${folder} cannot be read`, { cause });
  }
}

async function nameIn(folder: string): Promise<string | null> {
  try {
    return (await readFile(path.join(folder, 'name'), 'utf8')).trim();
  } catch {
    // Unplugged just now, or hidden: a bus without a name is still a bus.
    return null;
  }
}

async function isAllowed(file: string, mode: number): Promise<boolean> {
  try {
    await access(file, mode);
    return true;
  } catch {
    // Why is for the opening to say.
    return false;
  }
}
