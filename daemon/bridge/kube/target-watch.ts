/** One target as it is now: its object, its Pods and its autoscaler, from reflectors that others may share. */

import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import {
  type AutoscalerRecord,
  autoscalerOf,
  parseHorizontalPodAutoscaler,
  parseScaledObject,
} from './autoscalers.ts';
import { claimsOf, parseClaim } from './claims.ts';
import { collectionPath, type Discovery, type ResourceInfo } from './discovery.ts';
import type { HealthState } from './health.ts';
import { type KindTraits, traitsOf } from './kinds.ts';
import { jittered, Pause } from './pause.ts';
import { parseNodePod, parsePod } from './pods.ts';
import type { Collection, Reflector } from './reflector.ts';
import { nameOf, resolve, type Scales } from './scales.ts';
import { hasKnownPaths, parseTarget, type TargetRecord } from './targets.ts';
import type { Tuning } from './tuning.ts';
import {
  type ClaimState,
  KubeError,
  type PodState,
  type Scale,
  type TargetProblem,
  type TargetRef,
  type TargetSnapshot,
  type TargetState,
} from './types.ts';

/** A shared reflector and how to give it back. */
export interface Lease<Item> {
  readonly reflector: Reflector<Item>;
  release(): void;
}

export interface TargetParts {
  readonly discovery: Discovery;
  readonly scales: Scales;
  readonly tuning: Tuning;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  health(): HealthState;
  /** `onChange` is called until the lease is released. */
  lease<Item>(collection: Collection<Item>, onChange: () => void): Lease<Item>;
}

/** The problem that a failed request means for a target. */
function problemOf(error: KubeError): TargetProblem {
  const { status, reason, message } = error;
  if (status === 401 || status === 403) return { state: 'denied', reason, message };
  if (status === 404) return { state: 'missing', reason, message };
  return { state: 'unreachable', reason, message };
}

/** Not there or not allowed: as good as an answer where something is only watched if it can be. */
const isRefusal = (failure: KubeError | null): boolean => failure?.status === 403 || failure?.status === 404;

function asKubeError(error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  const fields = { status: 0, reason: 'Unreachable', retryAfterMs: null, isUncertain: false };
  return new KubeError(error instanceof Error ? error.message : String(error), fields, { cause: error });
}

/** Everything about one target, for as long as somebody looks at it. */
export class TargetMirror {
  readonly #ref: TargetRef;
  readonly #parts: TargetParts;
  readonly #listeners = new Set<() => void>();
  readonly #controller = new AbortController();
  readonly #done: Promise<void>;
  readonly #pause = new Pause();
  readonly #show: 'pods' | 'claims';
  readonly #traits: KindTraits;
  /** Its object alone tells its numbers. */
  readonly #isKnown: boolean;
  #object: Lease<TargetRecord> | null = null;
  #pods: Lease<PodState> | null = null;
  #podsSelector = '';
  #claims: Lease<ClaimState> | null = null;
  readonly #autoscalers: Lease<AutoscalerRecord>[] = [];
  /** Discovery was asked for all kinds of autoscalers, with or without success. */
  #hasLookedForAutoscalers = false;
  readonly #autoscalerPause = new Pause();
  /** Of kinds without known paths. */
  /** A scale with the record that was there when it was asked for: numbers of one time, not of two. */
  #scaled: { readonly record: TargetRecord; readonly scale: Scale } | null = null;
  #scaleOf = '';
  /** Why the kind or the scale cannot be found. */
  #failure: KubeError | null = null;
  #snapshot: TargetSnapshot | null = null;

  constructor(ref: TargetRef, show: 'pods' | 'claims', parts: TargetParts) {
    this.#show = show;
    this.#ref = ref;
    this.#parts = parts;
    this.#traits = traitsOf(ref);
    this.#isKnown = !this.#traits.hasScale || hasKnownPaths(ref.apiVersion, ref.kind);
    this.#done = this.#run(this.#controller.signal);
  }

