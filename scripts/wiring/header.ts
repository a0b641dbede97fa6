/** The 40-pin header of a Raspberry Pi: the same on all boards since the Model B+. */
import type { PinKind } from './types.ts';

/** A pin of the header. */
export interface HeaderPin {
  readonly number: number;
  readonly label: string;
  readonly kind: PinKind;
  /** BCM number; null: power, ground, or the identification of HATs. */
  readonly gpio: number | null;
}

const supply = (label: '3.3 V' | '5 V') =>
  ({ label, kind: label === '5 V' ? 'five-volts' : 'supply', gpio: null }) as const;
const ground = { label: 'GND', kind: 'ground', gpio: null } as const;
const line = (gpio: number, use = '') =>
  ({ label: `GPIO ${gpio}${use === '' ? '' : ` ${use}`}`, kind: 'signal', gpio }) as const;
const identification = (gpio: number) => ({ label: 'HAT ID', kind: 'reserved', gpio }) as const;

/** Odd and even pin of each row, from pin 1. The serial port and the pins that name a HAT are left alone. */
const rows: readonly (readonly [Omit<HeaderPin, 'number'>, Omit<HeaderPin, 'number'>])[] = [
  [supply('3.3 V'), supply('5 V')],
  [{ ...line(2, 'SDA'), kind: 'data' }, supply('5 V')],
  [{ ...line(3, 'SCL'), kind: 'clock' }, ground],
  [line(4), line(14, 'TX')],
  [ground, line(15, 'RX')],
  [line(17), line(18)],
  [line(27), ground],
  [line(22), line(23)],
  [supply('3.3 V'), line(24)],
  [line(10, 'MOSI'), ground],
  [line(9, 'MISO'), line(25)],
  [line(11, 'SCLK'), line(8, 'CE0')],
  [ground, line(7, 'CE1')],
  [identification(0), identification(1)],
  [line(5), ground],
  [line(6), line(12)],
  [line(13), ground],
  [line(19), line(16)],
  [line(26), line(20)],
  [ground, line(21)],
];

/** All pins, in the order of their numbers. */
export const headerPins: readonly HeaderPin[] = rows.flatMap(([odd, even], row) => [
  { number: 2 * row + 1, ...odd },
  { number: 2 * row + 2, ...even },
]);

/** Pins that a TPM board covers: a socket of two times five, as those for SLB 9670 and 9672 have it. */
export const tpmPins = { first: 17, last: 26 } as const;

/** Lines that it uses: MOSI, MISO, SCLK, chip select 1, and GPIO 24 that some boards have their reset on. */
export const tpmLines: readonly number[] = [10, 9, 11, 7, 24];

/** What it takes at most, milliamperes: SLB 9670 data sheet, supply current while active, rounded up. */
export const tpmMilliamps = 25;

/** Whether a pin is below the TPM board. */
export const isCovered = (number: number): boolean => number >= tpmPins.first && number <= tpmPins.last;
