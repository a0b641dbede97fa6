/** Takes input devices for this process alone. */
import { fstatSync } from 'node:fs';
import type { Log } from '../../log.ts';
import type { Ioctl } from '../kernel/ioctl.ts';
import { inputIoctl } from './events.ts';

/** One opening of a device, to the kernel. */
export interface Opening {
  /** As the config calls the device. */
  readonly name: string;
  readonly descriptor: number;
  readonly ioctl: Ioctl;
}

/**
 * Devices that this process has for itself. The kernel gives the events of such a device to the one descriptor that took
 * it: when two parts of a panel read the same device, neither of them takes it.
 */
export class Exclusive {
  readonly #log: Log;
  /** All openings by inode of the event file. */
  readonly #openings = new Map<number, Opening[]>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** An opening begins; returns what ends it. */
  enter(opening: Opening): () => void {
    const { ino } = fstatSync(opening.descriptor);
    const others = this.#openings.get(ino) ?? [];
    this.#openings.set(ino, [...others, opening]);
    const [other] = others;
    if (other === undefined) this.#grab(opening, Uint8Array.of(1));
    else if (others.length === 1) this.#grab(other, null);
    return () => {
      const left = (this.#openings.get(ino) ?? []).filter((one) => one !== opening);
      if (left.length > 0) this.#openings.set(ino, left);
      else this.#openings.delete(ino);
    };
  }

  #grab({ name, descriptor, ioctl }: Opening, argument: Uint8Array | null): void {
    try {
      ioctl(descriptor, inputIoctl.grab, argument);
    } catch (problem) {
      // EBUSY: another program has taken it, and the events with it.
      const err = problem instanceof Error ? problem.message : String(problem);
      this.#log.warn({ device: name, err }, 'input device is not for surfaced alone');
    }
  }
}
