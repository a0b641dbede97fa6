/** The metrics of a surface: looked up, not counted along. */
import t from 'tap';
import type { LinkStatus } from '../../daemon/bridge/link/link.ts';
import type { PanelCounters } from '../../daemon/hw/parts/counters.ts';
import { createDeviceMeter } from '../../daemon/metrics/device-metrics.ts';
import { deviceTable } from '../../daemon/metrics/table.ts';
import type { Panel } from '../../daemon/surface/types.ts';

const link: LinkStatus = {
  state: 'stale',
  detail: '',
  isAttested: true,
  level: 1,
  session: null,
  gatewaySession: null,
  attempts: 0,
  commandsUnderWay: 2,
  counters: { connects: 3, losses: 2, commands: 9, acks: 9, slots: 40, bad: 0, dropped: 1 },
};
const sound = { bytes: 9, noAcks: 1, errors: 0, timeouts: 0, lastError: null };
const counters: PanelCounters = {
  buses: [
    {
      ...{ bus: 1, openings: 2, losses: 1, refused: 0 },
      parts: [
        { address: '0x20', transfers: 4, ...sound },
        { address: '0x48', transfers: 3, ...sound, timeouts: 5 },
      ],
    },
  ],
  open: { parts: 1, of: 2 },
  ignored: 0,
};

t.test('a panel of parts', async (t) => {
  let frames = 7;
  const state = { isOpen: true, problem: null, missing: ['fader1', 'fader2'] };
  const panel = { state, counters: () => counters } as unknown as Panel;
  const meter = createDeviceMeter({ counts: () => ({ frames, link }) }, panel);
  const first = await meter.text();
  for (const line of [
    'surfaced_panel_open 1',
    'surfaced_panel_controls_missing 2',
    'surfaced_panel_parts{state="open"} 1',
    'surfaced_panel_parts{state="closed"} 1',
    'surfaced_bus_transfers_total 7',
    'surfaced_bus_errors_total{kind="no_ack"} 2',
    'surfaced_bus_errors_total{kind="timeout"} 5',
    'surfaced_bus_openings_total 2',
    'surfaced_frames_total 7',
    'surfaced_link_up 0',
    'surfaced_link_events_total{event="losses"} 2',
    'surfaced_commands_in_flight 2',
  ])
    t.ok(first.split('\n').includes(line), line);
  t.match(first, /^nodejs_eventloop_lag_p99_seconds /m);
  const names = [...first.matchAll(/^# TYPE (surfaced_\S+)/gm)].map(([, name]) => name);
  t.same(names.toSorted(), Object.keys(deviceTable).toSorted());
  frames = 9;
  t.match(await meter.text(), /^surfaced_frames_total 9$/m, 'looked at anew, not added up');
});

t.test('a MIDI panel has no parts and no buses', async (t) => {
  const panel = { state: { isOpen: false, problem: 'away' } } as Panel;
  const text = await createDeviceMeter({ counts: () => ({ frames: 0, link }) }, panel).text();
  t.match(text, /^surfaced_panel_open 0$/m);
  t.notMatch(text, /^surfaced_panel_parts\{/m);
  t.match(text, /^surfaced_bus_transfers_total 0$/m);
});
