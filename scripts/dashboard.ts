/** Makes deploy/monitoring/dashboard.json, the Grafana dashboard, from a table of panels. */

/** A number that counts now, or a graph over time. */
interface PanelPlan {
  readonly title: string;
  readonly type: 'stat' | 'timeseries';
  /** As Grafana calls units. */
  readonly unit: string;
  /** Query and legend. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
  /** Red from this value on, for stats that should be 0; left out: no colour. */
  readonly badFrom?: number;
}

const own = 'namespace=~"$namespace"';
const rate = (metric: string, by: string, more = ''): string =>
  `sum by (${by}) (rate(${metric}{${own}${more}}[$__rate_interval]))`;
const sum = (metric: string, more = ''): string => `sum(${metric}{${own}${more}})`;
const quantile = (q: number, metric: string, by = 'le'): string =>
  `histogram_quantile(${q}, sum by (${by}) (rate(${metric}_bucket{${own}}[$__rate_interval])))`;
const quantiles = (metric: string) =>
  [0.5, 0.95, 0.99].map((q) => [quantile(q, metric), `p${q * 100}`] as const);

const rows: Readonly<Record<string, readonly PanelPlan[]>> = {
  Now: [
    {
      title: 'Surfaces online',
      type: 'stat',
      unit: 'short',
      queries: [[sum('surfaced_surfaces_online'), '']],
    },
    {
      title: 'API server',
      type: 'stat',
      unit: 'bool_on_off',
      queries: [[`min(surfaced_kube_up{${own}})`, '']],
    },
    {
      title: 'Commands in flight',
      type: 'stat',
      unit: 'short',
      queries: [[sum('surfaced_commands_in_flight'), '']],
    },
    {
      title: 'Displays that cannot be true',
      type: 'stat',
      unit: 'short',
      queries: [[sum('surfaced_slots', ',condition=~"unreachable|unknown|denied"'), '']],
      badFrom: 1,
    },
    {
      title: 'Waiting for approval',
      type: 'stat',
      unit: 'short',
      queries: [[`max(surfaced_quarantined_tpms{${own}})`, '']],
    },
    {
      title: 'Files with problems',
      type: 'stat',
      unit: 'short',
      queries: [[`max(surfaced_registry_problems{${own}} + surfaced_policy_problems{${own}})`, '']],
      badFrom: 1,
    },
  ],
  Commands: [
    {
      title: 'Commands by end',
      type: 'timeseries',
      unit: 'cps',
      queries: [[rate('surfaced_commands_total', 'phase'), '{{phase}}']],
    },
    {
      title: 'Why they do not converge',
      type: 'timeseries',
      unit: 'cps',
      queries: [
        [rate('surfaced_commands_total', 'phase, code', ',phase!="converged"'), '{{phase}} {{code}}'],
      ],
    },
    {
      title: 'Touch to accepted',
      type: 'timeseries',
      unit: 's',
      queries: quantiles('surfaced_command_touch_to_accepted_seconds'),
    },
    {
      title: 'Accepted to converged',
      type: 'timeseries',
      unit: 's',
      queries: quantiles('surfaced_command_accepted_to_converged_seconds'),
    },
    {
      title: 'Surfaces whose commands fail most',
      type: 'timeseries',
      unit: 'cps',
      queries: [
        [
          `topk(10, ${rate('surfaced_surface_commands_total', 'surface', ',phase=~"blocked|expired|denied"')})`,
          '{{surface}}',
        ],
      ],
    },
    {
      title: 'Bindings by what displays show',
      type: 'timeseries',
      unit: 'short',
      queries: [[`sum by (condition) (surfaced_slots{${own}})`, '{{condition}}']],
    },
  ],
  Broker: [
    {
      title: 'Surfaces online by trust',
      type: 'timeseries',
      unit: 'short',
      queries: [[`sum by (trust, level) (surfaced_surfaces_online{${own}})`, '{{trust}} {{level}}']],
    },
    {
      title: 'Messages',
      type: 'timeseries',
      unit: 'cps',
      queries: [[rate('surfaced_broker_messages_total', 'direction, leaf'), '{{direction}}/{{leaf}}']],
    },
    {
      title: 'Payload',
      type: 'timeseries',
      unit: 'Bps',
      queries: [[rate('surfaced_broker_message_bytes_total', 'direction'), '{{direction}}']],
    },
    {
      title: 'Refused, dropped, unsent',
      type: 'timeseries',
      unit: 'cps',
      queries: [
        [rate('surfaced_broker_connections_refused_total', 'reason'), 'connection: {{reason}}'],
        [rate('surfaced_broker_messages_dropped_total', 'code'), 'message: {{code}}'],
        [rate('surfaced_broker_messages_unsent_total', 'namespace'), 'unsent'],
        [rate('surfaced_messages_unreadable_total', 'leaf'), 'unreadable: {{leaf}}'],
      ],
    },
  ],
  'API server': [
    {
      title: 'Requests',
      type: 'timeseries',
      unit: 'reqps',
      queries: [[rate('surfaced_kube_requests_total', 'verb, resource'), '{{verb}} {{resource}}']],
    },
    {
      title: 'Answers that are none or not 2xx',
      type: 'timeseries',
      unit: 'reqps',
      queries: [[rate('surfaced_kube_requests_total', 'code', ',code!~"2.."'), '{{code}}']],
    },
    {
      title: 'Latency, p95',
      type: 'timeseries',
      unit: 's',
      queries: [
        [
          quantile(0.95, 'surfaced_kube_request_duration_seconds', 'le, verb, resource'),
          '{{verb}} {{resource}}',
        ],
      ],
    },
    {
      title: 'Watches',
      type: 'timeseries',
      unit: 'short',
      queries: [
        [`sum(surfaced_kube_watches{${own}})`, 'open'],
        [rate('surfaced_kube_watches_interrupted_total', 'namespace'), 'interrupted/s'],
        [rate('surfaced_kube_lists_total', 'namespace'), 'lists/s'],
      ],
    },
    {
      title: 'Silence of the quietest watch',
      type: 'timeseries',
      unit: 's',
      queries: [[`max by (pod) (surfaced_kube_watch_silence_seconds{${own}})`, '{{pod}}']],
    },
  ],
  Trust: [
    {
      title: 'Verdicts',
      type: 'timeseries',
      unit: 'cps',
      queries: [
        [rate('surfaced_attestations_total', 'why, verdict, reason'), '{{why}} {{verdict}} {{reason}}'],
        [rate('surfaced_enrolments_refused_total', 'code'), 'turned away: {{code}}'],
      ],
    },
    {
      title: 'Surfaces with a TPM',
      type: 'timeseries',
      unit: 'short',
      queries: [[`max by (state) (surfaced_surfaces_attested{${own}})`, '{{state}}']],
    },
    {
      title: 'Certificates end in',
      type: 'timeseries',
      unit: 's',
      queries: [
        [
          `min by (certificate) (surfaced_certificate_expiry_timestamp_seconds{${own}}) - time()`,
          '{{certificate}}',
        ],
      ],
    },
    {
      title: 'Audit log',
      type: 'timeseries',
      unit: 'cps',
      queries: [
        [rate('surfaced_audit_records_total', 'kind'), '{{kind}}'],
        [rate('surfaced_audit_write_errors_total', 'namespace'), 'not written'],
      ],
    },
    {
      title: 'Rollouts',
      type: 'timeseries',
      unit: 'short',
      queries: [
        [`max by (state) (surfaced_rollouts{${own}})`, 'rollouts {{state}}'],
        [`max by (phase) (surfaced_rollout_surfaces{${own}})`, 'surfaces {{phase}}'],
      ],
    },
  ],
  Process: [
    {
      title: 'Processor',
      type: 'timeseries',
      unit: 'percentunit',
      queries: [
        [
          `rate(process_cpu_seconds_total{${own}}[$__rate_interval]) and on (namespace, pod) surfaced_build_info`,
          '{{pod}}',
        ],
      ],
    },
    {
      title: 'Memory',
      type: 'timeseries',
      unit: 'bytes',
      queries: [
        [`process_resident_memory_bytes{${own}} and on (namespace, pod) surfaced_build_info`, '{{pod}}'],
      ],
    },
    {
      title: 'Event loop, p99 of its lag',
      type: 'timeseries',
      unit: 's',
      queries: [
        [`nodejs_eventloop_lag_p99_seconds{${own}} and on (namespace, pod) surfaced_build_info`, '{{pod}}'],
      ],
    },
  ],
};

