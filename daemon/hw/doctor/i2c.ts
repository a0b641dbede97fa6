/** The I2C buses: whether they are there and may be used, how fast they are, and what is on them. */
import { type BusInfo, listBuses } from '../i2c/scan.ts';
import {
  type BootConfig,
  doubtOf,
  headerBusNames,
  headerBusSpeedNames,
  isOn,
  overlayOf,
  parameterOf,
} from './boot-config.ts';
import { BoundedBus } from './bounded-bus.ts';
import type { LookContext } from './context.ts';
import { cellOf, fileOf, isThere, type Machine, mayUse, permissionRemedy, textOf } from './machine.ts';
import { askPart, foundAddresses, scanCheck, speedCheck } from './parts.ts';
import { holdersNote, holdersOf } from './processes.ts';
import { type Check, checksOf, type FoundBus, type Look, messageOf } from './report.ts';
import type { WantedPart } from './wants.ts';

const { warning, fault, skipped } = checksOf('i2c');

/** Speed of the header's bus when config.txt says nothing: documentation, overlays/README, i2c_arm_baudrate. */
const defaultHz = 100_000;
/** The bus on the header. */
const headerBus = 1;
/**
 * Buses on the header of a Pi: its own, that of HATs, and those of the overlays i2c3 to i2c6 (Raspberry Pi documentation,
 * overlays/README). Others are those of displays, cameras and mainboards: what hangs there is better not asked
 * (i2cdetect(8), "can confuse your I2C bus").
 */
const headerBuses: readonly number[] = [0, 1, 3, 4, 5, 6];
/**
 * The buses of a Pi's HDMI sockets, which some kernels count from 0 (i2c-brcmstb.c: `brcm,brcmstb-i2c`,
 * `brcm,brcmper-i2c`, `brcm,bcm2711-hdmi-i2c`). With nothing plugged in their lines are low: all addresses answer.
 */
const foreignNode = /brcm,(?:brcmstb|brcmper|bcm\d+-hdmi)-i2c/;
/**
 * Adapters of displays and mainboards (drivers/i2c/busses, drivers/gpu). Those of a Pi's HDMI sockets were called
 * `Broadcom STB :`, and later as their device, such as `fef04500.i2c` and on a Pi 5 `107d508200.i2c`.
 */
const foreignAdapter =
  /smbus|i801|piix4|nvidia|nvkm|amdgpu|radeon|i915|gmbus|dpddc|aux|hdmi|vc4|ddc|bmc|broadcom stb|^fef0\w{4}\.i2c|^107d50\w{4}\.i2c/i;

/** Looks at all buses; asks those that the config names, or without one all that a panel can be on. Never rejects. */
export async function lookAtI2c(context: LookContext): Promise<Look> {
  const { machine, wants, boot } = context;
  const overlays = overlayChecks(boot);
  const wanted = new Set((wants?.parts ?? []).flatMap(({ wiring }) => (wiring === null ? [] : [wiring.bus])));
  let buses: BusInfo[];
  try {
    buses = await listBuses({ dev: fileOf(machine, '/dev'), sysfs: fileOf(machine, '/sys') });
  } catch (error) {
    const check = fault('buses', messageOf(error), 'Run it where /dev and /sys are those of the machine.');
    return { checks: [...overlays, check], found: {} };
  }
  const checks: Check[] = [...overlays];
  const found: FoundBus[] = [];
  for (const bus of wanted)
    if (!buses.some((one) => one.bus === bus && one.hasFile))
      checks.push(
        fault(`bus ${bus}`, `/dev/i2c-${bus} is not there`, await missingRemedy(context, bus, buses)),
      );
  for (const info of buses.filter(({ hasFile }) => hasFile)) {
    if (wants !== null && !wanted.has(info.bus)) {
      found.push(await describe(context, info));
      continue;
    }
    const look = await lookAtBus(context, info);
    checks.push(...look.checks);
    found.push(look.bus);
  }
  if (buses.length === 0 && wanted.size === 0)
    checks.push(
      skipped(
        'buses',
        'this machine has no I2C bus',
        wants === null ? await missingRemedy(context, headerBus, buses) : null,
      ),
    );
  else if (wants !== null && wanted.size === 0)
    checks.push(skipped('buses', 'the panel has no part on an I2C bus', null));
  return { checks, found: { buses: found } };
}

