/** The strings that tests, demonstrations and drills pull. */
import type { Behaviour } from './controllers/behaviour.ts';
import { BEHAVIOUR } from './controllers/behaviour.ts';
import type { Faults, RequestLog } from './faults.ts';
import { numberAt, withAt } from './json.ts';
import { type KubeObject, timestamp } from './objects.ts';
import type { Identity } from './rbac.ts';
import type { Resource } from './resources.ts';
import type { Watches } from './watch.ts';
import { addAutoscaler, addWorkload, put, type SimWorkload, setQuota } from './workloads.ts';
import type { World } from './world.ts';
import { updateObject } from './writes.ts';

/** Names a workload. */
export interface WorkloadRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A Deployment, which most workloads are. */
export function deploymentRef(namespace: string, name: string): WorkloadRef {
  return { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name };
}

/** What can be done to the cluster from outside its API. */
export class SimControl {
  readonly requestLog: RequestLog;
  private readonly world: World;
  private readonly faults: Faults;
  private readonly watches: Watches;
  private readonly tokens: Map<string, Identity>;
  private readonly reverts = new Map<string, () => void>();
  private readonly connections: () => number;

  constructor(options: {
    world: World;
    faults: Faults;
    watches: Watches;
    requestLog: RequestLog;
    tokens: Map<string, Identity>;
    connections: () => number;
  }) {
    this.world = options.world;
    this.faults = options.faults;
    this.watches = options.watches;
    this.requestLog = options.requestLog;
    this.tokens = options.tokens;
    this.connections = options.connections;
  }

  addWorkload(workload: SimWorkload): void {
    addWorkload(this.world, workload);
  }

  /** New Pods cannot pull their image; those that run go on. */
  setImageBroken(ref: WorkloadRef, isBroken: boolean): void {
    this.setBehaviour(ref, isBroken ? 'pull-error' : 'normal');
  }

  /** Containers exit with an error again and again. */
  setCrashing(ref: WorkloadRef, isCrashing: boolean): void {
    this.setBehaviour(ref, isCrashing ? 'crash' : 'normal');
  }

  /** Readiness probes fail. */
  setNeverReady(ref: WorkloadRef, isNeverReady: boolean): void {
    this.setBehaviour(ref, isNeverReady ? 'never-ready' : 'normal');
  }

  /** Any behaviour, as the annotation `sim.surfaced.dev/behaviour` says it. */
  setBehaviour(ref: WorkloadRef, behaviour: Behaviour): void {
    const { resource, object } = this.find(ref);
    this.write(resource, object, withAt(object, ['metadata', 'annotations', BEHAVIOUR], behaviour), 'sim');
  }

  /** Pods that a namespace may hold; null lifts the limit. */
  setQuota(namespace: string, pods: number | null): void {
    setQuota(this.world, namespace, pods);
  }

  addHpa(ref: WorkloadRef, bounds: { readonly min: number; readonly max: number }): void {
    const { apiVersion, kind, name, namespace } = ref;
    addAutoscaler(this.world, namespace, name, { apiVersion, kind, name }, bounds);
  }

  /** A GitOps tool that sets the replicas back whenever they differ; null ends it. */
  revertBy(ref: WorkloadRef, manager: string, replicas: number | null): void {
    const { resource } = this.find(ref);
    const key = `${ref.kind} ${ref.namespace}/${ref.name}`;
    this.reverts.get(key)?.();
    this.reverts.delete(key);
    if (replicas === null) return;
    let isPending = false;
    const look = (): void => {
      const now = this.world.store.get(resource, ref.namespace, ref.name);
      if (now === null || isPending || numberAt(now, 'spec', 'replicas') === replicas) return;
      isPending = true;
      this.world.timers.after(this.world.random.jitter(this.world.timing.revertMs), () => {
        isPending = false;
        const object = this.world.store.get(resource, ref.namespace, ref.name);
        if (object === null || !this.reverts.has(key)) return;
        this.write(resource, object, withAt(object, ['spec', 'replicas'], replicas), manager);
      });
    };
    const off = this.world.store.on(resource, (event) => {
      if (event.object.metadata.name === ref.name && event.object.metadata.namespace === ref.namespace) {
        look();
      }
    });
    this.reverts.set(key, off);
    look();
  }

  /** Any write by another manager: replicas of a workload. */
  setReplicas(ref: WorkloadRef, manager: string, replicas: number): void {
    const { resource, object } = this.find(ref);
    this.write(resource, object, withAt(object, ['spec', 'replicas'], replicas), manager);
  }

  /** The next requests are answered with this status. */
  failNext(count: number, status: number, retryAfterSeconds: number | null): void {
    this.faults.failNext(count, status, retryAfterSeconds);
  }

  /** Requests of the next `ms` are answered only when that time is over. */
  hang(ms: number): void {
    this.faults.hang(ms);
  }

  /** Forgets history: old watches and continue tokens get 410. */
  compactHistory(): void {
    this.world.store.compact();
  }

  /** Breaks all watch connections; @returns how many. */
  cutWatches(): number {
    return this.watches.cut();
  }

  /** Watches stay open and say nothing more, or speak again. */
  silenceWatches(isSilent: boolean): void {
    this.watches.isSilent = isSilent;
  }

  openWatches(): number {
    return this.watches.count();
  }

  /** TLS connections accepted so far. */
  connectionCount(): number {
    return this.connections();
  }

  /** A user with a bearer token, whom Roles may allow things. */
  addToken(token: string, username: string, groups: readonly string[]): void {
    this.tokens.set(token, { username, groups: [...groups, 'system:authenticated'], extra: {} });
  }

  /** Writes the status of a custom resource, as its operator would. */
  setStatus(ref: WorkloadRef, status: Readonly<Record<string, unknown>>): void {
    const { resource, object } = this.find(ref);
    this.write(resource, object, withAt(object, ['status'], status), 'operator');
  }

  /** Creates any object of a known kind, as an administrator would with `kubectl create`. */
  create(object: { readonly apiVersion: string; readonly kind: string }): void {
    const resource = this.world.resources.findKind(object.apiVersion, object.kind);
    if (resource === null) throw new Error(`The simulated cluster has no kind ${object.kind}.`);
    put(this.world, resource, { ...object });
  }

  private find(ref: WorkloadRef): { resource: Resource; object: KubeObject } {
    const resource = this.world.resources.findKind(ref.apiVersion, ref.kind);
    const object = resource === null ? null : this.world.store.get(resource, ref.namespace, ref.name);
    if (resource === null || object === null) {
      throw new Error(`There is no ${ref.kind} ${ref.namespace}/${ref.name} in the simulated cluster.`);
    }
    return { resource, object };
  }

  private write(resource: Resource, before: KubeObject, after: KubeObject, manager: string): void {
    const time = timestamp(this.world.now());
    updateObject(this.world, resource, before, after, {
      manager,
      operation: 'Update',
      subresource: '',
      time,
    });
  }
}