  /** What is known now; the same object until something changes. */
  get snapshot(): TargetSnapshot {
    this.#snapshot ??= this.#compose();
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something changed, here or in the health of the API server. */
  readonly changed = (): void => {
    this.#snapshot = null;
    this.#followPods();
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#parts.log.error({ err: error }, 'target listener failed');
      }
    }
  };

  /** Tries again at once what waits after a failure. */
  resume(): void {
    this.#pause.wake();
    this.#autoscalerPause.wake();
  }

  async stop(): Promise<void> {
    this.#listeners.clear();
    this.#controller.abort(new Error('closed'));
    await this.#done;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let finding: Promise<void> | null = null;
    try {
      const info = await this.#find(signal);
      if (info === null) return;
      this.#object = this.#parts.lease(this.#objects(info), this.#objectChanged);
      if (this.#traits.hasScale) finding = this.#findAutoscalers(signal);
      else this.#hasLookedForAutoscalers = true;
      this.#objectChanged();
      if (!this.#isKnown) await this.#followScale(signal);
      else await new Promise<void>((resolve) => onceAborted(signal, resolve));
    } finally {
      await finding;
      for (const lease of [this.#object, this.#pods, this.#claims, ...this.#autoscalers]) lease?.release();
    }
  }

  /** Asks discovery until it knows the kind: its definition may be installed later. */
  async #find(signal: AbortSignal): Promise<ResourceInfo | null> {
    const { discovery, tuning, random } = this.#parts;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const info = await resolve(discovery, this.#ref, this.#traits.hasScale, signal);
        this.#fail(null);
        return info;
      } catch (error) {
        if (signal.aborted) break;
        const failure = asKubeError(error);
        this.#fail(failure);
        const backoffMs = Math.min(tuning.backoffMs * 2 ** failures, tuning.backoffMaxMs);
        await this.#pause.wait(
          jittered(failure.status === 404 ? tuning.discoveryMissMs * 2 : backoffMs, random),
          signal,
        );
      }
    }
    return null;
  }

  /** Only this object: a list of the whole collection would need rights that a gateway should not have. */
  #objects(info: ResourceInfo): Collection<TargetRecord> {
    return {
      path: collectionPath(info, this.#ref.namespace),
      selector: { fieldSelector: `metadata.name=${this.#ref.name}` },
      isOptional: false,
      parse: (object, previous) =>
        parseTarget(object, this.#isKnown && this.#traits.hasScale, previous, this.#parts.clock.now()),
    };
  }

  #leaseAutoscalers(path: string, parse: Collection<AutoscalerRecord>['parse']): Lease<AutoscalerRecord> {
    return this.#parts.lease<AutoscalerRecord>({ path, selector: {}, isOptional: true, parse }, this.changed);
  }

  /** HorizontalPodAutoscalers are part of every cluster; for KEDA discovery is asked until it answers. */
  async #findAutoscalers(signal: AbortSignal): Promise<void> {
    const { log, tuning, random } = this.#parts;
    const namespace = encodeURIComponent(this.#ref.namespace);
    const path = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`;
    this.#autoscalers.push(this.#leaseAutoscalers(path, parseHorizontalPodAutoscaler));
    for (let failures = 0; ; failures++) {
      const failure = await this.#findKeda(signal).catch(asKubeError);
      if (signal.aborted) return;
      this.#hasLookedForAutoscalers = true;
      this.changed();
      if (!failure) return;
      log.debug({ err: failure }, 'KEDA cannot be looked for');
      const backoffMs = Math.min(tuning.backoffMs * 2 ** failures, tuning.backoffMaxMs);
      await this.#autoscalerPause.wait(jittered(backoffMs, random), signal);
    }
  }

  async #findKeda(signal: AbortSignal): Promise<void> {
    const keda = await this.#parts.discovery.find('keda.sh/v1alpha1', 'ScaledObject', signal);
    if (keda === null) return;
    // First: KEDA makes a HorizontalPodAutoscaler of its own, and its owner is what must be named.
    const path = collectionPath(keda, this.#ref.namespace);
    this.#autoscalers.unshift(this.#leaseAutoscalers(path, parseScaledObject));
  }

  #record(): TargetRecord | null {
    const [record] = this.#object?.reflector.items.values() ?? [];
    return record ?? null;
  }

  readonly #objectChanged = (): void => {
    const version = this.#record()?.state.resourceVersion ?? '';
    if (!this.#isKnown && version !== this.#scaleOf) this.#pause.wake();
    this.changed();
  };

  /** Keeps the Pods' reflector on the selector of the target; none without a selector, never all Pods. */
  #followPods(): void {
    const selector = this.#selectorOfPods();
    if (selector === this.#podsSelector || this.#controller.signal.aborted) return;
    this.#podsSelector = selector;
    this.#pods?.release();
    this.#claims?.release();
    this.#pods = null;
    this.#claims = null;
    if (selector === '') return;
    const { lease, clock } = this.#parts;
    if (this.#show === 'claims') this.#followClaims(selector);
    const isNode = this.#traits.pods === 'node';
    const parse = isNode ? parseNodePod : parsePod;
    this.#pods = lease<PodState>(
      {
        path: isNode ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(this.#ref.namespace)}/pods`,
        selector: isNode ? { fieldSelector: selector } : { labelSelector: selector },
        isOptional: false,
        parse: (pod, previous) => parse(pod, previous, clock.now()),
      },
      this.changed,
    );
  }

  /** Claims of a StatefulSet carry the labels of its selector. */
  #followClaims(selector: string): void {
    const path = `/api/v1/namespaces/${encodeURIComponent(this.#ref.namespace)}/persistentvolumeclaims`;
    const collection = { path, selector: { labelSelector: selector }, isOptional: false, parse: parseClaim };
    this.#claims = this.#parts.lease<ClaimState>(collection, this.changed);
  }

  #selectorOfPods(): string {
    const record = this.#record();
    if (record === null || this.#traits.pods === 'none') return '';
    if (this.#traits.pods === 'node') return `spec.nodeName=${this.#ref.name}`;
    return this.#isKnown ? record.selector : (this.#scaled?.scale.selector ?? '');
  }

  /** Reads the scale after each change of the object: where its numbers are in the object is not known. */
  async #followScale(signal: AbortSignal): Promise<void> {
    const { scales, tuning, random } = this.#parts;
    let failures = 0;
    while (!signal.aborted) {
      const record = this.#record();
      const version = record?.state.resourceVersion ?? '';
      if (version === this.#scaleOf) {
        await this.#pause.wait(tuning.backoffMaxMs, signal);
        continue;
      }
      try {
        const scale = record === null ? null : await scales.get(this.#ref, null, signal);
        failures = 0;
        this.#scaleOf = version;
        this.#scaled = record === null || scale === null ? null : { record, scale };
        this.#fail(null);
        this.changed();
      } catch (error) {
        if (signal.aborted) return;
        this.#fail(asKubeError(error));
        await this.#pause.wait(
          jittered(Math.min(tuning.backoffMs * 2 ** failures++, tuning.backoffMaxMs), random),
          signal,
        );
      }
    }
  }

  /** Why autoscalers are not known although they may be seen; the guard of a number depends on them. */
  #autoscalerFailure(): KubeError | null {
    for (const { reflector } of this.#autoscalers)
      if (!reflector.isSynced && reflector.failure && !isRefusal(reflector.failure)) return reflector.failure;
    return null;
  }

  #areAutoscalersKnown(): boolean {
    return (
      this.#hasLookedForAutoscalers &&
      this.#autoscalers.every(({ reflector }) => reflector.isSynced || isRefusal(reflector.failure))
    );
  }

  #fail(failure: KubeError | null): void {
    if (this.#failure?.message === failure?.message) return;
    this.#failure = failure;
    if (failure !== null) this.changed();
  }

  #problem(): TargetProblem | null {
    const failure =
      this.#object?.reflector.failure ??
      this.#failure ??
      this.#pods?.reflector.failure ??
      this.#claims?.reflector.failure ??
      this.#autoscalerFailure();
    const health = this.#parts.health();
    if (failure && failure.status !== 0) return problemOf(failure);
    if (!health.isHealthy) return { state: 'unreachable', reason: 'Unreachable', message: health.detail };
    if (failure) return problemOf(failure);
    // It answers again, but what was missed meanwhile has not come yet: a number of before is none of now.
    if (this.#object?.reflector.isBehind || this.#pods?.reflector.isBehind)
      return {
        state: 'unreachable',
        reason: 'CatchingUp',
        message: 'The API server is back; what changed is being read.',
      };
    if (this.#object?.reflector.isSynced && this.#record() === null)
      return { state: 'missing', reason: 'NotFound', message: `${nameOf(this.#ref)} does not exist` };
    return null;
  }

  #state(pods: readonly PodState[]): TargetState | null {
    const record = this.#record();
    if (record === null || this.#isKnown) return record?.state ?? null;
    // Until the scale has been read again after a change, what was before the change is shown as a whole.
    const scaled = this.#scaled;
    if (scaled === null || scaled.record.state.uid !== record.state.uid) return null;
    const { state, hasReady } = scaled.record;
    const { replicas: desired, observed, selector } = scaled.scale;
    const readyPods = pods.filter((pod) => pod.light === 'ready').length;
    // Without a selector its Pods, if it has any, cannot be known: what its scale counts is all there is.
    const ready = hasReady ? state.ready : selector === '' ? observed : readyPods;
    return { ...state, desired, observed, ready };
  }

  #compose(): TargetSnapshot {
    const pods = [...(this.#pods?.reflector.items.values() ?? [])];
    const autoscalers = this.#autoscalers.flatMap((lease) => [...lease.reflector.items.values()]);
    // Without its scale the desired number of such a kind is unknown, and 0 would be a lie. Nor is a number told
    // before it is known who else decides about it: whoever acted on it would not be warned.
    // A Node or a Job whose Pods were not listed is not an empty one: nobody would be asked before they end.
    const { pods: whose } = this.#traits;
    const arePodsKnown =
      (whose !== 'node' && whose !== 'selector') || this.#pods?.reflector.isSynced === true;
    const state = arePodsKnown && this.#areAutoscalersKnown() ? this.#state(pods) : null;
    return {
      target: state,
      pods,
      ...(this.#claims && { claims: claimsOf(this.#ref.name, this.#claims.reflector.items.values()) }),
      autoscaler: autoscalerOf(this.#ref, autoscalers),
      problem: this.#problem(),
    };
  }
}

function onceAborted(signal: AbortSignal, done: () => void): void {
  if (signal.aborted) done();
  else signal.addEventListener('abort', done, { once: true });
}
