/**
 * The gateway's registry, a folder or the cluster, and what belongs to one in the cluster beside reading it: the status of
 * each surface, requests of TPMs that wait, and Events.
 */
import type { Attesting, SurfaceTrust } from './attest/trust/types.ts';
import type { CommandRecord } from './bridge/gateway/command.ts';
import type { Ownership } from './bridge/gateway/ownership.ts';
import type { ConnectedCluster } from './bridge/kube/cluster.ts';
import {
  type ClusterRegistry,
  clusterRegistryTiming,
  openClusterRegistry,
} from './bridge/registry/cluster/cluster.ts';
import type { Facts } from './bridge/registry/cluster/conditions.ts';
import { createEventRecorder, type Subject } from './bridge/registry/cluster/event-recorder.ts';
import { approvedHappening, happeningOf, happeningsOf } from './bridge/registry/cluster/happenings.ts';
import type { SurfaceRecord } from './bridge/registry/cluster/objects.ts';
import { serveRequests } from './bridge/registry/cluster/requests.ts';
import { startStatusWriter } from './bridge/registry/cluster/status-writer.ts';
import { followTargets } from './bridge/registry/cluster/targets.ts';
import { openFolderRegistry } from './bridge/registry/folder.ts';
import type { Registry } from './bridge/registry/types.ts';
import type { Fleet } from './bridge/rollout/fleet.ts';
import type { Clock } from './clock.ts';
import { apiVersion, type GatewayConfig } from './config/schema.ts';
import { SurfacedError } from './errors.ts';
import type { Log } from './log.ts';

/** How often those that are online are looked at, milliseconds. */
const rosterMs = 60_000;

type Presence = Pick<Fleet, 'born' | 'went' | 'told'>;

/** A registry; `objects` is the same one when it is in the cluster, else null. */
export interface OpenedRegistry {
  readonly registry: Registry;
  readonly objects: ClusterRegistry | null;
}