const datasource = { type: 'prometheus', uid: '$datasource' };
const columns = 24;

/** All panels, row after row, from left to right. */
function panels(): object[] {
  const all: object[] = [];
  let y = 0;
  for (const [title, plans] of Object.entries(rows)) {
    all.push({
      id: all.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: columns, h: 1 },
    });
    y += 1;
    const isNow = plans.every(({ type }) => type === 'stat');
    const [w, h] = isNow ? [columns / plans.length, 4] : [columns / 2, 8];
    for (const [index, plan] of plans.entries()) {
      const x = (index * w) % columns;
      if (index > 0 && x === 0) y += h;
      all.push(panelOf(plan, all.length + 1, { x, y, w, h }));
    }
    y += h;
  }
  return all;
}

function panelOf({ title, type, unit, queries, badFrom }: PanelPlan, id: number, gridPos: object): object {
  const steps = [
    { color: 'green', value: null },
    ...(badFrom === undefined ? [] : [{ color: 'red', value: badFrom }]),
  ];
  return {
    ...{ id, type, title, datasource, gridPos },
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      ...{ datasource, expr, legendFormat },
    })),
    fieldConfig: { defaults: { unit, min: 0, thresholds: { mode: 'absolute', steps } }, overrides: [] },
    options: type === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] } } : { tooltip: { mode: 'multi' } },
  };
}

/** The whole of dashboard.json. */
export const dashboard = (): string =>
  `${JSON.stringify(
    {
      title: 'surfaced',
      uid: 'surfaced-gateway',
      tags: ['surfaced'],
      schemaVersion: 39,
      editable: true,
      refresh: '30s',
      time: { from: 'now-3h', to: 'now' },
      templating: {
        list: [
          { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
          {
            name: 'namespace',
            type: 'query',
            label: 'Namespace',
            datasource,
            query: {
              query: 'label_values(surfaced_build_info{role="gateway"}, namespace)',
              refId: 'namespace',
            },
            includeAll: true,
            allValue: '.*',
            multi: true,
            refresh: 2,
            current: { text: 'All', value: '$__all' },
          },
        ],
      },
      panels: panels(),
    },
    null,
    2,
  )}\n`;
