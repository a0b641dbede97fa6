/** What lies on the firmware partition: collected in a folder, of which the file system is made. */
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SurfacedError } from '../../daemon/errors.ts';
import { raspberryEnvironment } from '../boot/boot-script.ts';
import type { BoardProfile } from './boards.ts';
import { configText } from './config-txt.ts';
import type { Tools } from './fat.ts';

/** Folder of the sources of the overlays. */
export const overlaySources = fileURLToPath(new URL('overlays/', import.meta.url));
/** Folder of files that lie on the partition as they are. */
export const ownFiles = fileURLToPath(new URL('files/', import.meta.url));

/** Compiles one overlay with symbols and fixups, which the firmware needs to join it to the board's device tree. */
export async function compileOverlay(tools: Tools, name: string, output: string): Promise<void> {
  const args = ['-@', '-I', 'dts', '-O', 'dtb', '-o', output, path.join(overlaySources, `${name}.dts`)];
  await tools.run('dtc', args, { binds: [overlaySources, path.dirname(output)] });
}

/** Folder of device trees of the one kernel in this root file system. */
export async function deviceTreeFolder(root: string): Promise<string> {
  const folders = (await readdir(path.join(root, 'usr/lib'))).filter((name) =>
    name.startsWith('linux-image-'),
  );
  const [only] = folders;
  if (only === undefined || folders.length > 1)
    throw new SurfacedError(
      'E_IMAGE_STEP',
      `${root}/usr/lib: one folder linux-image-* with device trees is wanted, there are ${folders.length}`,
    );
  return path.join(root, 'usr/lib', only, 'broadcom');
}

/** Windows' editors of old show a text without carriage returns as one line. */
async function copyText(from: string, to: string): Promise<void> {
  await writeFile(to, (await readFile(from, 'utf8')).replaceAll(/\r?\n/g, '\r\n'));
}

/** Copies a file that the card cannot do without. */
async function copyNeeded(from: string, to: string): Promise<void> {
  if (!(await stat(from).catch(() => null))?.isFile())
    throw new SurfacedError('E_IMAGE_STEP', `${from}: the card needs this file, and it is not there`);
  await copyFile(from, to);
}

/**
 * Fills `folder` with all that the firmware partition holds: firmware, U-Boot with its script and environment, device
 * trees, overlays, and the files for the maker. `root` is a root file system with the packages raspi-firmware,
 * u-boot-rpi and the kernel. Rejects with E_IMAGE_STEP, naming the file, when one is missing.
 */
export async function fillFirmwarePartition({
  tools,
  profile,
  root,
  bootScript,
  folder,
}: {
  readonly tools: Tools;
  readonly profile: BoardProfile;
  readonly root: string;
  readonly bootScript: string;
  readonly folder: string;
}): Promise<void> {
  const at = (...names: string[]): string => path.join(folder, ...names);
  await mkdir(at('overlays'), { recursive: true });
  await mkdir(at('licences'), { recursive: true });
  await writeFile(at('config.txt'), configText(profile.overlays));
  for (const name of profile.firmware)
    await copyNeeded(path.join(root, 'usr/lib/raspi-firmware', name), at(name));
  const trees = await deviceTreeFolder(root);
  for (const { deviceTree } of profile.boards) await copyNeeded(path.join(trees, deviceTree), at(deviceTree));
  for (const { name } of profile.overlays) await compileOverlay(tools, name, at('overlays', `${name}.dtbo`));

  await copyNeeded(path.join(root, 'usr/lib/u-boot/rpi_arm64/u-boot.bin'), at('u-boot.bin'));
  await writeFile(at('uboot.env'), raspberryEnvironment(await readFile(at('u-boot.bin'))));
  await copyNeeded(bootScript, at('boot.scr'));

  for (const name of ['README.txt', 'surfaced.yaml.example'])
    await copyText(path.join(ownFiles, name), at(name));
  for (const name of ['raspi-firmware', 'u-boot-rpi'])
    await copyNeeded(path.join(root, 'usr/share/doc', name, 'copyright'), at('licences', `${name}.txt`));
}
