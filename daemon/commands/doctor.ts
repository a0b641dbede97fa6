/** `surfaced doctor`: looks at the machine and at everything that a config names, and says what to do. Changes nothing. */
import type { DeviceConfig } from '../config/schema.ts';
import { lookAtClock, lookAtMachine, lookAtPackages } from '../hw/doctor/basics.ts';
import { readBootConfig } from '../hw/doctor/boot-config.ts';
import type { LookContext } from '../hw/doctor/context.ts';
import { lookAtFrameBuffers, lookAtInputs } from '../hw/doctor/devices.ts';
import { lookAtGpio } from '../hw/doctor/gpio.ts';
import { lookAtI2c } from '../hw/doctor/i2c.ts';
import type { Machine } from '../hw/doctor/machine.ts';
import { lookAtMidi, lookAtSerial } from '../hw/doctor/ports.ts';
import { readPrograms } from '../hw/doctor/processes.ts';
import {
  type Area,
  type Check,
  checksOf,
  type Found,
  type Look,
  messageOf,
  nothingFound,
} from '../hw/doctor/report.ts';
import { systemMachine } from '../hw/doctor/system.ts';
import { wantsOf } from '../hw/doctor/wants.ts';
import type { Output } from './cli.ts';
import { examineConfig } from './doctor-config.ts';
import { lookAtGateway, lookAtNetwork, type Network, systemNetwork } from './doctor-gateway.ts';
import { type Report, reportJson, reportText } from './doctor-text.ts';
import { lookAtTpm } from './doctor-tpm.ts';

/** When a look takes longer, somebody is told that it still goes on, milliseconds. */
const progressMs = 2000;
/** Longest time for the looks of one area, milliseconds: three steps to the gateway, or two I2C buses. */
export const defaultAreaMs = 20_000;
/** Width of the table where nothing has a width, characters: fits into mails and issues. */
const usualColumns = 80;

/** What the doctor looks at, and whom it tells that it is still at work. */
export interface DoctorIo {
  readonly machine: Machine;
  readonly network: Network;
  /** One line without its end. */
  readonly tellProgress: (line: string) => void;
  readonly areaMs: number;
}

/** What to print, and how the command ends. */
export interface DoctorResult {
  readonly text: string;
  readonly exitCode: number;
}

/** Looks at this machine, through a config unless it is null, and gives what is to be printed. */
export async function runDoctor(file: string | null, output: Output): Promise<DoctorResult> {
  const report = await examine(file, {
    machine: await systemMachine(),
    network: systemNetwork,
    tellProgress: (line) => process.stderr.write(`surfaced: ${line}\n`),
    areaMs: defaultAreaMs,
  });
  const { isTTY, columns } = process.stdout;
  const isColoured = isTTY === true && (process.env.NO_COLOR ?? '') === '';
  const drawing = { isColoured, columns: columns ?? usualColumns };
  const printed = output === 'json' ? reportJson(report) : reportText(report, drawing);
  return { text: printed, exitCode: exitCodeOf(report) };
}

/** 0: no fault; 2: the config is wrong, as for every command; 1: something else is. */
export function exitCodeOf({ ok, checks }: Report): 0 | 1 | 2 {
  if (ok) return 0;
  return checks.some(({ area, result }) => area === 'config' && result === 'fault') ? 2 : 1;
}

/** Makes the report; whatever fails or hangs on the way is a fault in it. Never rejects. */
export async function examine(file: string | null, io: DoctorIo): Promise<Report> {
  const { machine, network } = io;
  const checks: Check[] = [];
  let found: Found = nothingFound;
  const look = async (area: Area, run: () => Promise<Look>): Promise<void> => {
    const seen = await bounded(area, run, io);
    checks.push(...seen.checks);
    found = { ...found, ...seen.found };
  };
  const { drivers } = machine;
  const known: { config: DeviceConfig | null; context: LookContext } = {
    config: null,
    context: { machine, wants: null, boot: null, programs: [] },
  };
  if (file !== null)
    await look('config', async () => {
      const examined = await examineConfig(file, drivers);
      known.config = examined.config;
      return { checks: examined.checks, found: {} };
    });
  await look('machine', async () => {
    const wants = known.config === null ? null : wantsOf(known.config.panel, drivers);
    const boot = await readBootConfig(machine);
    known.context = { machine, wants, boot, programs: await readPrograms(machine) };
    return lookAtMachine(known.context);
  });
  const { config, context } = known;
  await look('packages', () => lookAtPackages(context));
  await look('i2c', () => lookAtI2c(context));
  await look('gpio', () => lookAtGpio(context));
  await look('input', () => lookAtInputs(context));
  await look('frame buffer', () => lookAtFrameBuffers(context));
  await look('midi', () => lookAtMidi(context));
  await look('serial', () => lookAtSerial(context));
  await look('tpm', () => lookAtTpm(context, config?.identity?.tpm ?? null));
  await look('clock', () => lookAtClock(context));
  const gateway = config?.gateway ?? null;
  await look('network', async () => lookAtNetwork(network, gateway !== null));
  await look('gateway', () => lookAtGateway(network, gateway));
  return { ok: checks.every(({ result }) => result !== 'fault'), checks, found };
}

async function bounded(
  area: Area,
  run: () => Promise<Look>,
  { machine: { timers }, tellProgress, areaMs }: DoctorIo,
): Promise<Look> {
  const { fault } = checksOf(area);
  const cancelProgress = timers.after(progressMs, () => tellProgress(`still looking at: ${area}`));
  let cancelLimit = () => {};
  const late = new Promise<Look>((resolve) => {
    cancelLimit = timers.after(areaMs, () => {
      const why = `no answer within ${areaMs / 1000} s`;
      resolve({ checks: [fault(area, why, 'Look into `dmesg` for what hangs.')], found: {} });
    });
  });
  try {
    return await Promise.race([run(), late]);
  } catch (error) {
    // A defect of the doctor, or a file that nobody thought of: the rest is still worth knowing.
    return { checks: [fault(area, messageOf(error), 'Please report this.')], found: {} };
  } finally {
    cancelProgress();
    cancelLimit();
  }
}
