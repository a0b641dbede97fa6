/** One entry of `parts`: which driver it is for, and what it says to it. Pure. */
import { type Finding, findingsOf, nearest } from '../../config/findings.ts';
import { type PartEntry, partBaseSchema } from '../../config/panel.ts';
import type { PartDriver, PartNeeds, PartSpec } from '../chips/driver.ts';
import { hex } from './addresses.ts';

/** An entry that its driver understands. */
export interface ReadEntry {
  /** Its place in `parts`. */
  readonly index: number;
  readonly base: PartEntry;
  readonly driver: PartDriver;
  /** The part's own fields, as its driver's schema gives them. */
  readonly config: unknown;
  readonly spec: PartSpec;
  readonly needs: PartNeeds;
  /** Where it is on an I2C bus; null: it is not. */
  readonly wiring: { readonly bus: number; readonly address: number } | null;
}

const baseFields: readonly string[] = Object.keys(partBaseSchema.shape);

/** Reads one entry; findings have paths from the panel. */
export function readEntry(
  entry: PartEntry & Readonly<Record<string, unknown>>,
  index: number,
  drivers: readonly PartDriver[],
): { readonly entry: ReadEntry | null; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const say = (field: string, message: string) =>
    findings.push({ path: ['parts', index, field], message, isAboutKey: false });
  const driver = drivers.find(({ part }) => part === entry.part);
  if (driver === undefined) {
    const known = drivers.map(({ part }) => part);
    const meant = nearest(entry.part, known);
    const hint = meant === null ? `known are ${known.join(', ')}` : `did you mean "${meant}"?`;
    say('part', `no part is called "${entry.part}"; ${hint}`);
    return { entry: null, findings };
  }
  const own = Object.fromEntries(Object.entries(entry).filter(([field]) => !baseFields.includes(field)));
  const result = driver.schema.safeParse(own);
  if (!result.success)
    findings.push(...findingsOf(result.error, driver.schema, own).map((found) => withBaseHint(found, index)));
  if (driver.kind === 'host') {
    if (entry.address !== undefined) say('address', `${driver.part} is not on an I2C bus`);
    if (entry.interrupt !== undefined) say('interrupt', `${driver.part} is not on an I2C bus`);
  }
  const wiring = wiringOf(entry, driver);
  if (driver.kind === 'i2c' && wiring !== null && !driver.addresses.includes(wiring.address))
    say(
      'address',
      `${driver.part} cannot be at ${hex(wiring.address)}, only at ${driver.addresses.map(hex).join(', ')}`,
    );
  if (!result.success) return { entry: null, findings };
  const { data } = result;
  const spec = driver.declare(data);
  if (spec.lights === null && (entry.rotate !== 0 || entry.at.some((offset) => offset !== 0)))
    say(entry.rotate === 0 ? 'at' : 'rotate', `${driver.part} has no lights`);
  return {
    entry: { index, base: entry, driver, config: data, spec, needs: driver.needs(data), wiring },
    findings,
  };
}

function wiringOf({ bus, address }: PartEntry, driver: PartDriver): ReadEntry['wiring'] {
  if (driver.kind !== 'i2c') return null;
  const at = address ?? driver.addresses[0];
  return at === undefined ? null : { bus, address: at };
}

/** Puts a finding about a part's own field in its place; an unknown field may be meant as one that every part has. */
function withBaseHint(found: Finding, index: number): Finding {
  const [field] = found.path;
  const meant =
    found.isAboutKey && found.path.length === 1 && !found.message.includes('did you mean')
      ? nearest(String(field), baseFields)
      : null;
  return {
    ...found,
    path: ['parts', index, ...found.path],
    message: meant === null ? found.message : `unknown field; did you mean "${meant}"?`,
  };
}
