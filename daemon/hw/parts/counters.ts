/** What a panel made of parts has counted since it was made, and how people read it. */
import type { BusCounters, DeviceCounters } from '../i2c/counters.ts';
import { hex } from './addresses.ts';

/** Counts of one I2C bus, with those of every address that was used. */
export interface CountedBus extends BusCounters {
  readonly bus: number;
  readonly parts: readonly (DeviceCounters & { readonly address: string })[];
}

/** Counts of a panel. */
export interface PanelCounters {
  readonly buses: readonly CountedBus[];
  /** Parts that are open now, of all. */
  readonly open: { readonly parts: number; readonly of: number };
  /** Readings that no control of the panel can have made: a fault of a part or of its driver. */
  readonly ignored: number;
}

/** The counts in words: a line a bus, and one for what was ignored. */
export function counterLines({ buses, ignored }: Pick<PanelCounters, 'buses' | 'ignored'>): string[] {
  const lines = buses.map(({ bus, losses, refused, parts }) => {
    const transfers = parts.reduce((sum, part) => sum + part.transfers, 0);
    const faults = [
      ...parts.flatMap(faultsOf),
      ...(losses > 0 ? [`lost ${losses} times`] : []),
      ...(refused > 0 ? [`${refused} transfers refused, as too many waited`] : []),
    ];
    return `I2C bus ${bus}: ${[`${transfers} transfers`, ...faults].join('; ')}`;
  });
  return ignored > 0 ? [...lines, `${ignored} readings that no control can have made`] : lines;
}

function faultsOf({ address, noAcks, errors, timeouts }: CountedBus['parts'][number]): string[] {
  const counts = [
    ...(noAcks > 0 ? [`${noAcks} without an answer`] : []),
    ...(errors > 0 ? [`${errors} failed`] : []),
    ...(timeouts > 0 ? [`${timeouts} took too long`] : []),
  ];
  return counts.length > 0 ? [`${address} ${counts.join(', ')}`] : [];
}

/** Counts of a bus from those of its owner. */
export function countedBus(
  bus: number,
  counters: BusCounters,
  devices: ReadonlyMap<number, DeviceCounters>,
): CountedBus {
  const parts = [...devices].map(([address, counts]) => ({ address: hex(address), ...counts }));
  return { bus, ...counters, parts };
}
