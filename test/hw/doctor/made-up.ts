/** A machine made up in a folder: its files, its chips behind a simulated bus, its lines and ports behind an ioctl. */
import { fstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { panelSchema } from '../../../daemon/config/panel.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { partDrivers } from '../../../daemon/hw/chips/table.ts';
import type { LookContext } from '../../../daemon/hw/doctor/context.ts';
import type { Machine } from '../../../daemon/hw/doctor/machine.ts';
import type { Check, Look } from '../../../daemon/hw/doctor/report.ts';
import { wantsOf } from '../../../daemon/hw/doctor/wants.ts';
import { gpioIoctl } from '../../../daemon/hw/gpio/uapi.ts';
import type { I2cTransport } from '../../../daemon/hw/i2c/bus.ts';
import type { Ioctl } from '../../../daemon/hw/kernel/ioctl.ts';
import { systemTimers } from '../../../daemon/hw/panel.ts';
import { SimBus } from '../../../hil/sim/chips/bus.ts';
import { numbers } from '../chips/part-rig.ts';

/** A GPIO chip behind a file of /dev. */
export interface MadeUpChip {
  readonly label: string;
  readonly lineCount: number;
  readonly held: ReadonlyMap<number, string>;
  /** What it answers to a question about a line; null: it answers. */
  readonly refusal: string | null;
}

const systemError = (code: string, errno: number) => Object.assign(new Error(code), { code, errno });

/** A machine; everything about it can be changed until it is looked at. One at a time in a test: they share its folder. */
export class MadeUpMachine {
  readonly root: string;
  readonly sim = new SimBus({ now: () => performance.now(), clockHz: 400_000, random: numbers(3) });
  /** Addresses that a kernel driver has. */
  readonly claimed = new Set<number>();
  readonly chips = new Map<string, MadeUpChip>();
  /** Names of MIDI sub-devices by `card device subdevice`. */
  readonly midiNames = new Map<string, string>();
  /** Files that the user may not open. */
  readonly forbidden = new Set<string>();
  readonly missingPackages = new Set<string>();
  /** Transfers so far, also those that nothing answered. */
  transferCount = 0;
  change: Partial<Machine> = {};

  constructor(t: Pick<Test, 'testdir'>) {
    this.root = t.testdir({});
  }

  /** Puts a file, and the folders above it. */
  put(file: string, content: string | Uint8Array = ''): this {
    const place = path.join(this.root, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, content);
    return this;
  }

  /** Puts a link, whose target is written as given. */
  link(file: string, target: string): this {
    const place = path.join(this.root, file);
    mkdirSync(path.dirname(place), { recursive: true });
    symlinkSync(target, place);
    return this;
  }

  /** An I2C bus with its file; sysfs names it unless `adapter` is null. */
  bus(bus: number, adapter: string | null): this {
    if (adapter !== null) this.put(`/sys/class/i2c-dev/i2c-${bus}/name`, `${adapter}\n`);
    return this.put(`/dev/i2c-${bus}`);
  }

  chip(name: string, chip: Partial<MadeUpChip>): this {
    this.chips.set(name, {
      label: 'pinctrl-bcm2711',
      lineCount: 58,
      held: new Map(),
      refusal: null,
      ...chip,
    });
    return this.put(`/dev/${name}`);
  }

  get machine(): Machine {
    return {
      root: this.root,
      user: { name: 'pi', groupIds: [1000], processId: 4242 },
      drivers: partDrivers,
      openI2c: async () => this.#transport(),
      loadIoctl: async () => {
        if (this.missingPackages.has('koffi')) throw systemError('ERR_MODULE_NOT_FOUND', 1);
        return this.#ioctl;
      },
      loadPackage: async (name) => {
        if (this.missingPackages.has(name)) throw systemError('ERR_MODULE_NOT_FOUND', 1);
      },
      openMidi: async () => {},
      isAllowed: async (file) => !this.forbidden.has(path.resolve('/', path.relative(this.root, file))),
      isSynchronized: async () => true,
      now: () => Date.UTC(2026, 5, 1),
      builtAt: Date.UTC(2026, 4, 1),
      timers: systemTimers,
      limits: { transferMs: 30, busMs: 5000 },
      ...this.change,
    };
  }

  /** What a look is given; `panel` as in a Device file, null: no config. */
  context(panel: object | null, more: Partial<LookContext> = {}): LookContext {
    const { machine } = this;
    const wants = panel === null ? null : wantsOf(panelSchema.parse(panel), machine.drivers);
    return { machine, wants, boot: null, programs: [], ...more };
  }

  #transport(): I2cTransport {
    const inner = this.sim.transport();
    return {
      transfer: async (address, write, readLength) => {
        this.transferCount += 1;
        if (!this.claimed.has(address)) return inner.transfer(address, write, readLength);
        throw new SurfacedError('E_HW_BUS', 'is in use by a kernel driver', {
          cause: systemError('EBUSY', 16),
        });
      },
      close: () => inner.close(),
    };
  }

  /** Structs as in include/uapi/linux/gpio.h and include/uapi/sound/asound.h. */
  readonly #ioctl: Ioctl = (descriptor, request, argument) => {
    if (argument === null) throw new Error(`ioctl ${request.toString(16)} without an argument`);
    const { ino } = fstatSync(descriptor);
    const name = [...this.chips.keys()].find((one) => statSync(path.join(this.root, 'dev', one)).ino === ino);
    const view = new DataView(argument.buffer, argument.byteOffset);
    const words = (at: number, text: string) => argument.set(new TextEncoder().encode(text), at);
    if (name === undefined) {
      const card = [0, 1, 2, 3].find((one) => {
        try {
          return statSync(path.join(this.root, `dev/snd/controlC${one}`)).ino === ino;
        } catch {
          return false;
        }
      });
      const [device, subdevice] = [view.getUint32(0, true), view.getUint32(4, true)];
      const title = this.midiNames.get(`${card} ${device} ${subdevice}`);
      if (request !== 0xc10c_5541 || title === undefined) throw systemError('ENXIO', 6);
      words(84, 'the device');
      words(164, title);
      return;
    }
    const chip = this.chips.get(name)!;
    if (request === gpioIoctl.chipInfo) {
      words(0, name);
      words(32, chip.label);
      view.setUint32(64, chip.lineCount, true);
    } else if (request === gpioIoctl.lineInfo) {
      if (chip.refusal !== null) throw systemError(chip.refusal, 1);
      const holder = chip.held.get(view.getUint32(64, true));
      if (holder === undefined) return;
      words(32, holder);
      view.setBigUint64(72, 1n, true);
    } else throw systemError('EINVAL', 22);
  };

  /** A file of the machine. */
  textOf(file: string): string {
    return readFileSync(path.join(this.root, file), 'utf8');
  }
}

/** Result, name and what was found of every check, a line each. */
export const linesOf = (look: Look): string[] =>
  look.checks.map(({ result, name, found }) => `${result} ${name}: ${found}`);

/** The check of that name; throws when there is none. */
export function checkOf(look: { readonly checks: readonly Check[] }, name: string): Check {
  const check = look.checks.find((one) => one.name === name);
  if (check === undefined)
    throw new Error(`no check ${name} among ${look.checks.map((one) => one.name).join(', ')}`);
  return check;
}
