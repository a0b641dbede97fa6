/** The gateway: CA, registry, attestation, broker, enrolment and relay wired together; one process. */
import path from 'node:path';
import { openAttestation } from './attest/attestation.ts';
import { loadAuthority } from './attest/authority/ca.ts';
import { makeServerCertificate } from './attest/authority/server-certificate.ts';
import { readRequestSubject } from './attest/certificates/request.ts';
import { startEnrolServer } from './attest/enrol/server.ts';
import { openTokens, type Tokens } from './attest/enrol/tokens.ts';
import type { Trust } from './attest/trust/types.ts';
import { startAdmission } from './bridge/admission/server.ts';
import { newSession } from './bridge/gateway/beat.ts';
import { ownsAll } from './bridge/gateway/ownership.ts';
import { fieldManager, startRelay } from './bridge/gateway/relay.ts';
import { connectCluster } from './bridge/kube/cluster.ts';
import { ctlTopic } from './bridge/wire/topics.ts';
import type { Clock } from './clock.ts';
import type { GatewayConfig } from './config/schema.ts';
import { openBus } from './gateway-bus.ts';
import { openPages, rememberCommands } from './gateway-pages.ts';
import { openRegistry, serveRegistry } from './gateway-registry.ts';
import { joinGateways } from './gateway-shards.ts';
import { logCommand, openTelemetry } from './gateway-telemetry.ts';
import { allowanceBy, keepTrusted, trustBy } from './gateway-trusted.ts';
import { openUpdates } from './gateway-updates.ts';
import { type HealthReport, healthOf } from './health.ts';
import type { Log } from './log.ts';

