/** The gateway's metrics, wired: what is counted as it happens, and what is looked up when it is asked for. */
import type { AuditEvent } from '../attest/audit/types.ts';
import type { Tokens } from '../attest/enrol/tokens.ts';
import type { PolicyStore } from '../attest/policy/types.ts';
import type { Attesting } from '../attest/trust/types.ts';
import type { Identity } from '../attest/types.ts';
import type { Relay } from '../bridge/gateway/relay.ts';
import type { ConnectedCluster } from '../bridge/kube/cluster.ts';
import type { BridgeEvent } from '../bridge/observer.ts';
import type { Registry } from '../bridge/registry/types.ts';
import type { Fleet } from '../bridge/rollout/fleet.ts';
import type { GatewayBus } from '../bridge/wire/bus.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { PartHealth } from '../health.ts';
import { version } from '../version.ts';
import { countAudit, countBridge, countedBus } from './count-events.ts';
import { Metrics, type Sample } from './metrics.ts';
import { gatewayTable } from './table.ts';

/** What gauges look at. */
export interface GatewaySources {
  readonly registry: Registry;
  readonly cluster: Pick<ConnectedCluster, 'health' | 'watches'>;
  readonly attesting: Pick<Attesting, 'list' | 'quarantine'>;
  readonly policies: Pick<PolicyStore, 'problems'>;
  readonly audit: () => PartHealth;
  readonly broker: { readonly sessions: number; identityOf(surface: string): Identity | null };
  readonly relay: Pick<Relay, 'status' | 'shown'>;
  /** Null: no updates are offered. */
  readonly fleet: Pick<Fleet, 'states' | 'standings'> | null;
  /** Ends of the gateway's own certificates, Unix milliseconds. */
  readonly certificates: () => { readonly ca: number; readonly server: number };
  /** Null: no traces. */
  readonly spans: (() => { readonly exported: number; readonly lost: number }) | null;
}

/** What a gateway is given to be measured. */
export interface GatewayMeter {
  readonly observe: (event: BridgeEvent) => void;
  readonly onRecord: (event: AuditEvent, isWritten: boolean) => void;
  bus(bus: GatewayBus): GatewayBus;
  attesting(attesting: Attesting): Attesting;
  tokens(tokens: Tokens): Tokens;
  /** From here on the gauges have something to look at. */
  watch(sources: GatewaySources): void;
  readonly contentType: string;
  text(): Promise<string>;
}

const phases = ['waiting', 'asked', 'installing', 'restarting', 'done', 'failed', 'skipped'] as const;
const states = ['pending', 'trusted', 'stale', 'failed', 'revoked'] as const;
const conditions = ['ok', 'progressing', 'blocked', 'missing', 'denied', 'unreachable', 'unknown'] as const;

const one = (value: number): Sample[] => [[{}, value]];

/** How many of each, those that there are none of as 0: what has never been seen cannot be alerted on. */
function counted(label: string, names: readonly string[], values: Iterable<string>): Sample[] {
  const counts = new Map(names.map((name) => [name, 0]));
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([name, count]) => [{ [label]: name }, count]);
}

/** Makes the meter of one gateway. */
export function createGatewayMeter({ metrics: { surfaces: mostSurfaces } }: GatewayConfig): GatewayMeter {
  const metrics = new Metrics(gatewayTable);
  metrics.read('surfaced_build_info', () => [[{ version, role: 'gateway' }, 1]]);
  const refused = (error: unknown): void => {
    const code = error instanceof SurfacedError ? error.code : 'E_ENROL_FAILED';
    metrics.add('surfaced_enrolments_refused_total', { code });
  };
  /** Does it, and counts why it was refused. */
  const watched = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      refused(error);
      throw error;
    }
  };
  return {
    observe: countBridge(metrics, mostSurfaces),
    onRecord: countAudit(metrics),
    bus: (bus) => countedBus(bus, metrics),
    attesting: (attesting) => ({
      isTrusted: (surface) => attesting.isTrusted(surface),
      of: (surface) => attesting.of(surface),
      verdictOf: (surface) => attesting.verdictOf(surface),
      list: () => attesting.list(),
      quarantine: () => attesting.quarantine(),
      onQuarantine: (listener) => attesting.onQuarantine(listener),
      onChange: (listener) => attesting.onChange(listener),
      begin: async (request) => {
        const begun = await watched(attesting.begin(request));
        if (begun.kind === 'quarantined')
          metrics.add('surfaced_enrolments_refused_total', { code: 'E_ENROL_QUARANTINE' });
        return begun;
      },
      finish: (begun, answer) => watched(attesting.finish(begun, answer)),
      close: () => attesting.close(),
    }),
    tokens: (tokens) => ({
      create: (options) => tokens.create(options),
      prove: async (proof) => {
        const proven = await watched(tokens.prove(proof));
        return { surface: proven.surface, spend: () => watched(proven.spend()) };
      },
      list: () => tokens.list(),
      sweep: () => tokens.sweep(),
    }),
    watch: (sources) => readSources(metrics, sources, mostSurfaces),
    contentType: metrics.contentType,
    text: () => metrics.text(),
  };
}

