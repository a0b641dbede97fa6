/** What the parts of a panel occupy, and where two of them want the same. Pure. */
import type { Finding } from '../../config/findings.ts';
import type { I2cDriver, PartDriver, PartNeeds } from '../chips/driver.ts';
import { hex, wayOut } from './addresses.ts';

/** One part as far as claims go. */
export interface Claimant {
  /** Its place in `parts`. */
  readonly index: number;
  readonly driver: PartDriver;
  /** Where it is on an I2C bus; null: it is not. */
  readonly wiring: { readonly bus: number; readonly address: number } | null;
  readonly interrupt: number | null;
  readonly needs: PartNeeds;
}

/** Header lines (BCM numbers) that are SDA and SCL of a bus: Raspberry Pi documentation, "GPIO and the 40-pin header". */
const busLines: ReadonlyMap<number, readonly number[]> = new Map([
  [0, [0, 1]],
  [1, [2, 3]],
]);

const finding = (path: readonly (string | number)[], message: string): Finding => ({
  path,
  message,
  isAboutKey: false,
});

/** Two parts at one address of one bus. */
export function addressClashes(claimants: readonly Claimant[]): Finding[] {
  const findings: Finding[] = [];
  for (const [place, later] of claimants.entries()) {
    const { wiring, driver } = later;
    if (wiring === null || driver.kind !== 'i2c') continue;
    const isSamePlace = (other: Claimant): boolean =>
      other.wiring?.bus === wiring.bus && other.wiring.address === wiring.address;
    const first = claimants.slice(0, place).find(isSamePlace);
    if (first === undefined) continue;
    const taken = new Set(
      claimants.flatMap(({ wiring: other }) => (other?.bus === wiring.bus ? [other.address] : [])),
    );
    const ways = [first.driver, driver]
      .filter((one, index, both): one is I2cDriver => one.kind === 'i2c' && both.indexOf(one) === index)
      .map((one) => wayOut(one, taken));
    findings.push(
      finding(
        ['parts', later.index, 'address'],
        `${driver.part} and ${first.driver.part} (parts.${first.index}) are both at ${hex(wiring.address)} on bus ${wiring.bus}: ${ways.join('; ')}`,
      ),
    );
  }
  return findings;
}

/** Something that only one can have, but for interrupt outputs, which may share a line. */
interface Claim {
  readonly what: string;
  readonly isInterrupt: boolean;
  readonly by: string;
  readonly path: readonly (string | number)[];
}

function claimsOf({ index, driver, interrupt, needs }: Claimant): Claim[] {
  const by = `${driver.part} (parts.${index})`;
  const path = ['parts', index];
  const claims = needs.lines.map(
    (line): Claim => ({ what: `GPIO line ${line}`, isInterrupt: false, by, path }),
  );
  if (interrupt !== null)
    claims.push({
      what: `GPIO line ${interrupt}`,
      isInterrupt: true,
      by: `the interrupt of ${by}`,
      path: [...path, 'interrupt'],
    });
  for (const input of needs.inputs)
    claims.push({ what: `input device ${input}`, isInterrupt: false, by, path });
  for (const file of needs.files) claims.push({ what: file, isInterrupt: false, by, path });
  return claims;
}

/**
 * GPIO lines, input devices and files that two want.
 * @param isHeader lines are those of the Pi's header, two of which are an I2C bus
 */
export function claimClashes(claimants: readonly Claimant[], isHeader: boolean): Finding[] {
  const buses = new Set(claimants.flatMap(({ wiring }) => (wiring === null ? [] : [wiring.bus])));
  const holders = new Map<string, Pick<Claim, 'by' | 'isInterrupt'>>();
  for (const bus of isHeader ? buses : [])
    for (const line of busLines.get(bus) ?? [])
      holders.set(`GPIO line ${line}`, { by: `I2C bus ${bus}`, isInterrupt: false });
  return claimants.flatMap(claimsOf).flatMap(({ what, by, path, isInterrupt }) => {
    const holder = holders.get(what);
    if (holder === undefined) {
      holders.set(what, { by, isInterrupt });
      return [];
    }
    if (isInterrupt && holder.isInterrupt) return [];
    return [finding(path, `${what} is wanted by ${by} and by ${holder.by}`)];
  });
}
