/** The cluster as the gateway uses it: one connection to one API server, put together from the parts. */
import type { Clock } from '../../clock.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import { accessOver, type MirroringAccess } from './access.ts';
import { ApiClient } from './client.ts';
import { loadCredentials } from './credentials.ts';
import { Discovery } from './discovery.ts';
import { Health } from './health.ts';
import { Objects } from './objects.ts';
import type { KubeEvent, WatchStatus } from './observer.ts';
import { Limiter } from './pause.ts';
import { fields } from './read.ts';
import { type Collection, Reflector } from './reflector.ts';
import { objectPath, resolve, Scales } from './scales.ts';
import { Shared } from './shared.ts';
import { type Lease, TargetMirror } from './target-watch.ts';
import { replicasManagerOf } from './targets.ts';
import { defaultTuning, type Tuning } from './tuning.ts';
import type { Cluster, TargetRef, TargetWatch } from './types.ts';
import { readWarnings } from './warnings.ts';

export interface ClusterOptions {
  readonly config: GatewayConfig['cluster'];
  readonly log: Log;
  readonly clock: Clock;
  /** Uniform in 0..1, for jitter. */
  readonly random: () => number;
  /** Name that writes carry in managedFields. */
  readonly fieldManager: string;
  /** Shorter times for tests. */
  readonly tuning?: Partial<Tuning>;
  /** Left out: nobody watches. */
  readonly observe?: (event: KubeEvent) => void;
}

/** A cluster with what there is to see of its connection, and its API for parts that keep objects of their own in it. */
export interface ConnectedCluster extends Cluster {
  readonly access: MirroringAccess;
  watches(): WatchStatus;
}

/**
 * Loads the kubeconfig and keeps a connection from then on. Resolves when the API server was asked once,
 * whether it answered or not: see `health()`.
 * @throws SurfacedError E_KUBE_CONFIG when the kubeconfig cannot be used
 */
export async function connectCluster(options: ClusterOptions): Promise<ConnectedCluster> {
  const { config, log, clock, random, fieldManager } = options;
  const observe = options.observe ?? (() => {});
  const tuning: Tuning = { ...defaultTuning, ...options.tuning };
  const controller = new AbortController();
  const { signal } = controller;

  const credentials = await loadCredentials({ config, log, clock, tuning });
  const client = new ApiClient({ credentials, tuning, clock, random, observe });
  const health = new Health({ client, credentials, tuning, random, log });
  const discovery = new Discovery({ client, clock, tuning, signal });
  const scales = new Scales({ client, discovery, tuning, fieldManager });
  const objects = new Objects({ client, discovery, tuning, fieldManager });
  const limiter = new Limiter(tuning.parallelLists);
  const reflectors = new Shared<Reflector<unknown>>();
  const targets = new Shared<TargetMirror>();

  const lease = <Item>(collection: Collection<Item>, onChange: () => void): Lease<Item> => {
    const key = `${collection.path}?${new URLSearchParams(collection.selector)}`;
    const make = (): Reflector<Item> =>
      new Reflector({ client, limiter, tuning, clock, random, log, observe }, collection);
    // One path has one kind of record, so the type of the first user is that of all.
    const { value, release } = reflectors.take(key, make as () => Reflector<unknown>);
    const unsubscribe = value.subscribe(onChange);
    return {
      reflector: value as Reflector<Item>,
      release: () => {
        unsubscribe();
        release();
      },
    };
  };
  const keyOf = (ref: TargetRef): string =>
    JSON.stringify([ref.apiVersion, ref.kind, ref.namespace, ref.name]);
  const targetParts = {
    ...{ discovery, scales, tuning, clock, random, log, lease },
    health: () => health.state,
  };

  client.onNoAnswer = () => health.hint();
  await health.first(signal);
  let awaySince: number | null = health.state.isHealthy ? null : clock.monotonic();
  health.onChange(() => {
    if (!health.state.isHealthy) awaySince ??= clock.monotonic();
    else if (awaySince !== null) {
      for (const reflector of reflectors.values) reflector.resume(awaySince);
      for (const target of targets.values) target.resume();
      awaySince = null;
    }
    for (const target of targets.values) target.changed();
  });
  const probing = health.run(signal);

  return {
    access: { ...accessOver({ client, tuning, fieldManager }), mirror: lease },
    health: () => health.state,
    watches: () => ({
      count: reflectors.values.length,
      // A refused collection is told elsewhere: it is asked for again only now and then.
      oldestHeardMs: Math.max(
        0,
        ...reflectors.values.filter(({ isSynced }) => isSynced).map(({ silentMs }) => silentMs),
      ),
    }),
    onHealth: (listener) => health.onChange(listener),
    watchTarget(ref, onChange, show): TargetWatch {
      signal.throwIfAborted();
      const { value: mirror, release } = targets.take(
        `${keyOf(ref)}${show}`,
        () => new TargetMirror(ref, show, targetParts),
      );
      const unsubscribe = mirror.subscribe(() => onChange());
      return {
        snapshot: () => mirror.snapshot,
        close: () => {
          unsubscribe();
          release();
        },
      };
    },
    getScale: (ref, actor, callerSignal) => scales.get(ref, actor, callerSignal),
    putScale: (ref, scale, replicas, actor, how, callerSignal) =>
      scales.put(ref, scale, replicas, actor, how, callerSignal),
    getObject: (ref, actor, callerSignal) => objects.get(ref, actor, callerSignal),
    patchObject: (ref, read, patch, actor, how, callerSignal) =>
      objects.patch(ref, read, patch, actor, how, callerSignal),
    evict: (pod, actor, callerSignal) => objects.evict(pod, actor, callerSignal),
    async warnings(ref, callerSignal) {
      const pods =
        (targets.peek(`${keyOf(ref)}pods`) ?? targets.peek(`${keyOf(ref)}claims`))?.snapshot.pods ?? [];
      return readWarnings(client, ref, new Set(pods.map((pod) => pod.name)), callerSignal);
    },
    async replicasManager(ref, callerSignal) {
      const info = await resolve(discovery, ref, false, callerSignal);
      const object = fields(await client.get(objectPath(info, ref), callerSignal));
      return replicasManagerOf(fields(object.metadata), undefined, 0);
    },
    async close() {
      controller.abort(new Error('closed'));
      await Promise.all([targets.stop(), reflectors.stop(), probing]);
      await credentials.close();
    },
  };
}
