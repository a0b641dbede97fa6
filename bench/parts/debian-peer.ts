/**
 * What the image is compared with: Debian 13 for arm64 as Debian's own tools make it, with its maintainer scripts run (by
 * qemu-user), for a Raspberry Pi: its kernel, initramfs and firmware, root file system that is written to, network by
 * systemd. Nothing is left out of the packages, as on Debian's images; recommended ones are not installed, as there.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { keptFolder, keyOf } from '../../image/toolbox/cache.ts';
import { runCommand, say } from '../../image/toolbox/command.ts';
import { hostMirrors } from '../../image/toolbox/mirrors.ts';
import { aptSources } from '../../image/toolbox/toolbox.ts';

/** Raised when the steps below change in a way that changes the system. */
const recipe = '1';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Beside all of priority "important", which is what debootstrap installs: what Debian's images for the Raspberry Pi add,
 * and systemd's own resolver, as systemd-networkd wants it.
 */
export const peerPackages: readonly string[] = [
  'linux-image-arm64 initramfs-tools raspi-firmware firmware-brcm80211 wireless-regdb',
  'openssh-server systemd-timesyncd systemd-resolved ca-certificates',
  'wpasupplicant iw dosfstools parted dbus',
].flatMap((line) => line.split(' '));

const files: Readonly<Record<string, string>> = {
  'etc/hostname': 'debian\n',
  'etc/hosts': '127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n',
  // As on Debian's images for the Raspberry Pi.
  'etc/fstab': 'LABEL=RASPIROOT / ext4 rw 0 1\nLABEL=RASPIFIRM /boot/firmware vfat rw 0 2\n',
  'etc/systemd/network/80-wired.network': '[Match]\nType=ether\n\n[Network]\nDHCP=yes\n',
};

/** For steps inside of the system: nobody answers questions, nothing is started. */
export const peerEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C.UTF-8',
  DEBIAN_FRONTEND: 'noninteractive',
  HOME: '/root',
};

/** Makes this machine run programs for arm64: Debian's qemu-user-static has told the kernel how when this is there. */
async function ensureEmulation(): Promise<void> {
  const script = `
    folder=/proc/sys/fs/binfmt_misc
    [ -e $folder/status ] || mount -t binfmt_misc binfmt_misc $folder
    [ -e $folder/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
    grep -q enabled $folder/qemu-aarch64`;
  await runCommand(
    'Programs for arm64 cannot run here (apt-get install qemu-user-static binfmt-support): the step',
    ['sh', '-euc', script],
    { input: null, env: peerEnvironment, cwd: '/' },
  );
}

async function makePeer(folder: string): Promise<void> {
  const startedAt = performance.now();
  say(
    'making the Debian system to compare with (once, ten to twenty minutes: its scripts run in an emulator)',
  );
  await ensureEmulation();
  const overlay = path.join(folder, 'files');
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(overlay, name)), { recursive: true });
    await writeFile(path.join(overlay, name), text);
  }
  await chmod(folder, 0o755);
  await runCommand(
    'The Debian system cannot be made: mmdebstrap',
    [
      ...(['nice', 'mmdebstrap', '--mode=root', '--variant=important', '--format=directory'] as const),
      '--architectures=arm64',
      '--components=main,non-free-firmware',
      '--aptopt=Apt::Install-Recommends "false"',
      `--include=${peerPackages.join(',')}`,
      `--essential-hook=cp -rT '${overlay}' "$1" && mkdir -p "$1/boot/firmware"`,
      // A file of the package, which apt would ask about were it there before.
      `--customize-hook=echo ROOTPART=LABEL=RASPIROOT >>"$1/etc/default/raspi-firmware"`,
      // Once at the end, not twice on the way; raspi-firmware then copies to /boot/firmware what the board loads.
      '--customize-hook=chroot "$1" env -u INITRD update-initramfs -c -k all',
      '--customize-hook=chroot "$1" systemctl enable systemd-networkd systemd-resolved ssh',
      '--customize-hook=ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"',
      ...['trixie', path.join(folder, 'tree')],
      ...aptSources(await hostMirrors(), keyring, 'main non-free-firmware'),
    ],
    { input: null, env: { ...peerEnvironment, INITRD: 'No' }, cwd: '/' },
  );
  say(`Debian system ready after ${Math.round((performance.now() - startedAt) / 1000)} s`);
}

/** The file system of the peer, kept from run to run; not to be written to. Rejects with E_IMAGE_STEP. */
export async function debianPeer(): Promise<string> {
  const key = keyOf([recipe, ...peerPackages, ...Object.entries(files).flat()]);
  return path.join(await keptFolder(`debian-peer-${key}`, makePeer), 'tree');
}