/** Opens what the Gateway file names. @throws SurfacedError E_REGISTRY */
export async function openRegistry(parts: {
  readonly config: GatewayConfig;
  readonly cluster: ConnectedCluster;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<OpenedRegistry> {
  const { config, cluster, clock, log } = parts;
  const { folder, cluster: place } = config.registry;
  if (place) {
    const objects = await openClusterRegistry({
      access: cluster.access,
      namespace: place.namespace,
      stateDir: config.stateDir,
      clock,
      log: log.child({ part: 'registry' }),
      timing: clusterRegistryTiming,
    });
    return { registry: objects, objects };
  }
  if (folder === undefined) throw new SurfacedError('E_REGISTRY', 'registry: give one of folder and cluster');
  return { registry: await openFolderRegistry({ folder, log }), objects: null };
}

/** What a registry in the cluster is served with. */
export interface RegistryDesk {
  /** Hears which surfaces are there, and tells the fleet of it. */
  presence(fleet: Presence | null): Presence;
  /** A command has ended. */
  ended(record: CommandRecord): void;
  /** Surfaces may have come to this gateway. */
  reconsider(): void;
  problems(): readonly { readonly source: string; readonly message: string }[];
  close(): Promise<void>;
}

/** Starts writing status, requests and Events. */
export function serveRegistry(parts: {
  readonly config: GatewayConfig;
  readonly objects: ClusterRegistry;
  readonly cluster: ConnectedCluster;
  readonly attesting: Attesting;
  /** What is known of a surface with a TPM, by this gateway or another one. */
  readonly trustOf: (surface: string) => SurfaceTrust | null;
  /** Only one gateway speaks of a surface. */
  readonly ownership: Pick<Ownership, 'isMine'>;
  readonly clock: Clock;
  readonly log: Log;
}): RegistryDesk {
  const { config, objects, cluster, attesting, trustOf, ownership, clock } = parts;
  const log = parts.log.child({ part: 'registry' });
  const namespace = config.registry.cluster?.namespace ?? '';
  const { access } = cluster;
  const seen = new Map<string, { isOnline: boolean; at: number; firmware: string | null }>();
  const trusts = new Map<string, SurfaceTrust | null>();
  const targets = followTargets(cluster, (name) => writer.mark([name]));

  const factsOf = (record: SurfaceRecord): Facts => {
    const { name, generation, surface, problem } = record;
    const presence = seen.get(name);
    const trust = trustOf(name);
    return {
      generation,
      surface,
      problem,
      isTokenEnough: config.policy.identity === 'token',
      trust,
      isOnline: presence?.isOnline ?? false,
      lastSeenAt: presence?.at ?? null,
      firmware: presence?.firmware ?? trust?.firmware ?? null,
      targets: targets.factsOf(name),
    };
  };
  const writer = startStatusWriter({
    access,
    namespace,
    recordOf: (name) => (ownership.isMine(name) ? (objects.records().get(name) ?? null) : null),
    factsOf,
    clock,
    log,
  });
  const owners = (): ReadonlyMap<string, string> =>
    new Map(
      objects
        .list()
        .flatMap(({ metadata, spec }) => (spec.tpm ? [[metadata.name, spec.tpm.ekSha256] as const] : [])),
    );
  const requests = serveRequests({
    access,
    namespace,
    gateway: config.name,
    quarantine: () => attesting.quarantine(),
    owners,
    isSynced: () => objects.isSynced(),
    clock,
    log,
  });
  const events = createEventRecorder({ access, instance: config.name, clock, log });

  const subjectOf = (name: string): Subject => ({
    apiVersion,
    kind: 'ControlSurface',
    namespace,
    name,
    uid: objects.records().get(name)?.uid ?? null,
  });
  const follow = (name: string): void => targets.follow(name, objects.get(name));
  let keys = owners();
  for (const { metadata } of objects.list()) follow(metadata.name);
  for (const trust of attesting.list()) trusts.set(trust.surface, trust);
  writer.mark(objects.records().keys());

  objects.onChange((names) => {
    const before = keys;
    keys = owners();
    for (const name of names) {
      follow(name);
      const key = keys.get(name);
      if (key !== undefined && before.get(name) !== key && ownership.isMine(name))
        events.record(approvedHappening(subjectOf(name), key));
      if (objects.get(name) === null) seen.delete(name);
    }
    requests.look();
  });
  objects.onRecords((names) => writer.mark(names));
  attesting.onQuarantine(() => requests.look());
  attesting.onChange((names) => {
    for (const name of names) {
      const after = trustOf(name);
      const happening = happeningOf(trusts.get(name) ?? null, after, subjectOf(name));
      if (happening) events.record(happening);
      if (after === null) trusts.delete(name);
      else trusts.set(name, after);
    }
    writer.mark(names);
  });
  const roster = setInterval(
    () => writer.mark([...seen].flatMap(([name, { isOnline }]) => (isOnline ? [name] : []))),
    rosterMs,
  );
  roster.unref();

  const note = (name: string, isOnline: boolean, firmware: string | null): void => {
    seen.set(name, { isOnline, at: clock.now(), firmware: firmware ?? seen.get(name)?.firmware ?? null });
    writer.mark([name]);
  };
  return {
    presence: (fleet) => ({
      born: (name, firmware) => {
        note(name, true, firmware);
        fleet?.born(name, firmware);
      },
      went: (name) => {
        note(name, false, null);
        fleet?.went(name);
      },
      told: (name, update) => fleet?.told(name, update),
    }),
    ended: (record) => {
      const surface = subjectOf(record.surface);
      const targetUid = record.target && targets.uidOf(record.surface, record.target);
      for (const happening of happeningsOf(record, { surface, targetUid })) events.record(happening);
    },
    reconsider: () => writer.mark(objects.records().keys()),
    problems: () =>
      [writer.problem(), requests.problem(), events.problem()].flatMap((message) =>
        message === null ? [] : [{ source: `namespace ${namespace}`, message }],
      ),
    close: async () => {
      clearInterval(roster);
      await Promise.all([writer.close(), requests.close(), events.close()]);
      targets.close();
    },
  };
}
