/**
 * What is seen of a gateway from outside: its health endpoint with metrics, and traces. It listens before anything else is
 * started and ends after everything else, so that a probe can tell a gateway that starts or stops from one that is not there.
 */
import type { CommandRecord } from './bridge/gateway/command.ts';
import type { BridgeEvent, CommandTracer } from './bridge/observer.ts';
import type { Clock } from './clock.ts';
import type { GatewayConfig } from './config/schema.ts';
import { type HealthReport, healthOf, type PartHealth, startHealthServer } from './health.ts';
import type { Log } from './log.ts';
import type { GatewayMeter } from './metrics/gateway-metrics.ts';
import type { Tracing } from './tracing/tracing.ts';

/** What a gateway that runs can tell of itself. */
export interface GatewayState {
  /** Everything that somebody should see to. */
  readonly report: () => HealthReport;
  /** Whether the API server has answered since the start. */
  readonly hasSeenCluster: () => boolean;
}

/** What a gateway is watched with. */
export interface Telemetry {
  /** Null: there is no health endpoint, hence nobody who would ask. */
  readonly meter: GatewayMeter | null;
  readonly observe: (event: BridgeEvent) => void;
  /** Left out: commands are not followed. */
  readonly tracing: { readonly tracer?: CommandTracer };
  readonly spans: Tracing['counts'] | null;
  /** Null: there is no health endpoint. */
  readonly port: number | null;
  /** It is warm, and waits for its turn among several gateways. */
  waiting(standing: PartHealth): void;
  /** Everything has been started. */
  started(state: GatewayState): void;
  /** It is being stopped: not ready from here on. */
  stopping(): void;
  close(): Promise<void>;
}

/** @throws SurfacedError E_LISTEN */
export async function openTelemetry(options: {
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}): Promise<Telemetry> {
  const { config, clock, random, log } = options;
  let phase: 'starting' | 'running' | 'stopping' = 'starting';
  let state: GatewayState | null = null;
  let words = healthOf({ gateway: { ok: false, detail: 'starting' } });
  const readiness = (): HealthReport => {
    if (phase === 'stopping') return healthOf({ gateway: { ok: false, detail: 'stopping' } });
    return state === null ? words : readinessOf(state);
  };
  // Only then are the libraries loaded.
  const meter =
    config.health === undefined
      ? null
      : (await import('./metrics/gateway-metrics.ts')).createGatewayMeter(config);
  const endpoint =
    config.health === undefined
      ? null
      : await startHealthServer(config.health.listen, {
          report: () => state?.report() ?? words,
          readiness,
          metrics: meter,
        });
  const tracing =
    config.tracing === undefined
      ? null
      : await (await import('./tracing/tracing.ts')).openTracing({
          ...config.tracing,
          ...{ site: config.site, gateway: config.name },
          ...{ clock, random, log: log.child({ part: 'tracing' }) },
        });
  return {
    meter,
    observe: (event) => {
      meter?.observe(event);
      tracing?.observe(event);
    },
    tracing: tracing === null ? {} : { tracer: tracing },
    spans: tracing?.counts ?? null,
    port: endpoint?.port ?? null,
    waiting: (standing) => {
      words = healthOf({ gateway: standing });
    },
    started: (running) => {
      state = running;
      phase = 'running';
    },
    stopping: () => {
      phase = 'stopping';
    },
    close: async () => {
      await tracing?.close();
      await endpoint?.close();
    },
  };
}

/**
 * Whether surfaces can be served. What counts: ports are open and the registry was read, or it would not have started; and
 * the API server has answered once, so that what displays show was true at some time. What does not: an API server that went
 * away since, which surfaces are told of and another replica cannot reach either; files, bindings and reference sets with
 * faults, which are the trouble of the surfaces that they are about.
 */
function readinessOf({ hasSeenCluster }: GatewayState): HealthReport {
  return healthOf({
    gateway: { ok: true, detail: 'started' },
    cluster: hasSeenCluster()
      ? { ok: true, detail: 'the API server has answered since the start' }
      : { ok: false, detail: 'the API server has not answered yet' },
  });
}

/** The log line of a command's end. */
export function logCommand(log: Log, entry: CommandRecord, traceId: string | null): void {
  log.info({ id: entry.id, ...(traceId !== null && { traceId }), command: entry }, 'command ended');
}
