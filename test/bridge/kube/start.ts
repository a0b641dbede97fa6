/** A replay server and a cluster connected to it, for the tests of this folder. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { connectCluster } from '../../../daemon/bridge/kube/cluster.ts';
import type { Tuning } from '../../../daemon/bridge/kube/tuning.ts';
import {
  type Cluster,
  KubeError,
  type TargetRef,
  type TargetSnapshot,
  type TargetWatch,
} from '../../../daemon/bridge/kube/types.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { type Log, silentLog } from '../../../daemon/log.ts';
import { loadRecording, type Recording } from '../../../hil/sim/replay/recording.ts';
import { type Replay, startReplay } from '../../../hil/sim/replay/replay.ts';

/** Milliseconds where the gateway has seconds. */
export const quick: Partial<Tuning> = {
  readBackoffMs: 5,
  probeMs: 40,
  // Long enough for a busy machine: tests of silence have a shorter one.
  probeDeadlineMs: 20_000,
  probeConfirmMs: 10,
  probeBackoffMaxMs: 40,
  discoveryMissMs: 50,
  watchGapMs: 5,
  backoffMs: 5,
  backoffMaxMs: 40,
  refusedMs: 20,
  optionalMs: 50,
  resumeSpreadMs: 5,
};

export function recording(name: string): Promise<Recording> {
  return loadRecording(new URL(`../../fixtures/kube/${name}.json`, import.meta.url).pathname);
}

export interface Started {
  readonly replay: Replay;
  readonly cluster: Cluster;
  readonly folder: string;
  readonly kubeconfig: string;
}

/** Starts both; the test's end stops them. Discovery is always recorded. */
export async function start(
  t: Test,
  names: readonly string[],
  change: {
    readonly tuning?: Partial<Tuning>;
    readonly speed?: number;
    readonly user?: (folder: string) => Record<string, unknown>;
    readonly log?: Log;
    readonly prepare?: (replay: Replay, folder: string) => void | Promise<void>;
  } = {},
): Promise<Started> {
  const recordings = await Promise.all(['01-discovery', ...names].map(recording));
  const replay = await startReplay({ recordings, speed: change.speed ?? Number.POSITIVE_INFINITY });
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-kube-'));
  t.teardown(async () => {
    await replay.stop();
    await rm(folder, { recursive: true });
  });
  await change.prepare?.(replay, folder);
  const kubeconfig = path.join(folder, 'kubeconfig');
  await writeFile(kubeconfig, replay.kubeconfig(change.user?.(folder)));
  const cluster = await connectCluster({
    config: { kubeconfig, userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' },
    log: change.log ?? silentLog,
    clock: systemClock,
    random: Math.random,
    fieldManager: 'surfaced',
    tuning: { ...quick, ...change.tuning },
  });
  t.teardown(() => cluster.close());
  return { replay, cluster, folder, kubeconfig };
}

export function deployment(name: string, namespace = 'shop'): TargetRef {
  return { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name };
}

/** Watches a target; `until` resolves with the first snapshot that satisfies the condition. */
export function follow(
  t: Test,
  cluster: Cluster,
  ref: TargetRef,
): TargetWatch & { until(condition: (snapshot: TargetSnapshot) => boolean): Promise<TargetSnapshot> } {
  const waiting = new Set<() => void>();
  const watch = cluster.watchTarget(
    ref,
    () => {
      for (const check of [...waiting]) check();
    },
    'pods',
  );
  t.teardown(() => watch.close());
  return {
    snapshot: () => watch.snapshot(),
    close: () => watch.close(),
    until: (condition) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!condition(watch.snapshot())) return;
          waiting.delete(check);
          resolve(watch.snapshot());
        };
        waiting.add(check);
        check();
      }),
  };
}

/** A signal that never fires. */
export const never = new AbortController().signal;

export const deskActor = {
  user: 'surfaced:surface:desk',
  groups: ['surfaced:surfaces'],
  extra: { 'surfaced.dev/surface': 'desk' },
};

/** Resolves when the cluster is seen as healthy or not. */
export function healthIs(cluster: Cluster, isHealthy: boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (cluster.health().isHealthy === isHealthy) resolve();
    };
    cluster.onHealth(check);
    check();
  });
}

/** The error of a refused call. */
export async function refusedBy(work: Promise<unknown>): Promise<KubeError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KubeError) return error;
    throw error;
  }
  throw new Error('not refused');
}
