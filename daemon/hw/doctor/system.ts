/** The machine that this process runs on. */
import { execFile } from 'node:child_process';
import { access, close } from 'node:fs';
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { partDrivers } from '../chips/table.ts';
import { openI2cBus } from '../i2c/i2c-bus.ts';
import { ioctlOf } from '../kernel/ioctl.ts';
import { systemTimers } from '../panel.ts';
import { openSubdevice, parseAlsaName } from '../ports/alsa.ts';
import { openNonBlocking } from '../ports/descriptor-port.ts';
import type { Machine, NativePackage } from './machine.ts';

/** More than the Pi's kernel gives a transfer (1 s, i2c-bcm2835.c), which then tells its own reason. */
const transferMs = 1500;
const busMs = 8000;
const timedatectlMs = 2000;

const loadKoffi = async () => (await import('koffi')).default;

const loaders: Readonly<Record<NativePackage, () => Promise<unknown>>> = {
  'i2c-bus': async () => (await import('../i2c/package.ts')).loadI2cBus(),
  koffi: loadKoffi,
  onoff: () => import('onoff'),
  serialport: () => import('serialport'),
};

/** This machine, as this user sees it. */
export async function systemMachine(): Promise<Machine> {
  return {
    root: '/',
    user: { name: userName(), groupIds: groupIds(), processId: process.pid },
    drivers: partDrivers,
    openI2c: openI2cBus,
    loadIoctl: async () => ioctlOf(await loadKoffi()),
    loadPackage: (name) => loaders[name](),
    openMidi,
    isAllowed: (file, mode) =>
      promisify(access)(file, mode).then(
        () => true,
        () => false,
      ),
    isSynchronized,
    now: Date.now,
    builtAt: (await stat(fileURLToPath(import.meta.url))).mtimeMs,
    timers: systemTimers,
    limits: { transferMs, busMs },
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user of a container may have no line in /etc/passwd.
    return `user ${process.getuid?.() ?? 'without a number'}`;
  }
}

function groupIds(): number[] {
  return [...new Set([...(process.getgroups?.() ?? []), process.getgid?.() ?? -1])].filter((id) => id >= 0);
}

async function openMidi(pathOrName: string): Promise<void> {
  const name = parseAlsaName(pathOrName);
  const descriptor = name === null ? openNonBlocking(pathOrName) : openSubdevice(name, await loadKoffi());
  await promisify(close)(descriptor);
}

/** systemd-timesyncd says so in a file; for all others the kernel's own mark, which timedatectl(1) reads. */
async function isSynchronized(): Promise<boolean | null> {
  const isMarked = await stat('/run/systemd/timesync/synchronized').then(
    () => true,
    () => false,
  );
  if (isMarked) return true;
  try {
    const words = ['show', '--property=NTPSynchronized', '--value'];
    const { stdout } = await promisify(execFile)('timedatectl', words, { timeout: timedatectlMs });
    return { yes: true, no: false }[stdout.trim()] ?? null;
  } catch {
    // No systemd, or no bus to ask it over.
    return null;
  }
}
