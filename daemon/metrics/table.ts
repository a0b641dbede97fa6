/**
 * Every metric that there is, as data: names, types, words and labels. docs/metrics.md is made from it, and dashboards
 * and alerts are checked against it. Names follow Prometheus' rules (prometheus.io/docs/practices/naming): base units,
 * `_total` for what only grows. Every label has a bound; names of Kubernetes objects are never one.
 */

/** One metric. */
export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence without a full stop at its end, as the ecosystem has it. */
  readonly help: string;
  /** Each with the values that it can have. */
  readonly labels: Readonly<Record<string, string>>;
  /** Upper bounds of a histogram, in the unit of the name. */
  readonly buckets?: readonly number[];
}

export type MetricTable = Readonly<Record<string, MetricSpec>>;

/** Touches and API calls: from what feels instant to what a person gives up on. */
const fast = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Pods that start. */
const slow = [0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300];

const surface = 'name of a surface, `other` above the bound of `metrics.surfaces`';
const leaf = 'cmd, status, birth, tele, ack, slot, ctl, other';

const common = {
  surfaced_build_info: {
    type: 'gauge',
    help: 'Always 1; what runs',
    labels: { version: 'of surfaced', role: 'gateway, device' },
  },
} as const satisfies MetricTable;

/** What a gateway measures. */
export const gatewayTable = {
  ...common,
  surfaced_surfaces_online: {
    type: 'gauge',
    help: 'Surfaces that are online, by how they proved themselves',
    labels: { trust: 'tpm, token', level: '0 to 3, none' },
  },
  surfaced_surface_online: {
    type: 'gauge',
    help: 'Whether a surface of the registry is online; the first of them by name, up to the bound',
    labels: { surface },
  },
  surfaced_surfaces_attested: {
    type: 'gauge',
    help: 'Surfaces with a TPM, by what is held of them',
    labels: { state: 'pending, trusted, stale, failed, revoked' },
  },
  surfaced_quarantined_tpms: {
    type: 'gauge',
    help: 'TPMs that wait for approval',
    labels: {},
  },
  surfaced_registry_surfaces: { type: 'gauge', help: 'Surfaces in the registry', labels: {} },
  surfaced_registry_problems: {
    type: 'gauge',
    help: 'Files or objects of the registry that cannot be read',
    labels: {},
  },
  surfaced_policy_problems: {
    type: 'gauge',
    help: 'Reference sets and roots that cannot be used',
    labels: {},
  },
  surfaced_binding_problems: {
    type: 'gauge',
    help: 'Bindings that do not fit the panel of their surface',
    labels: {},
  },
  surfaced_slots: {
    type: 'gauge',
    help: 'Bindings of surfaces that are online, by what their displays show',
    labels: { condition: 'ok, progressing, blocked, missing, denied, unreachable, unknown' },
  },
  surfaced_commands_total: {
    type: 'counter',
    help: 'Commands that have ended, by their end',
    labels: {
      phase: 'converged, blocked, reverted, stale, expired, denied, needs-arm',
      code: 'as docs/bind.md has it, none; the first 100, then `other`',
    },
  },
  surfaced_surface_commands_total: {
    type: 'counter',
    help: 'Commands that have ended, by surface',
    labels: { surface, phase: 'as above' },
  },
  surfaced_commands_in_flight: { type: 'gauge', help: 'Commands without an end', labels: {} },
  surfaced_commands_repeated_total: {
    type: 'counter',
    help: 'Commands that came again, and were answered as before',
    labels: {},
  },
  surfaced_command_touch_to_accepted_seconds: {
    type: 'histogram',
    help: "From the touch, by the surface's clock, until the API server has taken the number",
    labels: {},
    buckets: fast,
  },
  surfaced_command_accepted_to_converged_seconds: {
    type: 'histogram',
    help: 'From there until the target is as it was asked to be; only of commands that got there',
    labels: {},
    buckets: slow,
  },
  surfaced_messages_unreadable_total: {
    type: 'counter',
    help: 'Messages of surfaces that were not readable',
    labels: { leaf: 'cmd, status, birth' },
  },
  surfaced_broker_connections: { type: 'gauge', help: 'Surfaces with a connection', labels: {} },
  surfaced_broker_connections_refused_total: {
    type: 'counter',
    help: 'Connections that were not taken in, or were ended by the broker',
    labels: {
      reason:
        'handshake (TLS), identity (certificate of nobody here), rate, full, withdrawn (trust), expired (certificate), backlog (does not read)',
    },
  },
  surfaced_broker_messages_total: {
    type: 'counter',
    help: 'Messages between surfaces and gateway',
    labels: { direction: 'up, down', leaf },
  },
  surfaced_broker_message_bytes_total: {
    type: 'counter',
    help: 'Payload of these messages',
    labels: { direction: 'up, down', leaf },
  },
  surfaced_broker_messages_dropped_total: {
    type: 'counter',
    help: 'Publishes of surfaces that went nowhere',
    labels: { code: 'RateLimited (throttled), UnknownTopic, TooLarge, RetainRefused, other' },
  },
  surfaced_broker_messages_unsent_total: {
    type: 'counter',
    help: 'Messages to surfaces that could not be given to the broker',
    labels: {},
  },
  surfaced_kube_up: {
    type: 'gauge',
    help: 'Whether the API server answers: 1 or 0',
    labels: {},
  },
  surfaced_kube_requests_total: {
    type: 'counter',
    help: 'Requests to the API server',
    labels: {
      verb: 'get, list, watch, create, update, patch, delete',
      resource: 'class of resource: scale, pods, deployments, ..., discovery, health, other',
      code: 'HTTP status; none: no answer',
    },
  },
  surfaced_kube_request_duration_seconds: {
    type: 'histogram',
    help: 'Until the head of the answer of these requests',
    labels: { verb: 'as above', resource: 'as above' },
    buckets: fast,
  },
  surfaced_kube_watches: { type: 'gauge', help: 'Collections that are watched', labels: {} },
  surfaced_kube_watch_silence_seconds: {
    type: 'gauge',
    help: 'Since the watch that was silent for longest was heard of; they end and begin again in five minutes',
    labels: {},
  },
  surfaced_kube_watches_opened_total: { type: 'counter', help: 'Watches that were answered', labels: {} },
  surfaced_kube_watches_interrupted_total: {
    type: 'counter',
    help: 'Lists and watches that ended with an error',
    labels: {},
  },
  surfaced_kube_lists_total: {
    type: 'counter',
    help: 'Whole lists of a collection, the first of each included',
    labels: {},
  },
  surfaced_attestations_total: {
    type: 'counter',
    help: 'Verdicts on evidence',
    labels: {
      why: 'enrol, renew, policy (judged anew)',
      verdict: 'trusted, refused',
      reason: 'first check that failed, none',
    },
  },
  surfaced_enrolments_refused_total: {
    type: 'counter',
    help: 'Attestations and tokens that were turned away',
    labels: { code: 'as docs/errors.md has it' },
  },
  surfaced_certificates_issued_total: {
    type: 'counter',
    help: 'Certificates that surfaces were given',
    labels: { trust: 'tpm, token' },
  },
  surfaced_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    help: 'End of a certificate, Unix time',
    labels: { certificate: 'ca, server, surface (the earliest of those in use)' },
  },
  surfaced_audit_records_total: {
    type: 'counter',
    help: 'Audit records that were written',
    labels: { kind: 'gateway, verdict, certificate, trust, command, update' },
  },
  surfaced_audit_write_errors_total: {
    type: 'counter',
    help: 'Audit records that could not be written; what they were about was not done',
    labels: {},
  },
  surfaced_audit_up: {
    type: 'gauge',
    help: 'Whether audit records are written and signed: 1 or 0',
    labels: {},
  },
  surfaced_rollout_surfaces: {
    type: 'gauge',
    help: 'Surfaces of all rollouts',
    labels: { phase: 'waiting, asked, installing, restarting, done, failed, skipped' },
  },
  surfaced_rollouts: {
    type: 'gauge',
    help: 'Rollouts by how they stand',
    labels: { state: 'running, paused, stopped (by failures), ended' },
  },
  surfaced_trace_spans_total: {
    type: 'counter',
    help: 'Spans that were handed to the exporter',
    labels: { result: 'exported, lost' },
  },
} as const satisfies MetricTable;

