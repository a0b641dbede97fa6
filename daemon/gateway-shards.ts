/** For which surfaces this gateway acts, when there are several: by Leases in the cluster. */
import { allowedAheadMs } from './bridge/gateway/admit.ts';
import type { Ownership } from './bridge/gateway/ownership.ts';
import { systemTimers } from './bridge/gateway/timers.ts';
import type { ConnectedCluster } from './bridge/kube/cluster.ts';
import { leasesOver } from './bridge/shards/leases.ts';
import { startShards } from './bridge/shards/shards.ts';
import type { Shards } from './bridge/shards/types.ts';
import { maxTtlMs } from './bridge/wire/messages.ts';
import type { Clock } from './clock.ts';
import type { GatewayConfig } from './config/schema.ts';
import { SurfacedError } from './errors.ts';
import type { PartHealth } from './health.ts';
import type { Log } from './log.ts';

/** What a gateway knows of the others. */
export interface GatewayShards {
  readonly ownership: Ownership;
  /** Resolves when this gateway holds something; it is told how it stands as long as it does not. */
  held(tell: (standing: PartHealth) => void): Promise<void>;
  /** Rejects when it holds nothing any more, unless it was closed. */
  lost(): Promise<never>;
  onChange(listener: () => void | Promise<void>): void;
  health(): PartHealth;
  /** Hands everything over, then resolves. May be called twice. */
  close(): Promise<void>;
}

/** Joins the gateways of the namespace. @returns null: the Gateway file says that there is one gateway */
export function joinGateways(parts: {
  readonly config: GatewayConfig;
  readonly cluster: Pick<ConnectedCluster, 'access'>;
  /** Names this process. */
  readonly session: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}): GatewayShards | null {
  const { config, cluster, session, clock, random, log } = parts;
  if (config.shards === undefined) return null;
  const shards = startShards({
    api: leasesOver(cluster.access, config.shards.namespace),
    identity: `${config.name}-${session}`,
    // Each surface is connected to one broker, so with that inside of the gateway there is nothing to divide.
    count: config.broker.mode === 'embedded' ? 1 : config.shards.count,
    durationMs: config.shards.durationSeconds * 1000,
    ...{ clock, random, timers: systemTimers },
    log: log.child({ part: 'shards' }),
  });
  let isClosing = false;
  const health = (): PartHealth => {
    const { held, replicas, problems } = shards.status();
    return {
      ok: problems.length === 0,
      detail: problems[0] ?? `acts for ${held.length} shards, one of ${replicas} gateways`,
    };
  };
  return {
    ownership: ownershipBy(shards, clock),
    held: (tell) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (shards.status().held.length > 0) resolve();
          else tell({ ok: false, detail: health().ok ? 'another gateway is active' : health().detail });
        };
        shards.onChange(look);
        look();
      }),
    lost: () =>
      new Promise((_resolve, reject) =>
        shards.onChange(() => {
          if (isClosing || shards.status().held.length > 0) return;
          reject(new SurfacedError('E_SHARD_LOST', `this gateway may not act any more: ${health().detail}`));
        }),
      ),
    onChange: (listener) => shards.onChange(listener),
    health,
    close: () => {
      isClosing = true;
      return shards.close();
    },
  };
}

/** What Leases mean for commands. */
export function ownershipBy(
  shards: Pick<Shards, 'isMine' | 'mayActUntil' | 'heldSince'>,
  clock: Clock,
): Ownership {
  return {
    isMine: (surface) => shards.isMine(surface),
    mayActUntil: (surface) => shards.mayActUntil(surface),
    heldSince: (surface) => shards.heldSince(surface)?.at ?? 0,
    fencedUntil: (surface) => {
      const since = shards.heldSince(surface);
      // So long after it whatever was asked for before is late; a clock set back must not prolong that.
      if (since === null || clock.monotonic() > since.at + maxTtlMs + 2 * allowedAheadMs) return 0;
      // The clocks of surfaces follow the gateway before, which may have been ahead by as much.
      return since.wall + allowedAheadMs;
    },
  };
}
