/** Turns what happens in the bridge, in the audit log and at enrolment into counts. */
import type { AuditEvent } from '../attest/audit/types.ts';
import type { BridgeEvent } from '../bridge/observer.ts';
import type { GatewayBus } from '../bridge/wire/bus.ts';
import { parseTopic } from '../bridge/wire/topics.ts';
import { classOf } from './api-class.ts';
import { Bound } from './bound.ts';
import type { Metrics } from './metrics.ts';
import type { gatewayTable } from './table.ts';

export type GatewayMetrics = Metrics<typeof gatewayTable>;

/** Reasons of Kubernetes are among the codes, and controllers may make up their own. */
const mostCodes = 100;

/** Counts what the bridge does. @param mostSurfaces that have series of their own */
export function countBridge(metrics: GatewayMetrics, mostSurfaces: number): (event: BridgeEvent) => void {
  const codes = new Bound(mostCodes);
  const drops = new Bound(8);
  const surfaces = new Bound(mostSurfaces);
  for (const reason of ['handshake', 'identity', 'rate', 'full', 'withdrawn', 'expired', 'backlog'])
    metrics.add('surfaced_broker_connections_refused_total', { reason }, 0);
  const acceptedAt = new WeakMap<object, number>();
  return (event) => {
    switch (event.type) {
      case 'api-request': {
        const labels = classOf(event.method, event.path);
        const code = event.status === 0 ? 'none' : `${event.status}`;
        metrics.add('surfaced_kube_requests_total', { ...labels, code });
        if (event.status !== 0)
          metrics.observe('surfaced_kube_request_duration_seconds', labels, event.tookMs / 1000);
        return;
      }
      case 'api-watch':
        if (event.what === 'listed') metrics.add('surfaced_kube_lists_total', {});
        else if (event.what === 'opened') metrics.add('surfaced_kube_watches_opened_total', {});
        else metrics.add('surfaced_kube_watches_interrupted_total', {});
        return;
      case 'connection-refused':
        metrics.add('surfaced_broker_connections_refused_total', { reason: event.reason });
        return;
      case 'message-dropped':
        metrics.add('surfaced_broker_messages_dropped_total', { code: drops.of(event.code) });
        return;
      case 'message-unreadable':
        metrics.add('surfaced_messages_unreadable_total', { leaf: event.leaf });
        return;
      case 'command-repeated':
        metrics.add('surfaced_commands_repeated_total', {});
        return;
      case 'command-accepted': {
        acceptedAt.set(event.command, event.at);
        // The surface's clock may be ahead by up to two seconds.
        const tookMs = Math.max(0, event.at - event.command.message.issuedAt);
        metrics.observe('surfaced_command_touch_to_accepted_seconds', {}, tookMs / 1000);
        return;
      }
      case 'command-ended': {
        const { phase, code } = event.end;
        metrics.add('surfaced_commands_total', { phase, code: codes.of(code || 'none') });
        const surface = surfaces.of(event.command.surface);
        metrics.add('surfaced_surface_commands_total', { surface, phase });
        const from = acceptedAt.get(event.command);
        if (phase !== 'converged' || from === undefined) return;
        const tookMs = Math.max(0, event.at - from);
        metrics.observe('surfaced_command_accepted_to_converged_seconds', {}, tookMs / 1000);
      }
    }
  };
}

/** Counts records, verdicts and certificates. */
export function countAudit(metrics: GatewayMetrics): (event: AuditEvent, isWritten: boolean) => void {
  for (const why of ['enrol', 'renew', 'policy'])
    metrics.add('surfaced_attestations_total', { why, verdict: 'trusted', reason: 'none' }, 0);
  return (event, isWritten) => {
    if (isWritten) metrics.add('surfaced_audit_records_total', { kind: event.kind });
    else metrics.add('surfaced_audit_write_errors_total', {});
    if (event.kind === 'certificate' && isWritten)
      metrics.add('surfaced_certificates_issued_total', { trust: event.trust });
    if (event.kind !== 'verdict') return;
    const { why, verdict } = event;
    const failed = verdict.checks.find(({ outcome }) => outcome === 'failed');
    metrics.add('surfaced_attestations_total', {
      why,
      verdict: verdict.isTrusted ? 'trusted' : 'refused',
      reason: failed?.name ?? 'none',
    });
  };
}

/** The same bus with its messages counted; how they travel is the bus' own business. */
export function countedBus(bus: GatewayBus, metrics: GatewayMetrics): GatewayBus {
  const count = (direction: 'up' | 'down', topic: string, bytes: number): void => {
    const labels = { direction, leaf: parseTopic(topic)?.leaf ?? 'other' };
    metrics.add('surfaced_broker_messages_total', labels);
    metrics.add('surfaced_broker_message_bytes_total', labels, bytes);
  };
  return {
    publish: async (topic, payload, options) => {
      try {
        await bus.publish(topic, payload, options);
      } catch (error) {
        metrics.add('surfaced_broker_messages_unsent_total', {});
        throw error;
      }
      count('down', topic, payload.length);
    },
    onMessage: (listener) =>
      bus.onMessage((message) => {
        count('up', message.topic, message.payload.length);
        listener(message);
      }),
    onSession: (listener) => bus.onSession(listener),
    disconnect: (surface, reason) => bus.disconnect(surface, reason),
    close: () => bus.close(),
  };
}
