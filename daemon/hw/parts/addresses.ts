/** Who can be at which I2C address, and how a part is moved to another one. Pure. */
import type { I2cDriver, PartDriver } from '../chips/driver.ts';

/**
 * What is known to be at an address and is no part of a panel: the I2C TPM (TCG PC Client Device Driver Design
 * Principles; Linux `tcg,tpm-tis-i2c`) and the AVR of the Sense HAT.
 */
const residents: ReadonlyMap<number, string> = new Map([
  [0x2e, 'an I2C TPM'],
  [0x46, 'a Sense HAT'],
]);

/** More addresses than these help nobody. */
const maxShown = 4;

/** An I2C address as people write it, e.g. `0x48`. */
export function hex(address: number): string {
  return `0x${address.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** How a part gets another address, in words that follow its name; `taken` are addresses that are no way out. */
export function wayOut(driver: I2cDriver, taken: ReadonlySet<number>): string {
  const free = driver.addresses.filter((address) => !taken.has(address));
  if (free.length === 0) return `${driver.part} has no other address that is free`;
  const shown = free.slice(0, maxShown).map(hex).join(', ');
  const by = driver.selector === null ? '' : ` by ${driver.selector}`;
  return `${driver.part} can be set to ${shown}${free.length > maxShown ? ', ...' : ''}${by}`;
}

/** Names of what else can be at an address, beside the part itself. */
export function othersAt(address: number, part: string, drivers: readonly PartDriver[]): readonly string[] {
  const parts = drivers
    .filter((driver) => driver.kind === 'i2c' && driver.part !== part && driver.addresses.includes(address))
    .map((driver) => driver.part);
  const resident = residents.get(address);
  return resident === undefined ? parts : [...parts, resident];
}
