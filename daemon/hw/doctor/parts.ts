/** Whether the parts of a config are on a bus, and what else is. */
import { readlink } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import type { I2cDriver, PartTime } from '../chips/driver.ts';
import type { I2cDevice } from '../i2c/bus.ts';
import { probeAddress } from '../i2c/scan.ts';
import { hex, othersAt } from '../parts/addresses.ts';
import type { BootConfig } from './boot-config.ts';
import { isClaim, type Scan } from './bounded-bus.ts';
import { fileOf, type Machine } from './machine.ts';
import { type Check, checksOf, type FoundAddress, messageOf } from './report.ts';
import type { WantedPart } from './wants.ts';

const { ok, warning, fault } = checksOf('i2c');

const wiringRemedy =
  'Check wiring, pull-ups and the length of the cable, and unplug the other parts one after the other.';

/**
 * Parts whose microcontroller may hold the clock (clock stretching), which the bus of a Pi before the 5 does not bear at
 * every speed: raspberrypi/linux issue 4884.
 */
const stretchingParts: readonly string[] = [
  'neoslider',
  'neotrellis',
  'seesaw-encoder',
  'seesaw-quad-encoder',
];
const isStretching = ({ driver }: WantedPart): boolean => stretchingParts.includes(driver.part);
/** How the bus of the header gets slower or faster in config.txt. */
const slower = (boot: BootConfig | null): string =>
  boot?.hasParameters === false
    ? 'no line `dtoverlay=i2c1-400k` in config.txt'
    : '`dtparam=i2c_arm_baudrate=100000` in config.txt';
const faster = (boot: BootConfig | null): string =>
  boot?.hasParameters === false
    ? 'Add `dtoverlay=i2c1-400k` to config.txt and restart.'
    : 'Set `dtparam=i2c_arm_baudrate=400000` in config.txt and restart.';
const slowerRemedy = (boot: BootConfig | null): string =>
  `On a Pi before the 5, a slower bus helps parts that hold the clock: ${slower(boot)}.`;

/** More addresses than a panel has: something holds SDA low, which looks like an answer everywhere. */
const mostAddresses = 64;

/** Addresses at which a scan saw something, and what it may be. */
export async function foundAddresses(machine: Machine, bus: number, scan: Scan): Promise<FoundAddress[]> {
  const found: FoundAddress[] = [];
  for (const [address, presence] of scan.presences)
    if (presence === 'claimed') found.push(await claimedAddress(machine, bus, address));
    else if (presence === 'answers')
      found.push({ address, presence, mayBe: othersAt(address, '', machine.drivers) });
  return found;
}

async function claimedAddress(machine: Machine, bus: number, address: number): Promise<FoundAddress> {
  const driver = await kernelDriverAt(machine, bus, address);
  const by = driver === null ? 'a kernel driver' : `the kernel driver ${driver}`;
  return { address, presence: 'claimed', mayBe: [by] };
}

/** Name of the kernel driver that has an address: the client `1-0046` of the bus in sysfs; null: not known. */
async function kernelDriverAt(machine: Machine, bus: number, address: number): Promise<string | null> {
  const client = `${bus}-${address.toString(16).padStart(4, '0')}`;
  try {
    return path.basename(await readlink(fileOf(machine, `/sys/bus/i2c/devices/${client}/driver`)));
  } catch {
    return null;
  }
}

/** A bus that was asked. */
export interface AskedBus {
  readonly name: string;
  /** The adapter's name with a colon; empty when the kernel gives it none. */
  readonly adapter: string;
  readonly scan: Scan;
  readonly addresses: readonly FoundAddress[];
  /** Parts that the config lists on it; null: there is no config. */
  readonly parts: readonly WantedPart[] | null;
  /** Added to what was found, e.g. that its holders are not known; mostly empty. */
  readonly note: string;
}

/** One line for what a scan saw. A bus that no config names may serve something else: then nothing is a fault. */
export function scanCheck({ name, adapter, scan, addresses, parts, note }: AskedBus): Check {
  const say = parts === null ? warning : fault;
  if (scan.problem !== null)
    return say(
      name,
      `${adapter}${scan.problem}${note}`,
      'Unplug the parts one after the other until it works: a part without power, SDA and SCL that are swapped or touch, or missing pull-ups do this.',
    );
  if (addresses.length > mostAddresses)
    return say(
      name,
      `${adapter}${addresses.length} addresses answer, which cannot be${note}`,
      'Something holds SDA low: look for a short, for a part without power, and for missing pull-ups. A bus that no part is on may be so.',
    );
  const isUntested = [...scan.presences.values()].includes('untested');
  const rest = `${isUntested ? ' (this adapter cannot ask every address)' : ''}${note}`;
  if (addresses.length === 0) return ok(name, `${adapter}nothing answers${rest}`);
  const words = addresses.map((one) => `${hex(one.address)} ${whoIs(one, parts)}`);
  return ok(name, `${adapter}${words.join(', ')}${rest}`);
}

function whoIs({ address, presence, mayBe }: FoundAddress, parts: AskedBus['parts']): string {
  if (presence === 'claimed') return `in use by ${mayBe[0] ?? 'the kernel'}`;
  const may = mayBe.length > 0 ? mayBe.join(' or ') : 'no part that is known';
  if (parts === null) return may;
  const listed = parts.find(({ wiring }) => wiring?.address === address);
  return listed === undefined ? `(not in the config: ${may})` : listed.driver.part;
}

