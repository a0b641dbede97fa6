/** A cluster of one process: objects with a number, controllers that a test moves by hand, failures on demand. */

import { targetKey } from '../../../daemon/bridge/gateway/slots.ts';
import type { Timers } from '../../../daemon/bridge/gateway/timers.ts';
import { noSettings } from '../../../daemon/bridge/kube/settings.ts';
import {
  type Actor,
  type Autoscaler,
  type Cluster,
  KubeError,
  type Numbered,
  type PodState,
  type Scale,
  type Settings,
  type TargetProblem,
  type TargetSnapshot,
  type TargetState,
  type TargetWatch,
  type WarningEvent,
} from '../../../daemon/bridge/kube/types.ts';
import type { TargetRef } from '../../../daemon/config/schema.ts';

export interface FakeObject {
  uid: string;
  version: number;
  generation: number;
  observedGeneration: number;
  desired: number;
  observed: number;
  ready: number;
  isPaused: boolean;
  isDeleting: boolean;
  conditions: TargetState['conditions'];
  replicasManager: TargetState['replicasManager'];
  gitops: TargetState['gitops'];
  deletesClaims: boolean;
  settings: Settings;
  autoscaler: Autoscaler | null;
  pods: PodState[] | null;
  problem: TargetProblem | null;
  isGone: boolean;
}

/** What the next call does instead of its work. */
export interface Failure {
  readonly error: KubeError;
  /** A PUT that fails for the caller but was carried out. */
  readonly isCarriedOut?: boolean;
  /** Answers only after so long, or when given up. */
  readonly delayMs?: number;
}

export interface Call {
  readonly verb: 'get' | 'put' | 'dry-run';
  readonly key: string;
  readonly actor: Actor;
  readonly want: number | null;
  /** What was there when the number was written; null when it was not. */
  replaced: number | null;
  readonly at: number;
}

export const apiError = (
  status: number,
  reason: string,
  { message = reason, isUncertain = false, retryAfterMs = null as number | null } = {},
): KubeError => new KubeError(message, { status, reason, retryAfterMs, isUncertain });

export class FakeCluster implements Cluster {
  readonly calls: Call[] = [];
  readonly failures: { get: Failure[]; put: Failure[] } = { get: [], put: [] };
  readonly events: WarningEvent[] = [];
  /** Runs before each call, to change something in between. */
  before: (verb: Call['verb']) => void = () => {};
  /** Answers after so long. */
  delayMs = 0;
  openWatches = 0;
  eventsAsked = 0;
  readonly #time: Timers & { now(): number };
  readonly #objects = new Map<string, FakeObject>();
  readonly #watchers = new Set<{ key: string; onChange: () => void }>();
  #health = { isHealthy: true, detail: 'ready' };
  #onHealth: () => void = () => {};

  constructor(time: Timers & { now(): number }) {
    this.#time = time;
  }

  add(ref: TargetRef, { desired }: { desired: number }): FakeObject {
    const object: FakeObject = {
      uid: `uid-${this.#objects.size + 1}`,
      version: 100,
      generation: 1,
      observedGeneration: 1,
      desired,
      observed: desired,
      ready: desired,
      isPaused: false,
      isDeleting: false,
      conditions: [],
      replicasManager: null,
      gitops: null,
      deletesClaims: false,
      settings: noSettings,
      autoscaler: null,
      pods: null,
      problem: null,
      isGone: false,
    };
    this.#objects.set(targetKey(ref), object);
    return object;
  }

  object(ref: TargetRef): FakeObject {
    const object = this.#objects.get(targetKey(ref));
    if (!object) throw new Error(`no ${targetKey(ref)}`);
    return object;
  }

  /** Changes an object and tells the watchers. */
  change(ref: TargetRef, change: Partial<FakeObject>): void {
    const object = this.object(ref);
    Object.assign(object, change);
    object.version++;
    if (change.desired !== undefined) object.generation++;
    this.#tell(targetKey(ref));
  }

  /** Controllers do their work at once: as many Pods as wanted, all ready. */
  converge(ref: TargetRef): void {
    const { desired, generation } = this.object(ref);
    this.change(ref, { observed: desired, ready: desired, observedGeneration: generation });
  }

  setHealth(isHealthy: boolean, detail: string): void {
    this.#health = { isHealthy, detail };
    this.#onHealth();
  }

  health(): { isHealthy: boolean; detail: string } {
    return this.#health;
  }

  onHealth(listener: () => void): void {
    this.#onHealth = listener;
  }