/** What a surface measures. */
export const deviceTable = {
  ...common,
  surfaced_panel_open: { type: 'gauge', help: 'Whether the panel is open: 1 or 0', labels: {} },
  surfaced_panel_parts: {
    type: 'gauge',
    help: 'Parts of a panel of parts',
    labels: { state: 'open, closed' },
  },
  surfaced_panel_controls_missing: {
    type: 'gauge',
    help: 'Controls that are missing while the rest of the panel is open',
    labels: {},
  },
  surfaced_bus_errors_total: {
    type: 'counter',
    help: 'Transfers on I2C buses that failed',
    labels: { kind: 'no_ack, timeout, other' },
  },
  surfaced_bus_openings_total: {
    type: 'counter',
    help: 'How often I2C buses were opened; more than once after a loss',
    labels: {},
  },
  surfaced_bus_transfers_total: { type: 'counter', help: 'Transfers on I2C buses', labels: {} },
  surfaced_frames_total: { type: 'counter', help: 'Frames that were drawn', labels: {} },
  surfaced_link_up: {
    type: 'gauge',
    help: 'Whether the surface is online: 1 or 0',
    labels: {},
  },
  surfaced_link_events_total: {
    type: 'counter',
    help: 'What the link counts',
    labels: { event: 'connects, losses, commands, acks, slots, bad, dropped' },
  },
  surfaced_commands_in_flight: { type: 'gauge', help: 'Commands without an end', labels: {} },
} as const satisfies MetricTable;
