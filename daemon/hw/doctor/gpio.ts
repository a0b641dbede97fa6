/** GPIO: chips, whether the lines of the config are free, and who has those that are not. */
import { closeSync } from 'node:fs';
import { headerLabels, type OpenChip, openChip } from '../gpio/chip.ts';
import { decodeConsumer, encodeLineInfo, gpioIoctl } from '../gpio/uapi.ts';
import { type Ioctl, systemCode } from '../kernel/ioctl.ts';
import { type BootConfig, doubtOf, overlayWithLine, reservedLines } from './boot-config.ts';
import type { LookContext } from './context.ts';
import { fileOf, isThere, type Machine, mayUse, namesIn, permissionRemedy, textOf } from './machine.ts';
import { type Check, checksOf, type FoundChip, type Look, messageOf } from './report.ts';
import { type Wants, wantedLines } from './wants.ts';

const { ok, warning, fault, skipped } = checksOf('gpio');

/** Lines beyond these are not shown in a check; JSON has all. */
const maxShown = 8;

/** Looks at all chips, and at the lines that the config names. Never rejects. */
export async function lookAtGpio(context: LookContext): Promise<Look> {
  const { machine, wants } = context;
  const names = await namesIn(machine, '/dev', /^gpiochip\d+$/);
  const lines = wants === null ? [] : wantedLines(wants);
  if (names.length === 0) return { checks: await noChips(context), found: {} };
  if (wants !== null && lines.length > 0 && wants.gpio.via === 'sysfs')
    return { checks: await sysfsChecks(machine, wants), found: {} };
  const checks: Check[] = [];
  const chips: FoundChip[] = [];
  let ioctl: Ioctl;
  try {
    ioctl = await machine.loadIoctl();
  } catch (error) {
    const say = lines.length > 0 ? fault : skipped;
    const why = `${names.length} chips, which cannot be asked without the package koffi: ${messageOf(error)}`;
    return { checks: [say('chips', why, 'Install with `npm install --include=optional`.')], found: {} };
  }
  for (const name of names) {
    const path = `/dev/${name}`;
    if (!(await mayUse(machine, path))) {
      const say = lines.length > 0 ? fault : warning;
      const remedy = await permissionRemedy(machine, path, 'gpio');
      checks.push(say(name, `${machine.user.name} may not use ${path}`, remedy));
      continue;
    }
    try {
      chips.push(readChip(machine, ioctl, path));
    } catch (error) {
      checks.push(warning(name, messageOf(error), 'Look into `dmesg` for what its driver says.'));
    }
  }
  if (wants === null) checks.push(...chips.map(chipCheck));
  else if (lines.length === 0) checks.push(skipped('lines', 'the panel has no part on GPIO lines', null));
  else checks.push(...lineChecks(context, wants, chips, checks.length > 0));
  return { checks, found: { gpioChips: chips } };
}

async function noChips({ machine, wants }: LookContext): Promise<Check[]> {
  const isWanted = wants !== null && wantedLines(wants).length > 0;
  const found = 'this machine has no GPIO chip in /dev';
  const hasOld = (await namesIn(machine, '/sys/class/gpio', /^gpiochip\d+$/)).length > 0;
  const remedy = hasOld
    ? 'It has the old interface: set `gpio.via: sysfs`, which loses edges silently, or give it a kernel with CONFIG_GPIO_CDEV.'
    : 'Run it on the machine that the panel is wired to; in a container, hand /dev/gpiochip0 in.';
  if (isWanted && wants.gpio.via === 'sysfs') return sysfsChecks(machine, wants);
  return [isWanted ? fault('chips', found, remedy) : skipped('chips', found, null)];
}

/** Reads a chip and who has its lines. */
function readChip(machine: Machine, ioctl: Ioctl, path: string): FoundChip {
  const deviceFolder = fileOf(machine, '/dev');
  const chip = openChip({ ioctl, deviceFolder, chip: path.slice('/dev/'.length) });
  try {
    const { label, lineCount } = chip.info;
    return { path, label, lineCount, held: heldLines(ioctl, chip) };
  } finally {
    closeSync(chip.descriptor);
  }
}

function heldLines(ioctl: Ioctl, chip: OpenChip): FoundChip['held'] {
  const held: { line: number; by: string }[] = [];
  for (let line = 0; line < chip.info.lineCount; line += 1) {
    const bytes = encodeLineInfo(line);
    try {
      ioctl(chip.descriptor, gpioIoctl.lineInfo, bytes);
    } catch (error) {
      // Linux before 5.10 knows no version 2 (drivers/gpio/gpiolib-cdev.c): unknown requests are either of these.
      if (['ENOTTY', 'EINVAL'].includes(systemCode(error) ?? '')) return null;
      throw error;
    }
    const by = decodeConsumer(bytes);
    if (by !== null) held.push({ line, by });
  }
  return held;
}

function chipCheck({ path, label, lineCount, held }: FoundChip): Check {
  const name = path.slice('/dev/'.length);
  const what = `${label || 'without a label'}, ${lineCount} lines`;
  if (held === null)
    return warning(
      name,
      `${what}; the kernel has no version 2 of the interface`,
      'Use Linux 5.10 or later, or `gpio.via: sysfs`.',
    );
  const shown = held.slice(0, maxShown).map(({ line, by }) => `${line} by ${nameOf(by)}`);
  const more = held.length > maxShown ? ` and ${held.length - maxShown} more` : '';
  return ok(name, held.length === 0 ? `${what}, all free` : `${what}; held: ${shown.join(', ')}${more}`);
}

