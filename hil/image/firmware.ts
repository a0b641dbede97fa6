/** Firmware of the machine: Debian's U-Boot for QEMU, and the flash in which it keeps its environment. */
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { builtInEnvironment, encodeEnvironment } from '../../image/boot/environment.ts';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';
import { debianTree } from './debian-tree.ts';

/** Of the machine `virt`: its second flash, of which U-Boot uses the start (CONFIG_ENV_ADDR, CONFIG_ENV_SIZE). */
const flashBytes = 64 * 2 ** 20;
const environmentBytes = 0x40000;
const sectorBytes = 512;

/** The path of `u-boot.bin` for the machine `virt`; of the version that the image has for the Raspberry Pi. */
export async function ensureFirmware(toolbox: Toolbox): Promise<string> {
  const tree = await debianTree({
    ...{ toolbox, name: 'u-boot-qemu', recipe: '1', architectures: ['amd64'], bare: [] },
    packages: ['u-boot-qemu'],
    finish: async () => {},
  });
  return path.join(tree, 'usr/lib/u-boot/qemu_arm64/u-boot.bin');
}

/** Its value, in a command of U-Boot. */
const variable = (name: string): string => `\${${name}}`;

/**
 * Commands for `surfaced_board` of image/boot/boot.cmd: the second disk, `bytes` long and behind it zeros, becomes one more
 * archive of the initramfs, on the next multiple of 4096 with zeros before it, as the kernel wants it.
 */
function appendSecondDisk(bytes: number): string {
  const blocks = Math.ceil(bytes / sectorBytes);
  const hex = (value: number): string => value.toString(16);
  const end = variable('sd_end');
  return [
    `setexpr sd_end ${variable('sd_initrd')} + ${variable('sd_initrd_bytes')}`,
    `mw.b ${end} 0 1000`,
    // Without an `&`, at which `run` stops.
    `setexpr sd_end ${end} / 1000`,
    `setexpr sd_end ${end} + 1`,
    `setexpr sd_end ${end} * 1000`,
    'virtio dev 1',
    `virtio read ${end} 0 ${hex(blocks)}`,
    `setexpr sd_end ${end} + ${hex(blocks * sectorBytes)}`,
    `setexpr sd_initrd_bytes ${end} - ${variable('sd_initrd')}`,
  ].join('; ');
}

/** Writes the flash: U-Boot starts from the card at once, as `uboot.env` lets it do on the Raspberry Pi. */
export async function writeFlash(options: {
  readonly firmware: string;
  /** Bytes of an archive on the second disk; null: there is none. */
  readonly archiveBytes: number | null;
  readonly output: string;
}): Promise<void> {
  const variables = builtInEnvironment(await readFile(options.firmware));
  variables.set('bootdelay', '-2');
  variables.set('boot_targets', 'virtio');
  variables.delete('preboot');
  if (options.archiveBytes !== null) variables.set('surfaced_board', appendSecondDisk(options.archiveBytes));
  const flash = await open(options.output, 'w');
  try {
    await flash.write(encodeEnvironment(variables, environmentBytes));
    await flash.truncate(flashBytes);
  } finally {
    await flash.close();
  }
}
