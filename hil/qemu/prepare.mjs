// What the guest of QEMU needs of this machine. Plain JavaScript without packages, because it runs before anything is
// installed.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { installPrograms, run, say } from '../../scripts/setup.mjs';
import { ensureAdapters } from '../rig/adapters/build.mjs';
import { ensureGuest } from './kernel/make.mjs';

/** Of Debian's package `ovmf`. */
export const firmwareFolder = '/usr/share/OVMF';
/** Command -> Debian package. */
const programs = {
  'qemu-system-x86_64': 'qemu-system-x86',
  swtpm: 'swtpm',
  setpriv: 'util-linux',
  taskset: 'util-linux',
  ip: 'iproute2',
  // To make the guest.
  gcc: 'build-essential',
  make: 'build-essential',
  strip: 'binutils',
  xz: 'xz-utils',
  depmod: 'kmod',
};
const hasFirmware = () => existsSync(path.join(firmwareFolder, 'OVMF_CODE_4M.fd'));
const hasProgram = (name) =>
  [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin'].some((folder) =>
    existsSync(path.join(folder, name)),
  );

export function qemuMissing() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `The guest of QEMU is for Linux on x86-64 only (this is ${process.platform} on ${process.arch}).`;
  const missing = Object.keys(programs).filter((name) => !hasProgram(name));
  const packages = [...missing.map((name) => programs[name]), ...(hasFirmware() ? [] : ['ovmf'])];
  if (packages.length === 0) return null;
  const names = [...missing, ...(hasFirmware() ? [] : [`${firmwareFolder}/OVMF_CODE_4M.fd`])];
  return `The guest of QEMU needs ${names.join(', ')}: sudo apt-get install -y --no-install-recommends ${[...new Set(packages)].join(' ')}`;
}

export function prepareQemu() {
  if (qemuMissing() !== null && process.platform === 'linux' && process.getuid?.() === 0) {
    installPrograms(programs);
    // Firmware has no command by which it could be seen.
    if (!hasFirmware() && existsSync('/usr/bin/apt-get')) {
      say('installing ovmf (once)');
      run('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'ovmf'], {
        DEBIAN_FRONTEND: 'noninteractive',
      });
    }
  }
  const missing = qemuMissing();
  if (missing !== null) throw new Error(missing);
  ensureAdapters();
  ensureGuest();
}
