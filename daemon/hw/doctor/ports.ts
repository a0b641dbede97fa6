/** The port of a MIDI panel: raw MIDI, serial line or pseudo-terminal; and all ports that there are. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Ioctl } from '../kernel/ioctl.ts';
import { parseAlsaName } from '../ports/alsa.ts';
import { type BootConfig, isOn, overlayOf } from './boot-config.ts';
import type { LookContext } from './context.ts';
import { fileOf, isThere, type Machine, mayUse, namesIn, permissionRemedy, textOf } from './machine.ts';
import { listMidiPorts } from './midi-ports.ts';
import { holdersNote, holdersOf } from './processes.ts';
import { type Check, checksOf, type FoundMidiPort, type Look, messageOf } from './report.ts';

/** Ports beyond these are not listed beside one that is missing; JSON has all. */
const maxShown = 8;

/** Looks at all raw MIDI ports, and at the one that the config names. Never rejects. */
export async function lookAtMidi(context: LookContext): Promise<Look> {
  const { machine, wants } = context;
  const { ok, skipped } = checksOf('midi');
  const ioctl: Ioctl | null = await machine.loadIoctl().catch(() => null);
  const ports = await listMidiPorts(machine, ioctl);
  const found = { midiPorts: ports };
  if (wants?.port?.type === 'raw-midi')
    return { checks: await midiChecks(context, wants.port.path, ports), found };
  if (wants !== null) return { checks: [skipped('port', 'the panel is not on a MIDI port', null)], found };
  if (ports.length === 0) return { checks: [skipped('ports', 'there are no raw MIDI ports', null)], found };
  return {
    checks: ports.map(({ name, title, path: file, owner }) =>
      ok(name, `${title} (${file})${owner === null ? '' : `, in use by ${owner}`}`),
    ),
    found,
  };
}

async function midiChecks(
  { machine, programs }: LookContext,
  wanted: string,
  ports: readonly FoundMidiPort[],
): Promise<Check[]> {
  const { ok, warning, fault } = checksOf('midi');
  const shown = ports.slice(0, maxShown).map((port) => `${port.name} ${port.title}`);
  const more = ports.length > maxShown ? ` and ${ports.length - maxShown} more` : '';
  const list = ports.length === 0 ? 'none' : `${shown.join(', ')}${more}`;
  const name = await numbered(machine, wanted);
  const same = ports.filter((port) => port.name === name || port.path === wanted);
  const [port] = same;
  if (port === undefined)
    return [
      fault(
        wanted,
        `there is no such port; there are ${list}`,
        'Plug the panel in, or correct `panel.port.path`; a name such as `hw:MK3,0,1` stays the same when cards are plugged in another order.',
      ),
    ];
  const checks: Check[] = [];
  if (same.length > 1)
    checks.push(
      warning(
        `${wanted} ports`,
        `${same.length} ports share this file (${same.map((one) => `${one.name} ${one.title}`).join(', ')}): the first that is free is opened`,
        'Name the port that is meant: its `hw:` name as `panel.port.path`.',
      ),
    );
  if (!(await mayUse(machine, port.path)))
    return [
      ...checks,
      fault(
        wanted,
        `${machine.user.name} may not use ${port.path}`,
        await permissionRemedy(machine, port.path, 'audio'),
      ),
    ];
  const free = same.find(({ owner }) => owner === null);
  if (free === undefined) {
    const self = programs.find(({ hasPanel, label }) => hasPanel && label.endsWith(ending(port.owner)));
    return [
      ...checks,
      self === undefined
        ? fault(wanted, `${port.title}: in use by ${port.owner}`, 'End that program: a port has one user.')
        : ok(wanted, `${port.title}: in use by ${self.label}`),
    ];
  }
  try {
    await machine.openMidi(wanted);
    return [...checks, ok(wanted, `${free.title}, can be opened`)];
  } catch (error) {
    return [
      ...checks,
      fault(
        wanted,
        `${free.title}: ${messageOf(error)}`,
        'Unplug the panel and plug it in again; `dmesg` has what its driver says.',
      ),
    ];
  }
}

/** The part of a label that names the process. */
const ending = (owner: string | null): string => owner?.slice(owner.lastIndexOf('(')) ?? '(none)';

/** An ALSA name with the card's number in place of its id; anything else as it is. */
async function numbered(machine: Machine, wanted: string): Promise<string> {
  const name = parseAlsaName(wanted);
  if (name === null) return wanted;
  // The kernel links ids to folders: /proc/asound/MK3 -> card1.
  const folder = await realpath(fileOf(machine, `/proc/asound/${name.card}`)).catch(() => null);
  const card = /^\d+$/.test(name.card) ? name.card : (folder?.match(/card(\d+)$/)?.[1] ?? name.card);
  return `hw:${card},${name.device},${name.subdevice}`;
}

