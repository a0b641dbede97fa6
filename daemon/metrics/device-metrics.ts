/** The metrics of a surface: all of them are looked up when they are asked for, so that they cost nothing in between. */
import type { LinkStatus } from '../bridge/link/link.ts';
import type { PanelCounters } from '../hw/parts/counters.ts';
import type { Panel } from '../surface/types.ts';
import { version } from '../version.ts';
import { Metrics } from './metrics.ts';
import { deviceTable } from './table.ts';

/** A device as its metrics see it. */
export interface MeteredDevice {
  counts(): { readonly frames: number; readonly link: LinkStatus };
}

/** A panel that counts; MIDI panels do not. */
const countersOf = (panel: Panel): PanelCounters | null =>
  'counters' in panel && typeof panel.counters === 'function' ? (panel.counters() as PanelCounters) : null;

/** Makes the meter of one surface. */
export function createDeviceMeter(
  device: MeteredDevice,
  panel: Panel,
): { readonly contentType: string; text(): Promise<string> } {
  const metrics = new Metrics(deviceTable);
  const link = (): LinkStatus => device.counts().link;
  /** What was counted at all addresses of all buses. */
  const summed = (kind: 'transfers' | 'noAcks' | 'timeouts' | 'errors'): number =>
    (countersOf(panel)?.buses ?? [])
      .flatMap(({ parts }) => parts)
      .reduce((sum, counts) => sum + counts[kind], 0);
  metrics.read('surfaced_build_info', () => [[{ version, role: 'device' }, 1]]);
  metrics.read('surfaced_panel_open', () => [[{}, panel.state.isOpen ? 1 : 0]]);
  metrics.read('surfaced_panel_controls_missing', () => [[{}, panel.state.missing?.length ?? 0]]);
  metrics.read('surfaced_panel_parts', () => {
    const open = countersOf(panel)?.open;
    if (open === undefined) return [];
    return [
      [{ state: 'open' }, open.parts],
      [{ state: 'closed' }, open.of - open.parts],
    ];
  });
  metrics.read('surfaced_bus_transfers_total', () => [[{}, summed('transfers')]]);
  metrics.read('surfaced_bus_errors_total', () => [
    [{ kind: 'no_ack' }, summed('noAcks')],
    [{ kind: 'timeout' }, summed('timeouts')],
    [{ kind: 'other' }, summed('errors')],
  ]);
  metrics.read('surfaced_bus_openings_total', () => [
    [{}, (countersOf(panel)?.buses ?? []).reduce((sum, { openings }) => sum + openings, 0)],
  ]);
  metrics.read('surfaced_frames_total', () => [[{}, device.counts().frames]]);
  metrics.read('surfaced_link_up', () => [[{}, link().state === 'online' ? 1 : 0]]);
  metrics.read('surfaced_link_events_total', () =>
    Object.entries(link().counters).map(([event, count]) => [{ event }, count]),
  );
  metrics.read('surfaced_commands_in_flight', () => [[{}, link().commandsUnderWay]]);
  return { contentType: metrics.contentType, text: () => metrics.text() };
}
