/** Modules of the kernel that a start needs before the root file system is there, in the order in which they can be loaded. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';

/**
 * What the initramfs loads, by name, for the Raspberry Pi 3, 4 and Zero 2 W and for QEMU's machine; what these need comes
 * before them. A module may be built into the kernel.
 */
export const earlyModules: readonly string[] = [
  // What the card's voltage hangs on (Pi 4), the controllers of cards.
  ...['fixed', 'gpio-regulator', 'sdhci-iproc', 'bcm2835', 'virtio_blk'],
  // Checksums that ext4 and dm-verity ask for by name: a module that the processor cannot use refuses to load.
  ...['crc32c_generic', 'sha256-arm64', 'sha2-ce'],
  ...['dm-verity', 'ext4', 'vfat', 'nls_cp437', 'nls_ascii'],
  // TPM on SPI.
  ...['spi-bcm2835', 'tpm_tis_spi'],
  // Watchdogs; the chip behind USB of the Pi 4.
  ...['bcm2835_wdt', 'i6300esb', 'reset-raspberrypi'],
];

const nameOf = (file: string): string =>
  path
    .basename(file)
    .replace(/\.ko(?:\.xz)?$/, '')
    .replaceAll('_', '-');

/**
 * Paths below `/usr/lib/modules/<kernelVersion>` of these modules and all that they need, each behind what it needs.
 * Rejects with E_IMAGE_STEP when the kernel has no such module or depmod did not run.
 */
export async function modulesInOrder(
  root: string,
  kernelVersion: string,
  names: readonly string[],
): Promise<string[]> {
  const folder = path.join(root, 'usr/lib/modules', kernelVersion);
  const read = (name: string): Promise<string> =>
    readFile(path.join(folder, name), 'utf8').catch((cause: unknown) => {
      throw new SurfacedError('E_IMAGE_STEP', `${path.join(folder, name)} cannot be read`, { cause });
    });
  const needs = new Map(
    (await read('modules.dep')).split('\n').flatMap((line) => {
      const [file, list] = line.split(':');
      return file && list !== undefined ? [[file, list.split(' ').filter((one) => one !== '')] as const] : [];
    }),
  );
  const builtIn = new Set((await read('modules.builtin')).split('\n').map(nameOf));
  const byName = new Map([...needs.keys()].map((file) => [nameOf(file), file]));
  const ordered = names.flatMap((name) => {
    const file = byName.get(name.replaceAll('_', '-'));
    // modules.dep(5): the last one is to be loaded first.
    if (file !== undefined) return [...(needs.get(file) ?? []).toReversed(), file];
    if (builtIn.has(name.replaceAll('_', '-'))) return [];
    throw new SurfacedError('E_IMAGE_STEP', `The kernel ${kernelVersion} has no module ${name}`);
  });
  return [...new Set(ordered)];
}