function readSources(
  metrics: Metrics<typeof gatewayTable>,
  sources: GatewaySources,
  mostSurfaces: number,
): void {
  const { registry, cluster, attesting, policies, audit, broker, relay, fleet } = sources;
  const online = (): readonly string[] =>
    relay
      .status()
      .surfaces.filter(({ isOnline }) => isOnline)
      .map(({ name }) => name);
  metrics.read('surfaced_surfaces_online', () => {
    const counts = new Map<string, number>([
      ['tpm 0', 0],
      ['token none', 0],
    ]);
    for (const name of online()) {
      const identity = broker.identityOf(name);
      const key = `${identity?.trust ?? 'token'} ${identity?.level ?? 'none'}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].map(([key, count]) => {
      const [trust = '', level = ''] = key.split(' ');
      return [{ trust, level }, count];
    });
  });
  metrics.read('surfaced_surface_online', () =>
    [...relay.status().surfaces]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, mostSurfaces)
      .map(({ name, isOnline }) => [{ surface: name }, isOnline ? 1 : 0]),
  );
  metrics.read('surfaced_binding_problems', () =>
    one(relay.status().surfaces.reduce((sum, { problems }) => sum + problems.length, 0)),
  );
  metrics.read('surfaced_slots', () => {
    const shown = relay.shown();
    return conditions.map((condition) => [{ condition }, shown.get(condition) ?? 0]);
  });
  metrics.read('surfaced_commands_in_flight', () => one(relay.status().commandsInFlight));
  metrics.read('surfaced_surfaces_attested', () =>
    counted(
      'state',
      states,
      attesting.list().map(({ state }) => state),
    ),
  );
  metrics.read('surfaced_quarantined_tpms', () => one(attesting.quarantine().length));
  metrics.read('surfaced_registry_surfaces', () => one(registry.list().length));
  metrics.read('surfaced_registry_problems', () => one(registry.problems().length));
  metrics.read('surfaced_policy_problems', () => one(policies.problems().length));
  metrics.read('surfaced_broker_connections', () => one(broker.sessions));
  metrics.read('surfaced_kube_up', () => one(cluster.health().isHealthy ? 1 : 0));
  metrics.read('surfaced_kube_watches', () => one(cluster.watches().count));
  metrics.read('surfaced_kube_watch_silence_seconds', () => one(cluster.watches().oldestHeardMs / 1000));
  metrics.read('surfaced_audit_up', () => one(audit().ok ? 1 : 0));
  metrics.read('surfaced_certificate_expiry_timestamp_seconds', () => {
    const { ca, server } = sources.certificates();
    const ends = registry.list().flatMap(({ metadata }) => broker.identityOf(metadata.name)?.notAfter ?? []);
    return [
      [{ certificate: 'ca' }, ca / 1000],
      [{ certificate: 'server' }, server / 1000],
      ...(ends.length === 0
        ? []
        : [[{ certificate: 'surface' }, ends.reduce((a, b) => Math.min(a, b)) / 1000] as const]),
    ];
  });
  metrics.read('surfaced_rollout_surfaces', () =>
    counted(
      'phase',
      phases,
      (fleet?.states() ?? []).flatMap(({ surfaces }) => [...surfaces.values()].map(({ phase }) => phase)),
    ),
  );
  metrics.read('surfaced_rollouts', () =>
    Object.entries(fleet?.standings() ?? {}).map(([state, count]) => [{ state }, count]),
  );
  metrics.read('surfaced_trace_spans_total', () =>
    Object.entries(sources.spans?.() ?? {}).map(([result, count]) => [{ result }, count]),
  );
}
