/** The wirings as tables for the guide: each wire in words, and what the panels take. */
import { parseConfig } from '../../daemon/config/load.ts';
import { headerPins, tpmMilliamps } from './header.ts';
import { powerOf, supplyLimitMilliamps } from './power.ts';
import type { Wire, Wiring } from './types.ts';

function endWords({ parts }: Wiring, name: string): string {
  const [owner = '', pin = ''] = name.split('.');
  if (name === 'pi.usb') return 'USB socket of the Pi';
  const label = headerPins[Number(pin) - 1]?.label;
  if (owner === 'pi') return `pin ${pin} (${label ?? ''})`;
  return `${parts.find(({ id }) => id === owner)?.title ?? owner}: ${pin.replace(/(?<=[A-Z]{3})2$/, '')}`;
}

/** One row for each pin that wires begin at. */
export function wireTable(wiring: Wiring): string {
  const starts = new Map<string, Wire[]>();
  for (const wire of wiring.wires) starts.set(wire.from, [...(starts.get(wire.from) ?? []), wire]);
  const rows = [...starts].map(([from, wires]) => {
    const ends = wires.map(({ to }) => endWords(wiring, to)).join('; ');
    return `| ${wires[0]?.colour ?? ''} | ${endWords(wiring, from)} | ${ends} |`;
  });
  return `| wire | from | to |\n|---|---|---|\n${rows.join('\n')}\n`;
}

const amount = (milliamps: number): string => (milliamps === 0 ? '-' : `${Math.ceil(milliamps)} mA`);

/** What each wiring takes with the brightness of its Device file. */
export function powerTable(wirings: readonly Wiring[], textOf: (file: string) => string): string {
  const rows = wirings.map((wiring) => {
    const { panel } = parseConfig('Device', textOf(wiring.device), wiring.device);
    const power = powerOf(wiring, panel);
    const brightness = power.lights === 0 ? '-' : String(power.brightness);
    return `| ${wiring.title} | ${brightness} | ${amount(power.lights)} | ${amount(power.idle)} | ${amount(tpmMilliamps)} | **${amount(power.supply)}** of ${supplyLimitMilliamps} mA | ${amount(power.usb)} |`;
  });
  return `| picture | \`brightness\` | lights, all white | parts | TPM board | sum on the 3.3 V pins | on USB |\n|---|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
}
