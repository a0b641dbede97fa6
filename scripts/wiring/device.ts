/** Whether a picture shows what its Device file says: the same parts, addresses, channels and lines. Pure. */
import type { PanelConfig } from '../../daemon/config/panel.ts';
import type { catalogue } from './catalogue.ts';
import { headerPins } from './header.ts';
import { netsOf } from './nets.ts';
import type { Part, Wiring } from './types.ts';

/** The kind of part that is drawn for an entry of `panel.parts`. */
const kindOfEntry: Readonly<Record<string, keyof typeof catalogue>> = {
  ads1115: 'ads1115',
  'seesaw-encoder': 'seesaw-encoder',
  ht16k33: 'matrix',
  neoslider: 'neoslider',
  neotrellis: 'neotrellis',
  'gpio-encoder': 'encoder',
  'gpio-button': 'button',
};

type Entry = Readonly<Record<string, unknown>> & { readonly part: string };

/** What differs, in words; nothing: a panel that is wired like the picture works with the file. */
export function deviceFaults(wiring: Wiring, panel: PanelConfig): string[] {
  const drawn = wiring.parts.filter(({ entry }) => entry !== null);
  if ('port' in panel) {
    const isPlugged = wiring.wires.some(({ from }) => from === 'pi.usb');
    return isPlugged && drawn.length === 0 ? [] : ['a panel on USB is not drawn as one'];
  }
  const entries = (panel.parts ?? []) as readonly Entry[];
  const faders = wiring.parts.filter(({ kind }) => kind === 'fader');
  const named = entries.flatMap(({ channels }) => (channels ?? []) as readonly { readonly name: string }[]);
  return [
    ...entries.flatMap((entry, index) => {
      const parts = drawn.filter((part) => part.entry === index);
      const [part] = parts;
      if (part === undefined || parts.length > 1) return [`parts.${index} is drawn ${parts.length} times`];
      if (part.kind !== kindOfEntry[entry.part])
        return [`parts.${index} is ${entry.part}, and ${part.kind} is drawn`];
      return entryFaults(wiring, part, entry).map((fault) => `parts.${index}: ${fault}`);
    }),
    ...drawn.filter(({ entry }) => entries[entry ?? 0] === undefined).map(({ id }) => `${id} has no entry`),
    ...faders
      .filter(({ id }) => !named.some(({ name }) => name === id))
      .map(({ id }) => `${id} has no channel`),
  ];
}

function entryFaults(wiring: Wiring, part: Part, entry: Entry): string[] {
  const nets = netsOf(wiring, true);
  const endsOf = (pin: string): readonly string[] =>
    nets.find(({ pins }) => pins.includes(`${part.id}.${pin}`))?.pins ?? [];
  const onLine = (pin: string, line: unknown): string[] => {
    const number = headerPins.find(({ gpio }) => gpio === line)?.number;
    return endsOf(pin).includes(`pi.${number}`) ? [] : [`${part.id}.${pin} is not on GPIO ${String(line)}`];
  };
  const names = [entry.name, entry.names].filter((name) => name !== undefined);
  const found = names
    .filter((name) => name !== part.id)
    .map((name) => `is drawn as ${part.id}, not ${String(name)}`);
  const { address, channels, display, interrupt } = entry;
  if (interrupt !== undefined) found.push('its interrupt output is not drawn');
  if (typeof address === 'number') {
    const text = `0x${address.toString(16)}`;
    if (!(part.note ?? '').toLowerCase().includes(text))
      found.push(`its address ${text} is not in the picture`);
    found.push(...onLine('SDA', 2), ...onLine('SCL', 3));
  }
  if (typeof display === 'string' && !part.title.includes(display)) found.push(`is drawn as another display`);
  if (entry.part === 'gpio-encoder')
    found.push(...onLine('CLK', entry.a), ...onLine('DT', entry.b), ...onLine('SW', entry.push));
  if (entry.part === 'gpio-button') found.push(...onLine('1', entry.line));
  for (const { channel, name } of (channels ?? []) as readonly { channel: number; name: string }[])
    if (!endsOf(`A${channel}`).includes(`${name}.wiper`)) found.push(`${name} is not on A${channel}`);
  return found;
}
