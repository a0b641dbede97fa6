/** What looking at a machine gives: checks with their results, and what was found. Pure. */

/** What a check is about; the order is that of the report. */
export const areas = [
  'config',
  'machine',
  'packages',
  'i2c',
  'gpio',
  'input',
  'frame buffer',
  'midi',
  'serial',
  'tpm',
  'clock',
  'network',
  'gateway',
] as const;
export type Area = (typeof areas)[number];

/** `warning` works, but not as well as it could; `skipped` could not be looked at, or need not be. */
export type Result = 'ok' | 'warning' | 'fault' | 'skipped';

/** One thing that was looked at. */
export interface Check {
  readonly area: Area;
  readonly name: string;
  readonly result: Result;
  /** What was found; for `skipped`, the reason. */
  readonly found: string;
  /** What to do about it; null: nothing. */
  readonly remedy: string | null;
}

/** What answers at an address of an I2C bus. */
export interface FoundAddress {
  readonly address: number;
  /** As `probeAddress` says it; only those where something is. */
  readonly presence: 'answers' | 'claimed';
  /** Parts that are known at this address, or the kernel driver that has claimed it. */
  readonly mayBe: readonly string[];
}

/** An I2C bus as it was found. */
export interface FoundBus {
  readonly bus: number;
  readonly path: string;
  /** The adapter as its kernel driver calls it; null when the kernel does not tell. */
  readonly adapter: string | null;
  /** Bits a second; null when nothing tells. */
  readonly clockHz: number | null;
  /** The processor moves the lines by itself (overlay i2c-gpio). */
  readonly isBitBanged: boolean;
  /** Null: it was not asked. */
  readonly addresses: readonly FoundAddress[] | null;
}

/** A GPIO chip as it was found. */
export interface FoundChip {
  readonly path: string;
  readonly label: string;
  readonly lineCount: number;
  /** Lines that somebody has; an empty name is one that was not given. Null: the kernel has no version 2 to ask. */
  readonly held: readonly { readonly line: number; readonly by: string }[] | null;
}

/** A raw MIDI port as it was found. */
export interface FoundMidiPort {
  /** As `amidi -l` prints it, for `panel.port.path`. */
  readonly name: string;
  readonly path: string;
  readonly title: string;
  /** Process that has it open; null: nobody, or the kernel does not tell. */
  readonly owner: string | null;
}

/** A device file with the name that the kernel gives the device. */
export interface FoundDevice {
  readonly path: string;
  readonly name: string;
}

/** Everything that was found, whether a config names it or not. */
export interface Found {
  readonly model: string | null;
  readonly user: { readonly name: string; readonly groups: readonly string[] } | null;
  readonly bootConfig: { readonly path: string; readonly lines: readonly string[] } | null;
  readonly buses: readonly FoundBus[];
  readonly gpioChips: readonly FoundChip[];
  readonly inputs: readonly FoundDevice[];
  readonly frameBuffers: readonly FoundDevice[];
  readonly midiPorts: readonly FoundMidiPort[];
  readonly serialPorts: readonly string[];
  readonly tpm: string | null;
  readonly clock: { readonly now: string; readonly isSynchronized: boolean | null } | null;
  /** Addresses of this machine, without those of the loopback. */
  readonly networkAddresses: readonly string[];
}

/** Nothing found yet. */
export const nothingFound: Found = {
  model: null,
  user: null,
  bootConfig: null,
  buses: [],
  gpioChips: [],
  inputs: [],
  frameBuffers: [],
  midiPorts: [],
  serialPorts: [],
  tpm: null,
  clock: null,
  networkAddresses: [],
};

/** What looking at one thing gave. */
export interface Look {
  readonly checks: readonly Check[];
  readonly found: Partial<Found>;
}

/** Makes the checks of an area. */
export function checksOf(area: Area) {
  const check =
    (result: Result) =>
    (name: string, found: string, remedy: string | null): Check => ({ area, name, result, found, remedy });
  return {
    ok: (name: string, found: string): Check => check('ok')(name, found, null),
    warning: check('warning'),
    fault: check('fault'),
    skipped: check('skipped'),
  };
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
