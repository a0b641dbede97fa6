import { close, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { SurfacedError } from '../../errors.ts';
import { type Log, silentLog } from '../../log.ts';
import { type Ioctl, ioctlOf, type KernelPackage } from '../kernel/ioctl.ts';
import { fromMonotonic } from '../kernel/monotonic.ts';
import { PolledFile } from '../kernel/polled-file.ts';
import { loadPackage } from '../ports/descriptor-port.ts';
import type { InputDevice, InputHandlers, OpenInput } from './device.ts';
import { decodeKeys, EventParser, inputEventBytes, inputIoctl, keyBytes, type Report } from './events.ts';
import { Exclusive } from './exclusive.ts';

/** What input devices are opened with. */
export interface EvdevOptions {
  /** Loads the optional package. */
  readonly loadKoffi: () => Promise<KernelPackage>;
  /** `/sys/class/input`, but for tests. */
  readonly classFolder: string;
  /** `/dev/input`, but for tests. */
  readonly deviceFolder: string;
  readonly log: Log;
}

/** CLOCK_MONOTONIC, the clock of `performance.now()`. */
const clockMonotonic = 1;
/** Room for the largest queue that the kernel keeps for a simple device (evdev.c, EVDEV_MIN_BUFFER_SIZE). */
const eventsAtOnce = 64;

/** Lost events of a device are logged once in this time, milliseconds. */
const logEveryMs = 60_000;

/** The kernel's input devices of this machine; the package with native code is loaded when one is opened. */
export function systemInput(log: Log): OpenInput {
  return openEvdev({
    loadKoffi: async () => (await import('koffi')).default,
    classFolder: '/sys/class/input',
    deviceFolder: '/dev/input',
    log,
  });
}

/** {@link systemInput} that logs nothing. */
export const openSystemInput: OpenInput = systemInput(silentLog);

/**
 * Input devices through their event files; the kernel's times are turned into those of `performance.now()`. A device is
 * taken for this process alone: the panel's keys are no keystrokes for the console, nor for whoever switches the Pi off.
 */
export function openEvdev(options: EvdevOptions): OpenInput {
  const alone = new Exclusive(options.log);
  return async (nameOrPath, handlers) => {
    const koffi = await loadPackage('koffi', options.loadKoffi);
    const file = nameOrPath.startsWith('/') ? nameOrPath : findDevice(options, nameOrPath);
    let descriptor: number | null = null;
    try {
      descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      const ioctl = ioctlOf(koffi);
      ioctl(descriptor, inputIoctl.setClock, Uint8Array.of(clockMonotonic, 0, 0, 0));
      const { log } = options;
      return new EvdevDevice({ name: nameOrPath, descriptor, koffi, ioctl, handlers, alone, log });
    } catch (cause) {
      if (descriptor !== null) await promisify(close)(descriptor);
      throw inputError(nameOrPath, cause);
    }
  };
}

/** Path of the first device with that name. */
function findDevice({ classFolder, deviceFolder }: EvdevOptions, name: string): string {
  const seen: string[] = [];
  try {
    const numbers = readdirSync(classFolder).flatMap((entry) => /^event(\d+)$/.exec(entry)?.[1] ?? []);
    for (const number of numbers.map(Number).sort((one, other) => one - other)) {
      const found = readFileSync(path.join(classFolder, `event${number}`, 'device/name'), 'utf8').trim();
      if (found === name) return path.join(deviceFolder, `event${number}`);
      seen.push(found);
    }
  } catch (cause) {
    throw inputError(name, cause);
  }
  const others = seen.length === 0 ? 'there are none' : `there are ${seen.join(', ')}`;
  throw new SurfacedError('E_HW_INPUT', `no input device is named ${name}: ${others}`);
}

interface DeviceOptions {
  readonly name: string;
  readonly descriptor: number;
  readonly koffi: KernelPackage;
  readonly ioctl: Ioctl;
  readonly handlers: InputHandlers;
  readonly alone: Exclusive;
  readonly log: Log;
}

class EvdevDevice implements InputDevice {
  readonly #options: DeviceOptions;
  readonly #file: PolledFile;
  readonly #parser: EventParser;
  readonly #leave: () => void;
  #overflows = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(options: DeviceOptions) {
    this.#options = options;
    const { name, descriptor, koffi, ioctl, handlers, alone } = options;
    const eventBytes = inputEventBytes(process.arch);
    this.#parser = new EventParser(eventBytes);
    this.#file = new PolledFile({
      descriptor,
      koffi,
      bufferBytes: eventsAtOnce * eventBytes,
      onData: (bytes) => {
        for (const report of this.#parser.push(bytes)) this.#tell(report);
      },
      onLost: (cause) => handlers.onLost(inputError(name, cause ?? new Error('it was removed'))),
    });
    this.#leave = alone.enter({ name, descriptor, ioctl });
  }

  keysDown(): ReadonlySet<number> {
    const bits = new Uint8Array(keyBytes);
    try {
      this.#options.ioctl(this.#options.descriptor, inputIoctl.getKeys, bits);
    } catch (cause) {
      throw inputError(this.#options.name, cause);
    }
    return decodeKeys(bits);
  }

  close(): Promise<void> {
    this.#leave();
    return this.#file.close();
  }

  /** The kernel does not say how many events it dropped: all that were in the queue, 64 at most (evdev.c). */
  #logOverflow(): void {
    const { log, name } = this.#options;
    this.#overflows += 1;
    if (performance.now() - this.#loggedAt < logEveryMs) return;
    this.#loggedAt = performance.now();
    log.warn({ device: name, overflows: this.#overflows }, 'input events were lost');
  }

  #tell(report: Report): void {
    if (!this.#file.isOpen) return;
    const { handlers } = this.#options;
    if (report === null) {
      this.#logOverflow();
      handlers.onDropped();
    } else {
      handlers.onEvents(
        report.map(({ timestampNs, ...event }) => ({ ...event, at: fromMonotonic(timestampNs) })),
      );
    }
  }
}

function inputError(name: string, cause: unknown): SurfacedError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new SurfacedError('E_HW_INPUT', `input device ${name}: ${words}`, { cause });
}