export interface GatewayParts {
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** A running gateway. */
export interface Gateway {
  /** Pin of its CA, as surfaces need it. */
  readonly caPin: string;
  readonly enrolPort: number;
  readonly brokerPort: number;
  /** Null: the admission endpoint is off. */
  readonly admissionPort: number | null;
  /** Null: there is no health endpoint. */
  readonly healthPort: number | null;
  /** As browsers must ask for them; null: the pages are off. */
  readonly pagesUrl: string | null;
  readonly tokens: Tokens;
  /** What it holds of surfaces with a TPM. */
  readonly trust: Trust;
  /** Where its ControlSurface files are, for `approveIn` of commands/approve.ts; null: they are in the cluster. */
  readonly registryFolder: string | null;
  /** Rejects when it may not be active any more, and is to be started anew; null: that cannot happen. */
  readonly lost: Promise<never> | null;
  health(): HealthReport;
  /** Resolves with the next heartbeat of the relay. */
  pulse(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts all parts. An API server that is away is retried for ever; a port that is taken or a broken state
 * folder ends the start.
 * @throws SurfacedError
 */
export async function startGateway(parts: GatewayParts): Promise<Gateway> {
  const { config, clock, log, random } = parts;
  /** What has been started, so that a start that fails half-way leaves nothing behind. */
  const started: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of started.reverse())
      await close().catch((error: unknown) => log.warn({ err: error }, 'part did not close'));
    started.length = 0;
  };
  try {
    // First, so that it ends last.
    const telemetry = await openTelemetry({ config, clock, random, log });
    started.push(() => telemetry.close());
    const { meter, observe } = telemetry;
    const authority = await loadAuthority({
      ...{ stateDir: config.stateDir, shared: config.shards?.ca ?? null },
      ...{ site: config.site, clock },
    });
    const tokens = openTokens({ folder: path.join(config.stateDir, 'tokens'), clock });
    const cluster = await connectCluster({
      config: config.cluster,
      ...{ log, clock, random, fieldManager, observe },
    });
    started.push(() => cluster.close());
    let hasSeenCluster = cluster.health().isHealthy;
    cluster.onHealth(() => {
      hasSeenCluster ||= cluster.health().isHealthy;
    });
    const { registry, objects } = await openRegistry({ config, cluster, clock, log });
    started.push(() => registry.close());
    const attestation = await openAttestation({
      ...{ config, registry, clock, log },
      caPin: authority.pin,
      onRecord: meter?.onRecord ?? null,
    });
    started.push(() => attestation.close());
    const { attesting, audit, policies } = attestation;
    const session = newSession(random);
    const shards = joinGateways({ config, cluster, session, clock, random, log });
    started.push(async () => await shards?.close());
    const ownership = shards?.ownership ?? ownsAll;
    // With the broker inside of the gateway one is active, and the others are warm until it is gone.
    if (config.broker.mode === 'embedded') await shards?.held(telemetry.waiting);
    const parties = { config, registry, attesting };
    const isAllowed = allowanceBy(parties);
    const broker = await openBus({
      ...{ config, authority, registry, session, isAllowed, observe, clock, random, log },
      failed: attesting.list().flatMap(({ state, surface }) => (state === 'failed' ? [surface] : [])),
    });
    started.push(() => broker.close());
    const { bus } = broker;
    keepTrusted(parties, bus, isAllowed, log);
    const trustOf = trustBy(parties, bus, isAllowed);
    const desk =
      objects && serveRegistry({ config, objects, cluster, attesting, trustOf, ownership, clock, log });
    if (desk) started.push(() => desk.close());
    const updates = await openUpdates({
      config,
      registry,
      policies,
      audit,
      send: (surface, payload) =>
        bus.publish(ctlTopic(config.site, surface), payload, { qos: 1, isRetained: false }),
      clock,
      log: log.child({ part: 'updates' }),
    });
    if (updates) started.push(() => updates.close());
    const lastCommands = rememberCommands();
    const relay = startRelay({
      bus: meter?.bus(bus) ?? bus,
      cluster,
      registry,
      config,
      trustOf: (surface) => bus.identityOf(surface)?.trust ?? 'token',
      ...{ ownership, session },
      clock,
      random,
      log: log.child({ part: 'relay' }),
      fleet: desk?.presence(updates?.fleet ?? null) ?? updates?.fleet ?? null,
      observe,
      ...telemetry.tracing,
      record: (entry, traceId) => {
        logCommand(log, entry, traceId);
        desk?.ended(entry);
        if (config.pages) lastCommands.note(entry);
        audit.append({ kind: 'command', command: entry }).catch((error: unknown) => {
          log.error({ err: error, surface: entry.surface, id: entry.id }, 'a command could not be recorded');
        });
      },
    });
    started.push(() => relay.close());
    shards?.onChange(async () => {
      desk?.reconsider();
      await relay.reconsider();
    });
    // Before the relay says goodbye, so that what is under way ends and another one takes over at once.
    started.push(async () => await shards?.close());
    const enrol = await startEnrolServer({
      config,
      broker: broker.address,
      more: updates?.more ?? null,
      authority,
      tokens: meter?.tokens(tokens) ?? tokens,
      registry,
      attesting: meter?.attesting(attesting) ?? attesting,
      audit,
      clock,
      log: log.child({ part: 'enrol' }),
    });
    started.push(() => enrol.close());
    const admission = config.admission
      ? await startAdmission({
          admission: config.admission,
          trust: attesting,
          readSubject: readRequestSubject,
          certificate: await makeServerCertificate({
            authority,
            hosts: config.admission.hosts,
            clock,
            log,
          }),
          log: log.child({ part: 'admission' }),
        })
      : null;
    if (admission) started.push(() => admission.close());

    const pages = await openPages({
      ...{ config, authority, registry, cluster, attesting, audit },
      ...{ policies, relay, lastCommands, clock, log },
    });
    if (pages) started.push(() => pages.close());

    const health = (): HealthReport => {
      const relayed = relay.status();
      const api = cluster.health();
      const problems = [...registry.problems(), ...(desk?.problems() ?? [])];
      return healthOf({
        ...attestation.health(),
        cluster: { ok: api.isHealthy, detail: api.detail },
        broker: broker.health(),
        ...(shards && { shards: shards.health() }),
        enrol: { ok: true, detail: `port ${enrol.port}` },
        ...(admission && { admission: admission.health() }),
        ...(pages && { pages: { ok: true, detail: pages.url } }),
        ...(updates && { updates: updates.fleet.health() }),
        registry: {
          // In the cluster anybody who may write one object could take the gateway out of service by it.
          ok: objects !== null || problems.length === 0,
          detail: problems[0]
            ? `${problems[0].source}: ${problems[0].message}`
            : `${registry.list().length} surfaces`,
        },
        // A binding that does not fit is its surface's trouble: it must not take the gateway out of service.
        relay: {
          ok: true,
          detail: [
            `${relayed.surfacesOnline} surfaces online`,
            ...relayed.surfaces.flatMap(({ name, problems }) =>
              problems.map((problem) => `${name}: ${problem}`),
            ),
          ]
            .slice(0, 6)
            .join('; '),
        },
      });
    };
    meter?.watch({
      ...{ registry, cluster, attesting, policies, broker: bus, relay },
      audit: () => attestation.health().audit,
      fleet: updates?.fleet ?? null,
      certificates: () => ({
        ca: authority.notAfter,
        server: broker.serverNotAfter() ?? enrol.serverNotAfter(),
      }),
      spans: telemetry.spans,
    });
    telemetry.started({ report: health, hasSeenCluster: () => hasSeenCluster });
    log.info(
      { site: config.site, enrolPort: enrol.port, brokerPort: broker.address.port, caPin: authority.pin },
      'gateway started',
    );
    return {
      caPin: authority.pin,
      enrolPort: enrol.port,
      brokerPort: broker.address.port,
      admissionPort: admission?.port ?? null,
      healthPort: telemetry.port,
      pagesUrl: pages?.url ?? null,
      tokens,
      trust: attesting,
      registryFolder: config.registry.folder ?? null,
      lost: config.broker.mode === 'embedded' ? (shards?.lost() ?? null) : null,
      health,
      pulse: () => relay.pulse(),
      stop: async () => {
        telemetry.stopping();
        await closeAll();
        log.info('gateway stopped');
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