function overlayChecks(boot: BootConfig | null): Check[] {
  const tpm = overlayOf(boot, 'tpm-slb9673');
  if (boot === null || tpm === null) return [];
  return [
    warning(
      'tpm-slb9673',
      `line ${tpm.line} of ${boot.path}${doubtOf(tpm)} switches i2c_arm off and drives its lines by i2c-gpio, for the TPM and all parts`,
      'Faders and lights become slow: use a TPM on SPI (tpm-slb9670), or put the panel on another bus.',
    ),
  ];
}

/** Why a bus is not there, as far as it can be told, and what to do. */
async function missingRemedy(
  { machine, boot }: LookContext,
  bus: number,
  buses: readonly BusInfo[],
): Promise<string> {
  const others = buses.filter(({ hasFile }) => hasFile).map((one) => one.bus);
  const instead =
    others.length > 0 ? ` There are buses ${others.join(', ')}: \`bus\` in the config can name one.` : '';
  if (await isThere(machine, `/sys/bus/i2c/devices/i2c-${bus}`))
    return `The kernel has the bus but not its file: \`sudo modprobe i2c-dev\`, and \`i2c-dev\` in /etc/modules-load.d/i2c.conf for the next start.`;
  const tpm = overlayOf(boot, 'tpm-slb9673');
  if (tpm !== null) return `The overlay tpm-slb9673 has taken it away.${instead}`;
  if (boot === null)
    return `Switch the bus on where this machine is set up (device tree, firmware), and load the module i2c-dev.${instead}`;
  if (!boot.hasParameters) {
    if (bus !== headerBus) return `The image has no overlay for that bus.${instead}`;
    if (overlayOf(boot, 'header') === null)
      return `Add \`dtoverlay=header\` to ${boot.path}, which gives the bus of the header this number, and restart.${instead}`;
    return `${boot.path} has the overlay of the header: restart if that is new; else look into \`dmesg\`.${instead}`;
  }
  if (bus !== headerBus)
    return `Load the overlay of that bus in ${boot.path} (e.g. \`dtoverlay=i2c${bus}\`) and restart.${instead}`;
  if (!isOn(boot, headerBusNames)) return `Add \`dtparam=i2c_arm=on\` to ${boot.path} and restart.${instead}`;
  const parameter = parameterOf(boot, headerBusNames);
  const doubt = parameter === null ? '' : doubtOf(parameter);
  return `${boot.path} has it switched on${doubt}: restart if that is new; else \`sudo modprobe i2c-dev\` and look into \`dmesg\`.${instead}`;
}

/** Folder of the adapter's node of the device tree; there is none on a PC. */
const nodeOf = (bus: number): string => `/sys/class/i2c-dev/i2c-${bus}/device/of_node`;

/** Why a bus that no config names is not asked; null: it is on the header. */
async function whyForeign(machine: Machine, { bus, adapter }: FoundBus): Promise<string | null> {
  const node = (await textOf(machine, `${nodeOf(bus)}/compatible`)) ?? '';
  if (foreignNode.test(node) || foreignAdapter.test(adapter ?? '')) return 'serves displays or the mainboard';
  return headerBuses.includes(bus) ? null : 'not on the header';
}

/** What the kernel tells about a bus. */
async function describe({ machine, boot }: LookContext, { bus, path, name }: BusInfo): Promise<FoundBus> {
  const node = nodeOf(bus);
  const isBitBanged = (await textOf(machine, `${node}/compatible`))?.includes('i2c-gpio') ?? false;
  const told = await cellOf(machine, `${node}/clock-frequency`);
  const delayUs = await cellOf(machine, `${node}/i2c-gpio,delay-us`);
  // The bus changes SCL twice a bit; 5 microseconds unless it says otherwise (drivers/i2c/busses/i2c-gpio.c).
  const clockHz = isBitBanged ? 500_000 / (delayUs || 5) : (told ?? configuredHz(bus, boot));
  return {
    bus,
    path: `/dev/${path.split('/').at(-1)}`,
    adapter: name,
    clockHz,
    isBitBanged,
    addresses: null,
  };
}