/** What a part that the config lists is asked with. */
export interface PartQuestion {
  readonly machine: Machine;
  /** Null: there is no config.txt. */
  readonly boot: BootConfig | null;
  readonly part: WantedPart & { readonly driver: I2cDriver };
  readonly device: I2cDevice;
  /** Addresses at which something answers that is not in the config. */
  readonly strangers: readonly number[];
}

/** Whether a part is the one that the config names; `address` is null when nothing is there. */
export interface PartAnswer {
  readonly check: Check;
  readonly address: FoundAddress | null;
}

/** Asks a part. Never rejects. */
export async function askPart(question: PartQuestion): Promise<PartAnswer> {
  const { machine, boot, part, device } = question;
  const { driver, label } = part;
  const { address } = device;
  const time: PartTime = {
    now: () => machine.timers.monotonic(),
    pause: (ms) => new Promise((resolve) => void machine.timers.after(ms, resolve)),
  };
  const answering = (mayBe: readonly string[]): FoundAddress => ({ address, presence: 'answers', mayBe });
  const others = othersAt(address, driver.part, machine.drivers);
  const badWiring = isStretching(part) ? `${wiringRemedy} ${slowerRemedy(boot)}` : wiringRemedy;
  try {
    const recognized = await driver.probe(device, time);
    if (recognized !== null) return { check: ok(label, recognized), address: answering([driver.part]) };
    const may = others.length > 0 ? `; at ${hex(address)} there can also be ${others.join(', ')}` : '';
    const check = fault(
      label,
      `something answers, but not as ${driver.part} does${may}`,
      'Correct `part` or `address` in the config, or look at the address jumpers of what is wired there; a part that hangs is well again after its power was off.',
    );
    return { check, address: answering(others) };
  } catch (error) {
    if (isClaim(error)) return claimed(question);
    if (!(error instanceof SurfacedError) || error.code !== 'E_HW_NO_ACK')
      return { check: fault(label, messageOf(error), badWiring), address: null };
  }
  const presence = await probeAddress(device).catch(() => 'silent' as const);
  if (presence === 'claimed') return claimed(question);
  if (presence === 'answers') {
    const found = 'acknowledges its address and then nothing more';
    return { check: fault(label, found, badWiring), address: answering([driver.part, ...others]) };
  }
  return { check: fault(label, 'does not answer', silenceRemedy(question)), address: null };
}

/** Another address of the part at which something is that nobody asked for is most likely where it is. */
function silenceRemedy({ part, strangers }: PartQuestion): string {
  const elsewhere = part.driver.addresses.filter((address) => strangers.includes(address));
  const hint =
    elsewhere.length > 0
      ? ` Something answers at ${elsewhere.map(hex).join(', ')}: if that is it, write so in \`address\`.`
      : '';
  return `Check its power, its wiring (SDA, SCL, ground) and its address jumpers.${hint}`;
}

async function claimed({ machine, part, device }: PartQuestion): Promise<PartAnswer> {
  const address = await claimedAddress(machine, device.bus, device.address);
  const remedy =
    part.driver.part === 'sense-hat'
      ? 'Use the part `sense-hat-kernel`, which goes through that driver.'
      : 'Remove the overlay that loads that driver from config.txt and restart, or set the part to another address.';
  return { check: fault(part.label, `claimed by ${address.mayBe.join()}`, remedy), address };
}

/** Fast mode of UM10204, bits a second. */
const wantedHz = 400_000;
/** Inputs are read between the lights: longer pictures are felt. */
const wantedPictureMs = 10;

/** How long the lights take at the speed of the bus, as a check; null when there is nothing to say. */
export function speedCheck(
  name: string,
  bus: { readonly clockHz: number | null; readonly isBitBanged: boolean },
  parts: readonly WantedPart[],
  boot: BootConfig | null,
): Check | null {
  const lit = parts.filter(({ pictureBytes }) => pictureBytes > 0);
  if (lit.length === 0) return null;
  const { clockHz, isBitBanged } = bus;
  if (clockHz === null) return null;
  // Nine bits a byte; an address and a register before each 32 bytes at the worst.
  const bytes = lit.reduce(
    (sum, { pictureBytes }) => sum + pictureBytes + 2 * Math.ceil(pictureBytes / 32),
    0,
  );
  const pictureMs = (bytes * 9 * 1000) / clockHz;
  const speed = `${Math.round(clockHz / 1000)} kHz${isBitBanged ? ' by i2c-gpio' : ''}`;
  const found = `${speed}: a picture in which every light changes takes about ${pictureMs.toFixed(pictureMs < 10 ? 1 : 0)} ms`;
  if (clockHz >= wantedHz || pictureMs <= wantedPictureMs) return ok(name, found);
  if (isBitBanged)
    return warning(name, found, 'Let the hardware drive the bus: a TPM on SPI needs no i2c-gpio.');
  const stretching = parts.filter(isStretching).map(({ driver }) => driver.part);
  if (stretching.length === 0) return warning(name, found, faster(boot));
  const back = `If ${stretching.join(', ')} then fails on a Pi before the 5, go back: it may hold the clock.`;
  return warning(name, found, `${faster(boot)} ${back}`);
}
