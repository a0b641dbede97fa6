/**
 * A system for the checks of the boot: Debian's kernel, the project's own initramfs, and in the place of systemd a script
 * that says what it finds and does what the firmware partition tells it.
 */
import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../daemon/errors.ts';
import { buildInitramfs, initramfsPackages } from '../../image/boot/initramfs.ts';
import { buildSlot } from '../../image/boot/slot.ts';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';
import { debianTree } from './debian-tree.ts';

const epoch = 1_790_000_000;
const applets = [
  'cat',
  'dd',
  'echo',
  'ls',
  'mount',
  'od',
  'poweroff',
  'reboot',
  'sh',
  'sleep',
  'stat',
  'sync',
  'tr',
];

/**
 * The first process: one line on the console, then the script `check.sh` of the firmware partition. Without it the machine
 * is turned off.
 */
const init = `#!/bin/sh
export PATH=/bin
exec </dev/null >/dev/console 2>&1
cd /run/surfaced/boot
echo "check: started slot=$(cat slot) version=$(cat version) machine-id=$(cat /etc/machine-id)"
mount -t vfat -o ro /dev/vda1 /boot/firmware
[ ! -e /boot/firmware/check.sh ] || sh /boot/firmware/check.sh
echo "check: end"
sync
poweroff -f
`;

/** What slots can be made of. */
export interface MinimalSystem {
  readonly kernelVersion: string;
  /** Makes the slot of one version at `output`. */
  slot(version: string, output: string): Promise<{ readonly rootHash: string }>;
}

/** Makes the tree of a slot in `folder`, which is empty. Rejects with E_IMAGE_STEP. */
export async function makeMinimalSystem(toolbox: Toolbox, folder: string): Promise<MinimalSystem> {
  const debian = await debianTree({
    ...{ toolbox, name: 'minimal-system', recipe: '1', architectures: ['arm64'], bare: [] },
    packages: [...initramfsPackages, 'linux-image-arm64'],
    finish: async (tree) => {
      const [kernelVersion = ''] = await readdir(path.join(tree, 'usr/lib/modules'));
      await toolbox.run('depmod', ['-b', path.join(tree, 'usr'), kernelVersion], { binds: [tree] });
    },
  });
  const kernelVersion = (await readdir(path.join(debian, 'usr/lib/modules')))[0];
  if (kernelVersion === undefined) throw new SurfacedError('E_IMAGE_STEP', 'Debian has no kernel');
  const root = path.join(folder, 'root');
  await mkdir(root);
  for (const name of [
    'bin',
    'boot/firmware',
    'data',
    'dev',
    'etc',
    'lib',
    'proc',
    'root',
    'run',
    'sbin',
    'sys',
    'var',
  ])
    await mkdir(path.join(root, name), { recursive: true });
  const from = (name: string): string => path.join(debian, name);
  await copyFile(from('usr/bin/busybox'), path.join(root, 'bin/busybox'));
  for (const name of ['ld-linux-aarch64.so.1', 'libc.so.6', 'libresolv.so.2'])
    await copyFile(from(`usr/lib/aarch64-linux-gnu/${name}`), path.join(root, 'lib', name));
  for (const name of applets) await symlink('busybox', path.join(root, 'bin', name));
  await writeFile(path.join(root, 'etc/machine-id'), '');
  await writeFile(path.join(root, 'sbin/init'), init);
  await chmod(path.join(root, 'sbin/init'), 0o755);
  await copyFile(from(`boot/vmlinuz-${kernelVersion}`), path.join(root, 'boot/vmlinuz'));
  // As the image has it.
  await writeFile(path.join(root, 'boot/cmdline'), 'loglevel=6 panic=10\n');
  await buildInitramfs({
    toolbox,
    root: debian,
    kernelVersion,
    epoch,
    output: path.join(root, 'boot/initrd.img'),
  });
  return {
    kernelVersion,
    slot: (version, output) => buildSlot({ toolbox, root, version, epoch, output }),
  };
}