function configuredHz(bus: number, boot: BootConfig | null): number | null {
  if (boot === null || bus !== headerBus) return null;
  if (!boot.hasParameters) return overlayOf(boot, 'i2c1-400k') === null ? defaultHz : 400_000;
  const value = Number(parameterOf(boot, headerBusSpeedNames)?.value ?? defaultHz);
  return Number.isInteger(value) && value > 0 ? value : null;
}

async function lookAtBus(
  context: LookContext,
  info: BusInfo,
): Promise<{ readonly checks: Check[]; readonly bus: FoundBus }> {
  const { machine, wants, programs } = context;
  const bus = await describe(context, info);
  const name = `bus ${info.bus}`;
  const adapter = bus.adapter === null ? '' : `${bus.adapter}: `;
  const end = (...checks: Check[]) => ({ checks, bus });
  const why = wants === null ? await whyForeign(machine, bus) : null;
  if (why !== null) return end(skipped(name, `${adapter}${why}; asked when a config names it`, null));
  if (!(await mayUse(machine, bus.path))) {
    const remedy = await permissionRemedy(machine, bus.path, 'i2c');
    const say = wants === null ? warning : fault;
    return end(say(name, `${adapter}${machine.user.name} may not use ${bus.path}`, remedy));
  }
  const holders = holdersOf(programs, bus.path);
  const [holder] = holders;
  if (holder !== undefined) {
    const stop = holder.hasPanel ? 'Stop it (`sudo systemctl stop surfaced-device`)' : 'End it';
    return end(
      skipped(
        name,
        `${adapter}in use by ${holders.map(({ label }) => label).join(', ')}; not asked, so that its transfers are not disturbed`,
        `${stop} and look again.`,
      ),
    );
  }
  return askBus(context, bus, { adapter, note: holdersNote(programs) });
}

async function askBus(
  { machine, boot, wants }: LookContext,
  described: FoundBus,
  { adapter, note }: { readonly adapter: string; readonly note: string },
): Promise<{ readonly checks: Check[]; readonly bus: FoundBus }> {
  const name = `bus ${described.bus}`;
  let bus: BoundedBus;
  try {
    bus = await BoundedBus.open(machine, described.bus);
  } catch (error) {
    const remedy = 'The file is there and may be used: look into `dmesg` for what its driver says.';
    const say = wants === null ? warning : fault;
    return { checks: [say(name, `${adapter}${messageOf(error)}`, remedy)], bus: described };
  }
  const cancel = machine.timers.after(machine.limits.busMs, () => bus.giveUp());
  try {
    const parts = (wants?.parts ?? []).filter(isOnBus(described.bus));
    const scan = await bus.scan(new Set(parts.map(({ wiring }) => wiring.address)));
    const strangers = await foundAddresses(machine, described.bus, scan);
    const addresses = new Map(strangers.map((one) => [one.address, one]));
    const checks: Check[] = [];
    const speed = speedCheck(`${name} speed`, described, parts, boot);
    if (speed !== null) checks.push(speed);
    for (const part of parts) {
      if (bus.isStuck) {
        checks.push(skipped(part.label, 'the bus is stuck', null));
        continue;
      }
      const device = bus.device(part.wiring.address);
      const answer = await askPart({
        machine,
        boot,
        part,
        device,
        strangers: strangers.map(({ address }) => address),
      });
      checks.push(answer.check);
      // Of two parts that the config has at one address, the one that is there.
      if (answer.address !== null && (answer.check.result === 'ok' || !addresses.has(device.address)))
        addresses.set(device.address, answer.address);
    }
    const sorted = [...addresses.values()].sort((one, other) => one.address - other.address);
    const whole = scanCheck({
      name,
      adapter,
      scan,
      addresses: sorted,
      parts: wants === null ? null : parts,
      note,
    });
    return { checks: [whole, ...checks], bus: { ...described, addresses: sorted } };
  } finally {
    cancel();
    await bus.close();
  }
}

type I2cPart = WantedPart & {
  readonly driver: Extract<WantedPart['driver'], { readonly kind: 'i2c' }>;
  readonly wiring: { readonly bus: number; readonly address: number };
};

function isOnBus(bus: number): (part: WantedPart) => part is I2cPart {
  return (part): part is I2cPart => part.driver.kind === 'i2c' && part.wiring?.bus === bus;
}
