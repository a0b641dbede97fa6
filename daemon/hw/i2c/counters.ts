/** What happened on a bus, counted since the owner was made. */
import type { ErrorCode, SurfacedError } from '../../errors.ts';

/** Counts of one address. */
export interface DeviceCounters {
  /** Transfers that ended well, and the bytes that they moved, addresses not counted. */
  readonly transfers: number;
  readonly bytes: number;
  /** Transfers that nothing acknowledged. */
  readonly noAcks: number;
  /** Transfers that failed in any other way, those that took too long not counted. */
  readonly errors: number;
  /** Transfers that took too long. */
  readonly timeouts: number;
  /** The newest failure of any kind; `at` on the owner's timers, milliseconds. */
  readonly lastError: { readonly code: ErrorCode; readonly message: string; readonly at: number } | null;
}

/** Counts of the bus as a whole. */
export interface BusCounters {
  readonly openings: number;
  /** How often it was given up and closed: stuck, or nothing but errors. */
  readonly losses: number;
  /** Transfers that were refused because too many waited. */
  readonly refused: number;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Keeps the counts of each address that was ever used. */
export class DeviceLedger {
  readonly #devices = new Map<number, Writable<DeviceCounters>>();

  get all(): ReadonlyMap<number, DeviceCounters> {
    return this.#devices;
  }

  done(address: number, bytes: number): void {
    const counters = this.#of(address);
    counters.transfers += 1;
    counters.bytes += bytes;
  }

  failed(address: number, kind: 'noAcks' | 'errors' | 'timeouts', error: SurfacedError, at: number): void {
    const counters = this.#of(address);
    counters[kind] += 1;
    counters.lastError = { code: error.code, message: error.message, at };
  }

  #of(address: number): Writable<DeviceCounters> {
    let counters = this.#devices.get(address);
    if (counters === undefined) {
      counters = { transfers: 0, bytes: 0, noAcks: 0, errors: 0, timeouts: 0, lastError: null };
      this.#devices.set(address, counters);
    }
    return counters;
  }
}