  watchTarget(ref: TargetRef, onChange: () => void): TargetWatch {
    const watcher = { key: targetKey(ref), onChange };
    this.#watchers.add(watcher);
    this.openWatches++;
    return {
      snapshot: () => this.#snapshot(ref),
      close: () => {
        if (this.#watchers.delete(watcher)) this.openWatches--;
      },
    };
  }

  async getScale(ref: TargetRef, actor: Actor, signal: AbortSignal): Promise<Scale> {
    this.before('get');
    this.#note('get', ref, actor, null);
    await this.#maybeFail(this.failures.get.shift(), signal, 'get');
    return this.#scaleOf(ref);
  }

  async putScale(
    ref: TargetRef,
    scale: Numbered,
    replicas: number,
    actor: Actor,
    { isDryRun }: { isDryRun: boolean },
    signal: AbortSignal,
  ): Promise<Scale> {
    const verb = isDryRun ? 'dry-run' : 'put';
    this.before(verb);
    const call = this.#note(verb, ref, actor, replicas);
    const failure = this.failures.put.shift();
    if (failure && !failure.isCarriedOut) await this.#maybeFail(failure, signal, 'put');
    const object = this.#existing(ref);
    if (String(object.version) !== scale.resourceVersion)
      throw apiError(409, 'Conflict', { message: 'the object has been modified' });
    if (isDryRun) return { ...this.#scaleOf(ref), replicas };
    call.replaced = object.desired;
    if (object.desired !== replicas)
      this.change(ref, { desired: replicas, replicasManager: managedBy('surfaced') });
    const answer = this.#scaleOf(ref);
    await this.#maybeFail(failure, signal, 'put');
    return answer;
  }

  async getObject(): Promise<never> {
    throw apiError(501, 'NotImplemented', { message: 'the simulated cluster has objects' });
  }

  async patchObject(): Promise<never> {
    throw apiError(501, 'NotImplemented', { message: 'the simulated cluster has objects' });
  }

  async evict(): Promise<void> {
    throw apiError(501, 'NotImplemented', { message: 'the simulated cluster has Nodes' });
  }

  async warnings(): Promise<readonly WarningEvent[]> {
    this.eventsAsked++;
    return this.events;
  }

  async replicasManager(ref: TargetRef): Promise<TargetState['replicasManager']> {
    return this.object(ref).replicasManager;
  }

  async close(): Promise<void> {}

  #note(verb: Call['verb'], ref: TargetRef, actor: Actor, want: number | null): Call {
    const call: Call = { verb, key: targetKey(ref), actor, want, replaced: null, at: this.#time.now() };
    this.calls.push(call);
    return call;
  }

  /** Takes the time that the call takes; a call that is given up is uncertain when it was a PUT. */
  async #maybeFail(failure: Failure | undefined, signal: AbortSignal, verb: 'get' | 'put'): Promise<void> {
    const delayMs = failure?.delayMs ?? this.delayMs;
    if (delayMs > 0) {
      await new Promise<void>((resolve, reject) => {
        const cancel = this.#time.after(delayMs, resolve);
        signal.addEventListener('abort', () => {
          cancel();
          reject(apiError(0, 'Timeout', { isUncertain: verb === 'put' }));
        });
      });
    }
    if (failure) throw failure.error;
  }

  #existing(ref: TargetRef): FakeObject {
    const object = this.#objects.get(targetKey(ref));
    if (!object || object.isGone)
      throw apiError(404, 'NotFound', { message: `deployments.apps "${ref.name}" not found` });
    return object;
  }

  #scaleOf(ref: TargetRef): Scale {
    const { uid, version, desired, observed } = this.#existing(ref);
    return { uid, resourceVersion: String(version), replicas: desired, observed, selector: 'app=x' };
  }

  #snapshot(ref: TargetRef): TargetSnapshot {
    const object = this.#objects.get(targetKey(ref));
    if (!object || object.isGone)
      return {
        target: null,
        pods: [],
        autoscaler: null,
        problem: { state: 'missing', reason: 'NotFound', message: `${ref.kind} ${ref.name} does not exist` },
      };
    const { version, autoscaler, pods, problem, ...state } = object;
    const target = { ...state, resourceVersion: String(version) };
    return { target, pods: pods ?? podsOf(object.observed, object.ready), autoscaler, problem };
  }

  #tell(key: string): void {
    for (const watcher of [...this.#watchers]) if (watcher.key === key) watcher.onChange();
  }
}

export const managedBy = (
  name: string,
  subresource = 'scale',
): NonNullable<TargetState['replicasManager']> => ({
  name,
  subresource,
  at: 0,
});

export const podOf = (index: number, light: PodState['light'], reason = '', message = ''): PodState => ({
  uid: `pod-${index}`,
  name: `cart-59dc874c9b-${index}`,
  key: String(index),
  light,
  reason,
  message,
  createdAt: 1000 + index,
});

function podsOf(observed: number, ready: number): PodState[] {
  return Array.from({ length: observed }, (_, index) => podOf(index, index < ready ? 'ready' : 'pending'));
}

export const autoscaled = (
  name: string,
  min: number,
  max: number,
  kind: 'HorizontalPodAutoscaler' | 'ScaledObject' = 'HorizontalPodAutoscaler',
): Autoscaler => ({
  apiVersion: kind === 'ScaledObject' ? 'keda.sh/v1alpha1' : 'autoscaling/v2',
  ...{ kind, name, min, max },
  uid: `uid-${name}`,
  resourceVersion: '1',
});