/** Looks at the serial ports, and at the one that the config names. Opens none: that resets many boards. Never rejects. */
export async function lookAtSerial(context: LookContext): Promise<Look> {
  const { machine, wants } = context;
  const { ok, skipped } = checksOf('serial');
  const names = await namesIn(machine, '/dev', /^(?:serial\d|ttyAMA\d+|ttyACM\d+|ttyUSB\d+)$/);
  const found = { serialPorts: names.map((name) => `/dev/${name}`) };
  const port = wants?.port ?? null;
  if (port !== null && port.type !== 'raw-midi')
    return { checks: await lineChecks(context, port.type, port.path), found };
  if (wants !== null) return { checks: [skipped('port', 'the panel is not on a serial port', null)], found };
  if (names.length === 0) return { checks: [skipped('ports', 'there are no serial ports', null)], found };
  return { checks: [ok('ports', found.serialPorts.join(', '))], found };
}

async function lineChecks(
  { machine, boot, programs }: LookContext,
  type: 'serial' | 'pty',
  wanted: string,
): Promise<Check[]> {
  const { ok, fault } = checksOf('serial');
  if (!(await isThere(machine, wanted))) {
    const isHeader = /^\/dev\/(?:serial\d|ttyAMA0|ttyS0)$/.test(wanted);
    const isUart = isHeader && boot !== null && !isHeaderUartOn(boot);
    const plug = type === 'pty' ? 'Start the program that makes the pseudo-terminal' : 'Plug the device in';
    if (isHeader && boot?.hasParameters === false && overlayOf(boot, 'serial-midi') === null)
      return [
        fault(
          wanted,
          'is not there',
          `Add \`dtoverlay=serial-midi\` to ${boot.path} and restart: the MIDI sockets of the header are /dev/ttyAMA0 then.`,
        ),
      ];
    const remedy = isUart
      ? `Add \`enable_uart=1\` (on a Pi 5 \`dtparam=uart0=on\`) to ${boot.path} and restart.`
      : `${plug}, or correct \`panel.port.path\`.`;
    return [fault(wanted, 'is not there', remedy)];
  }
  const device = await realDevice(machine, wanted);
  const alias = device === wanted ? '' : `${device}: `;
  if (!(await mayUse(machine, wanted)))
    return [
      fault(
        wanted,
        `${alias}${machine.user.name} may not use it`,
        await permissionRemedy(machine, wanted, 'dialout'),
      ),
    ];
  const consoles = consolesOf((await textOf(machine, '/proc/cmdline')) ?? '');
  if (consoles.includes(path.basename(device)))
    return [
      fault(
        wanted,
        `${alias}the kernel writes its console to it`,
        `Take \`console=${path.basename(device)},...\` (or \`console=serial0,...\`) out of cmdline.txt beside config.txt and restart: \`sudo raspi-config nonint do_serial_cons 1\` does it.`,
      ),
    ];
  // The other end of a pseudo-terminal is the program that made it.
  const [holder] = type === 'pty' ? [] : holdersOf(programs, device).filter(({ files }) => files !== null);
  if (holder === undefined)
    return [
      ok(
        wanted,
        `${alias}is there and may be used; not opened${type === 'pty' ? '' : holdersNote(programs)}`,
      ),
    ];
  if (holder.hasPanel) return [ok(wanted, `${alias}in use by ${holder.label}`)];
  const remedy = holder.label.includes('getty')
    ? `Take the login off it: \`sudo systemctl disable --now serial-getty@${path.basename(device)}\`.`
    : 'End that program: two readers take bytes from each other.';
  return [fault(wanted, `${alias}in use by ${holder.label}`, remedy)];
}

/** On a Pi 5 `enable_uart` is for the connector beside the HDMI sockets: documentation, "Configuring UARTs". */
function isHeaderUartOn(boot: BootConfig): boolean {
  if (isOn(boot, ['uart0'])) return true;
  return isOn(boot, ['enable_uart']) && !/Pi (?:5|500|Compute Module 5)\b/.test(boot.model ?? '');
}

/** Serial ports that the kernel's command line names as consoles (Linux Documentation/admin-guide/serial-console.rst). */
export function consolesOf(commandLine: string): string[] {
  return [...commandLine.matchAll(/(?:^|\s)console=([^\s,]+)/g)].map(([, name = '']) => name);
}

/** What a link such as /dev/serial0 points to, below the machine's root. */
async function realDevice(machine: Machine, file: string): Promise<string> {
  const root = await realpath(fileOf(machine, '/'));
  const real = await realpath(fileOf(machine, file));
  return path.resolve('/', path.relative(root, real));
}