const nameOf = (consumer: string): string => (consumer === '' ? 'something without a name' : `"${consumer}"`);

function lineChecks(
  { boot }: LookContext,
  wants: Wants,
  chips: readonly FoundChip[],
  hasUnreadable: boolean,
): Check[] {
  const wanted = wants.gpio.chip;
  const labels = wanted === null ? headerLabels : [wanted];
  const chip = chips.find(
    ({ path, label }) => labels.includes(label) || path === wanted || path === `/dev/${wanted}`,
  );
  if (chip === undefined) {
    const seen = chips.map(({ path, label }) => `${path} is ${label || 'without a label'}`).join(', ');
    // What may not be opened is named already.
    if (seen === '' && hasUnreadable) return [];
    const remedy =
      wanted === null
        ? 'This is no Raspberry Pi as far as its GPIO chips go: name the chip in `gpio.chip`.'
        : 'Correct `gpio.chip` in the config.';
    return [fault('chip', `no chip is ${labels.join(' or ')}: ${seen}`, remedy)];
  }
  const version = chipCheck(chip);
  if (chip.held === null) return [{ ...version, result: 'fault' }];
  const isHeader = headerLabels.includes(chip.label);
  const reserved = isHeader ? reservedLines(boot) : new Map<number, string>();
  return [
    ok('chip', `${chip.path} is ${chip.label}, ${chip.lineCount} lines`),
    ...wantedLines(wants).map((wanted) =>
      lineCheck({ ...wanted, chip, reserved, boot: isHeader ? boot : null }),
    ),
  ];
}

function lineCheck({
  chip,
  line,
  by,
  reserved,
  boot,
}: {
  chip: FoundChip;
  line: number;
  by: string;
  reserved: ReadonlyMap<number, string>;
  boot: BootConfig | null;
}): Check {
  const name = `line ${line}`;
  if (line >= chip.lineCount)
    return fault(
      name,
      `${chip.label} has no such line, which ${by} wants`,
      'Correct the line in the config.',
    );
  const holder = chip.held?.find((one) => one.line === line);
  if (holder?.by.startsWith('surfaced')) return ok(name, `in use by surfaced itself, for ${by}`);
  if (holder !== undefined)
    return fault(name, `held by ${nameOf(holder.by)}, and ${by} wants it`, heldRemedy(holder.by, line, boot));
  const other = reserved.get(line);
  if (other !== undefined)
    return warning(
      name,
      `free, but it belongs to ${other}, and ${by} wants it`,
      'Wire the part to another line, or switch that off in config.txt.',
    );
  return ok(name, `free, for ${by}`);
}

function heldRemedy(holder: string, line: number, boot: BootConfig | null): string {
  if (holder === 'sysfs')
    return 'A program has exported it in /sys/class/gpio, or has crashed: end it, or write its number to `unexport` there.';
  const instead = 'use the part `rotary-encoder` or `gpio-keys`, which goes through the kernel';
  const overlay = overlayWithLine(boot, line);
  if (boot !== null && overlay !== null)
    return `Line ${overlay.line} of ${boot.path}${doubtOf(overlay)} gives it to the overlay ${overlay.name}: remove that and restart, or ${instead}.`;
  return `End the program that has it. If it is a kernel driver (an overlay such as rotary-encoder or gpio-key in config.txt), remove that, or ${instead}.`;
}

/** The old interface, when the config asks for it. */
async function sysfsChecks(machine: Machine, wants: Wants): Promise<Check[]> {
  const folder = '/sys/class/gpio';
  const labels = wants.gpio.chip === null ? headerLabels : [wants.gpio.chip];
  if (!(await isThere(machine, `${folder}/export`)))
    return [
      fault(
        'sysfs',
        'the kernel has no /sys/class/gpio',
        'Leave `gpio.via` out: the character device loses no edges.',
      ),
    ];
  const seen: string[] = [];
  for (const name of await namesIn(machine, folder, /^gpiochip\d+$/))
    seen.push((await textOf(machine, `${folder}/${name}/label`)) ?? '');
  const label = labels.find((one) => seen.includes(one));
  if (label === undefined) {
    const found = `no chip in ${folder} is ${labels.join(' or ')}: there are ${seen.join(', ') || 'none'}`;
    return [fault('sysfs', found, 'Correct `gpio.chip` in the config.')];
  }
  if (!(await machine.isAllowed(fileOf(machine, `${folder}/export`), 2)))
    return [
      fault(
        'sysfs',
        `${machine.user.name} may not use ${folder}`,
        await permissionRemedy(machine, `${folder}/export`, 'gpio'),
      ),
    ];
  const hasNew = (await namesIn(machine, '/dev', /^gpiochip\d+$/)).length > 0;
  const found = `${label}; the old interface loses edges silently`;
  return [
    hasNew
      ? warning('sysfs', found, 'Leave `gpio.via` out: this kernel has the character device.')
      : ok('sysfs', found),
  ];
}
