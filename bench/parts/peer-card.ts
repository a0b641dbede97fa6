/**
 * A card with the Debian system of `debian-peer.ts` and the daemon "installed by hand": its package by apt, its Device file
 * put where it belongs. The same machine in QEMU boots it, by the boot menu that U-Boot looks for on any disk.
 */
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureTpmModule } from '../../hil/image/tpm-module/tpm-module.ts';
import { makeFat } from '../../image/card/fat.ts';
import { partitionTable } from '../../image/card/partition-table.ts';
import { copySparse } from '../../image/card/sparse.ts';
import { runCommand, say } from '../../image/toolbox/command.ts';
import type { Toolbox } from '../../image/toolbox/toolbox.ts';
import { debianPeer, peerEnvironment } from './debian-peer.ts';

const mebibyte = 2 ** 20;
const partitions = {
  firmware: { startBytes: 4 * mebibyte, bytes: 256 * mebibyte },
  root: { startBytes: 260 * mebibyte, bytes: 2048 * mebibyte },
} as const;

/** What is put on it. */
export interface PeerCardOptions {
  readonly toolbox: Toolbox;
  /** `surfaced_<version>_arm64.deb`. */
  readonly packageFile: string;
  /** Text of `/etc/surfaced/device.yaml`. */
  readonly deviceFile: string;
  /** Line of a public key that root may log in with. */
  readonly sshKey: string;
  /** Image of the card. */
  readonly output: string;
}

/** What is on it. */
export interface PeerCard {
  /** Packages that dpkg has installed, without our own. */
  readonly packages: number;
  readonly kernelVersion: string;
}

/** In a chroot with what apt needs to reach the archive; nothing stays mounted, as the namespace ends with it. */
const installScript = `
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount -t tmpfs tmpfs "$1/run"
  mkdir -p "$1/run/systemd/resolve"
  cp /etc/resolv.conf "$1/run/systemd/resolve/stub-resolv.conf"
  chroot "$1" apt-get -q update
  chroot "$1" apt-get -q -y --no-install-recommends install "/tmp/$2"
  chroot "$1" apt-get clean
  chroot "$1" systemctl enable surfaced-device.service
  rm -rf "$1/tmp/$2" "$1"/var/lib/apt/lists/*`;

async function install({ packageFile, deviceFile, sshKey }: PeerCardOptions, root: string): Promise<void> {
  await cp(packageFile, path.join(root, 'tmp', path.basename(packageFile)));
  const enter = ['nice', 'unshare', '--mount', '--propagation', 'private', 'sh', '-euc'] as const;
  await runCommand(
    'The package cannot be installed: apt',
    [...enter, installScript, 'install', root, path.basename(packageFile)],
    { input: null, env: peerEnvironment, cwd: '/' },
  );
  await writeFile(path.join(root, 'etc/surfaced/device.yaml'), deviceFile, { mode: 0o644 });
  await mkdir(path.join(root, 'root/.ssh'), { mode: 0o700, recursive: true });
  await writeFile(path.join(root, 'root/.ssh/authorized_keys'), `${sshKey.trim()}\n`, { mode: 0o600 });
}

/** The driver of QEMU's TPM, which the image gets with its initramfs: udev loads it here. */
async function addDriver(toolbox: Toolbox, root: string, kernelVersion: string): Promise<void> {
  const archive = await ensureTpmModule(toolbox, kernelVersion);
  const folder = path.join(root, 'usr/lib/modules', kernelVersion, 'updates');
  await mkdir(folder, { recursive: true });
  const unpack = 'cd "$1" && cpio -i --quiet --to-stdout lib/modules/tpm_tis.ko <"$2" >tpm_tis.ko';
  await toolbox.run('sh', ['-euc', unpack, 'unpack', folder, archive], {
    binds: [root, path.dirname(archive)],
  });
  await toolbox.run('depmod', ['-b', root, kernelVersion], { binds: [root] });
}

/** The menu of U-Boot, as on any disk (extlinux), with the words that raspi-firmware has for the kernel. */
async function writeMenu(firmware: string, kernelVersion: string): Promise<void> {
  const words = (await readFile(path.join(firmware, 'cmdline.txt'), 'utf8')).trim();
  const menu = [
    'default debian',
    'timeout 0',
    'label debian',
    `  kernel /vmlinuz-${kernelVersion}`,
    `  initrd /initrd.img-${kernelVersion}`,
    // The serial console of the machine, as the image finds it by the device tree.
    `  append ${words} console=ttyAMA0,115200`,
  ];
  await mkdir(path.join(firmware, 'extlinux'));
  await writeFile(path.join(firmware, 'extlinux/extlinux.conf'), `${menu.join('\n')}\n`);
}

async function writeCard(toolbox: Toolbox, root: string, work: string, output: string): Promise<void> {
  const files = { firmware: path.join(work, 'firmware.fat'), root: path.join(work, 'root.ext4') };
  await makeFat({
    tools: toolbox,
    folder: path.join(work, 'firmware'),
    output: files.firmware,
    bytes: partitions.firmware.bytes,
    label: 'RASPIFIRM',
    volumeId: '5afec0de',
    epoch: Math.floor(Date.now() / 1000),
  });
  const size = `${partitions.root.bytes / mebibyte}M`;
  await toolbox.run('mke2fs', ['-q', '-t', 'ext4', '-L', 'RASPIROOT', '-d', root, files.root, size], {
    binds: [work],
  });
  const card = await open(output, 'w');
  try {
    const table = partitionTable('deb1a400', [
      { kind: 'fat32', ...partitions.firmware, isActive: true },
      { kind: 'linux', ...partitions.root, isActive: false },
    ]);
    await card.write(table, 0, table.length, 0);
    await copySparse(files.firmware, card, partitions.firmware.startBytes);
    await copySparse(files.root, card, partitions.root.startBytes);
    await card.truncate(partitions.root.startBytes + partitions.root.bytes);
  } finally {
    await card.close();
  }
}

/** Writes the card. Rejects with E_IMAGE_STEP when a step fails. */
export async function makePeerCard(options: PeerCardOptions): Promise<PeerCard> {
  const { toolbox, output } = options;
  const tree = await debianPeer();
  const work = await mkdtemp(path.join(path.dirname(output), 'peer-'));
  try {
    const root = path.join(work, 'root');
    const plain = { input: null, env: peerEnvironment, cwd: '/' };
    await runCommand('Copying the Debian system', ['cp', '-a', tree, root], plain);
    say('installing the package in the Debian system (a minute or two: in an emulator)');
    await install(options, root);
    const [kernelVersion] = await readdir(path.join(root, 'usr/lib/modules'));
    if (kernelVersion === undefined) throw new Error('the Debian system has no kernel');
    await addDriver(toolbox, root, kernelVersion);
    const firmware = path.join(work, 'firmware');
    // On a partition of its own; its place stays empty.
    await runCommand('mv', ['mv', path.join(root, 'boot/firmware'), firmware], plain);
    await mkdir(path.join(root, 'boot/firmware'));
    await writeMenu(firmware, kernelVersion);
    await writeCard(toolbox, root, work, output);
    const status = await readFile(path.join(root, 'var/lib/dpkg/status'), 'utf8');
    const installed = status.match(/^Status: install ok installed$/gm)?.length ?? 0;
    return { packages: installed - 1, kernelVersion };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
