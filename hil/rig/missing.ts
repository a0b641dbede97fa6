/** Why the rig cannot run on this machine. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { findKernel } from './kernel/build.mjs';

/** Command -> Debian package; needed to boot. */
const programs: Readonly<Record<string, string>> = {
  dtc: 'device-tree-compiler',
  setpriv: 'util-linux',
  ip: 'iproute2',
};

/** What is looked at; the machine itself but for tests. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly hasProgram: (name: string) => boolean;
  readonly findKernel: () => string | null;
}

const thisMachine: Machine = {
  platform: process.platform,
  arch: process.arch,
  hasProgram: (name) =>
    [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin'].some((folder) =>
      existsSync(path.join(folder, name)),
    ),
  findKernel,
};

/** One sentence that says why the rig cannot run here and what to do about it; null: it can. */
export function rigMissing(machine: Machine = thisMachine): string | null {
  if (machine.platform !== 'linux' || machine.arch !== 'x64')
    return `The virtual rig runs on Linux on x86-64 only (this is ${machine.platform} on ${machine.arch}); use a virtual machine.`;
  const missing = Object.keys(programs).filter((name) => !machine.hasProgram(name));
  if (missing.length > 0)
    return `The virtual rig needs ${missing.join(', ')}: sudo apt-get install -y ${missing.map((name) => programs[name]).join(' ')}`;
  if (machine.findKernel() === null)
    return 'The kernel of the virtual rig is not built: node hil/rig/kernel/build.mjs (once, three to ten minutes)';
  return null;
}
