/** All parts that a panel can be made of. */
import type { PartDriver } from './driver.ts';

/** One line a driver; the order is that of the documentation. */
export const partDrivers: readonly PartDriver[] = [];

/** The driver for `part:` in a config, or null. */
export function findDriver(part: string): PartDriver | null {
  return partDrivers.find((driver) => driver.part === part) ?? null;
}
