/** Devices of the kernel that parts go through: input devices and frame buffers; and whether there is a TPM. */
import { constants } from 'node:fs';
import type { PartNeeds } from '../chips/driver.ts';
import type { LookContext } from './context.ts';
import { fileOf, isThere, mayUse, namesIn, permissionRemedy, textOf } from './machine.ts';
import { type Check, checksOf, type FoundDevice, type Look } from './report.ts';

/** A class of devices that go by names. */
interface DeviceClass {
  readonly area: 'input' | 'frame buffer';
  readonly plural: string;
  /** Folder of sysfs. */
  readonly folder: string;
  readonly pattern: RegExp;
  /** File below a device's folder that has its name. */
  readonly nameFile: string;
  readonly deviceFolder: string;
  /** As access(2) has it. */
  readonly mode: number;
  /** Group that distributions give them. */
  readonly group: string;
  readonly pick: (needs: PartNeeds) => readonly string[];
  /** What to do when one is not there; for the Sense HAT, and for all others. */
  readonly remedies: { readonly senseHat: string; readonly other: string };
}

const inputClass: DeviceClass = {
  area: 'input',
  plural: 'input devices',
  folder: '/sys/class/input',
  pattern: /^event\d+$/,
  nameFile: 'device/name',
  deviceFolder: '/dev/input',
  mode: constants.R_OK,
  group: 'input',
  pick: ({ inputs }) => inputs,
  remedies: {
    senseHat: 'Load the driver of the Sense HAT: `dtoverlay=rpi-sense` in config.txt, then restart.',
    other:
      'Load its overlay in config.txt (such as `dtoverlay=rotary-encoder,pin_a=17,pin_b=27,relative_axis=1` or `dtoverlay=gpio-key,gpio=22,keycode=28`) and restart, or correct the name.',
  },
};

const frameBufferClass: DeviceClass = {
  area: 'frame buffer',
  plural: 'frame buffers',
  folder: '/sys/class/graphics',
  pattern: /^fb\d+$/,
  nameFile: 'name',
  deviceFolder: '/dev',
  mode: constants.W_OK,
  group: 'video',
  pick: ({ files }) => files,
  remedies: {
    senseHat:
      'Load the driver of the Sense HAT: `dtoverlay=rpi-sense` in config.txt, then restart; on a kernel without it, list the part `sense-hat`.',
    other: 'Load the overlay of the part in config.txt and restart.',
  },
};

/** Looks at the kernel's input devices, and for those that the config names. Never rejects. */
export async function lookAtInputs(context: LookContext): Promise<Look> {
  const { checks, devices } = await lookAtClass(context, inputClass);
  return { checks, found: { inputs: devices } };
}

/** Looks for the frame buffers and other files that the parts of the config go through. Never rejects. */
export async function lookAtFrameBuffers(context: LookContext): Promise<Look> {
  const { checks, devices } = await lookAtClass(context, frameBufferClass);
  return { checks, found: { frameBuffers: devices } };
}

async function lookAtClass(
  { machine, wants }: LookContext,
  kind: DeviceClass,
): Promise<{ readonly checks: Check[]; readonly devices: FoundDevice[] }> {
  const { ok, fault, skipped } = checksOf(kind.area);
  const devices: FoundDevice[] = [];
  for (const entry of await namesIn(machine, kind.folder, kind.pattern)) {
    const name = await textOf(machine, `${kind.folder}/${entry}/${kind.nameFile}`);
    devices.push({ path: `${kind.deviceFolder}/${entry}`, name: name ?? 'without a name' });
  }
  const list = devices.map(({ path, name }) => `${path} "${name}"`).join(', ');
  const wanted = (wants?.parts ?? []).flatMap(({ needs, label }) =>
    kind.pick(needs).map((name) => ({ name, by: label })),
  );
  if (wants === null && list !== '') return { checks: [ok('devices', list)], devices };
  if (wanted.length === 0) {
    const reason = wants === null ? `there are no ${kind.plural}` : 'the panel has no part behind one';
    return { checks: [skipped('devices', reason, null)], devices };
  }
  const checks: Check[] = [];
  for (const { name, by } of wanted) {
    const path = devices.find((one) => one.name === name)?.path ?? (name.startsWith('/') ? name : null);
    if (path === null || !(await isThere(machine, path))) {
      const { senseHat, other } = kind.remedies;
      const remedy = by.startsWith('sense-hat') ? senseHat : other;
      const found = `it is not there, and ${by} wants it; there are ${list === '' ? `no ${kind.plural}` : list}`;
      checks.push(fault(name, found, remedy));
    } else if (await machine.isAllowed(fileOf(machine, path), kind.mode)) {
      checks.push(ok(name, `${path}, for ${by}`));
    } else {
      const remedy = await permissionRemedy(machine, path, kind.group);
      checks.push(fault(name, `${machine.user.name} may not use ${path}`, remedy));
    }
  }
  return { checks, devices };
}

/** Whether there is a TPM that this user may use; a panel works without. Never rejects. */
export async function lookAtTpm({ machine }: LookContext): Promise<Look> {
  const { ok, warning, skipped } = checksOf('tpm');
  const path = '/dev/tpmrm0';
  if (!(await isThere(machine, path))) {
    const isOld = await isThere(machine, '/dev/tpm0');
    const reason = isOld
      ? `/dev/tpm0 is there without ${path}: a TPM 1.2, or a kernel without the resource manager`
      : `there is no ${path}`;
    return { checks: [skipped('device', `${reason}; a surface with a token does without`, null)], found: {} };
  }
  const found = { tpm: path };
  if (await mayUse(machine, path)) return { checks: [ok('device', path)], found };
  const remedy = await permissionRemedy(machine, path, 'tss');
  return { checks: [warning('device', `${machine.user.name} may not use ${path}`, remedy)], found };
}
