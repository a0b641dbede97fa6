/**
 * What the gateway loop knows of Kubernetes. Everything here is slim on purpose: ten thousand watched Pods
 * must fit in a small gateway, so no API object is kept.
 */
import type { TargetRef } from '../../config/schema.ts';
import type { PodLight } from '../../surface/types.ts';
import type { Fields } from './read.ts';

export type { TargetRef };

/** Whose rights a request uses: the gateway's own (null) or a surface's, by impersonation. */
export interface Actor {
  readonly user: string;
  /** Sent as one header each; the API server reads a joined header as one group. */
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, string>>;
}

/** A number with the version of the object that it was read from, which fences the write that follows. */
export interface Numbered {
  readonly uid: string;
  /** Of the object, not of the number: it changes with every status update. */
  readonly resourceVersion: string;
  /** spec.replicas of a Scale, where an omitted field is 0 (it is `omitempty` in autoscaling/v1); else what a verb counts. */
  readonly replicas: number;
}

/** autoscaling/v1 Scale, as far as it is used. */
export interface Scale extends Numbered {
  /** status.replicas. */
  readonly observed: number;
  /** status.selector as the API gives it; empty when the kind has none. */
  readonly selector: string;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** What can be set of an object beside its replicas; what its kind does not have is null, false, 0 or empty. */
export interface Settings {
  /** Bounds of an autoscaler. */
  readonly floor: number | null;
  readonly ceiling: number | null;
  /** Replicas that an autoscaler says there are; null: it does not say. */
  readonly counted: number | null;
  readonly isPaused: boolean;
  readonly isSuspended: boolean;
  /** A Node takes no new Pods. */
  readonly isCordoned: boolean;
  /** A surface has asked for the Node to be drained, and nobody has taken it back. */
  readonly isDraining: boolean;
  /** The template's annotation of the last `rollout restart`. */
  readonly restartedAt: string;
  /** Pods that are of the newest template. */
  readonly updated: number;
}

/** What is kept of a target. */
export interface TargetState {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly observedGeneration: number;
  /** spec.replicas. */
  readonly desired: number;
  readonly observed: number;
  readonly ready: number;
  readonly isPaused: boolean;
  readonly isDeleting: boolean;
  readonly conditions: readonly Condition[];
  /** Field manager that owns spec.replicas and when it last wrote, from managedFields; null when unknown. */
  readonly replicasManager: {
    readonly name: string;
    readonly subresource: string;
    readonly at: number;
  } | null;
  /** Argo CD, Flux or another tool that tracks the object, from labels and annotations. */
  readonly gitops: { readonly tool: string; readonly name: string } | null;
  /** StatefulSet persistentVolumeClaimRetentionPolicy.whenScaled is Delete. */
  readonly deletesClaims: boolean;
  readonly settings: Settings;
}

/** What a drain has to know of a Pod. */
export interface EvictionFacts {
  readonly namespace: string;
  /** It stays: a DaemonSet would put it back at once, or the kubelet itself runs it (a mirror Pod). */
  readonly stays: boolean;
  /** It has run to its end, so that nothing is lost with it. */
  readonly isFinished: boolean;
  /** It has an emptyDir volume, whose data goes with it. */
  readonly hasLocalData: boolean;
  /** Something makes it anew elsewhere. */
  readonly hasController: boolean;
}

/** What is kept of a Pod. */
export interface PodState {
  readonly uid: string;
  readonly name: string;
  /** Ordinal of a StatefulSet Pod, else the last part of its name; at most 16 characters. */
  readonly key: string;
  readonly light: PodLight;
  /** Why it is not ready: `CrashLoopBackOff`, `ImagePullBackOff`, `Unschedulable`, ...; empty when ready. */
  readonly reason: string;
  readonly message: string;
  /** metadata.creationTimestamp, Unix milliseconds. */
  readonly createdAt: number;
  /** Only of the Pods on a Node. */
  readonly eviction?: EvictionFacts;
}

/** What is kept of a volume claim. */
export interface ClaimState {
  readonly name: string;
  readonly light: PodLight;
  /** metadata.creationTimestamp, Unix milliseconds. */
  readonly createdAt: number;
}

/** A HorizontalPodAutoscaler or KEDA ScaledObject that targets the object. */
export interface Autoscaler {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly min: number;
  readonly max: number;
}

/** Why a target cannot be shown. */
export interface TargetProblem {
  readonly state: 'missing' | 'denied' | 'unreachable';
  readonly reason: string;
  readonly message: string;
}

/** Everything known of one target now. */
export interface TargetSnapshot {
  readonly target: TargetState | null;
  readonly pods: readonly PodState[];
  /** Only where they are asked for; in their order. */
  readonly claims?: readonly ClaimState[];
  readonly autoscaler: Autoscaler | null;
  readonly problem: TargetProblem | null;
}

/** A warning event about the target, its ReplicaSets or its Pods, newest first. */
export interface WarningEvent {
  readonly reason: string;
  readonly message: string;
  readonly at: number;
  readonly object: string;
}

/** One watched target; several users of the same target share one watch underneath. */
export interface TargetWatch {
  snapshot(): TargetSnapshot;
  /** Ends this use; the watch itself ends with its last use. */
  close(): void;
}

/** The cluster, as the gateway loop uses it. Every call takes a signal and has a deadline of its own. */
export interface Cluster {
  /** Whether the API server answers; changes are announced to `onHealth`. */
  health(): { readonly isHealthy: boolean; readonly detail: string };
  onHealth(listener: () => void): void;
  /**
   * `onChange` is a hint to look at the snapshot again; it may be called often.
   * @param show what of the target is to be seen beside its state
   */
  watchTarget(ref: TargetRef, onChange: () => void, show: 'pods' | 'claims'): TargetWatch;
  /** @throws KubeError */
  getScale(ref: TargetRef, actor: Actor, signal: AbortSignal): Promise<Scale>;
  /** PUT with the resourceVersion of `scale`. @throws KubeError */
  putScale(
    ref: TargetRef,
    scale: Numbered,
    replicas: number,
    actor: Actor,
    options: { readonly isDryRun: boolean },
    signal: AbortSignal,
  ): Promise<Scale>;
  /** The whole object. @throws KubeError */
  getObject(ref: TargetRef, actor: Actor, signal: AbortSignal): Promise<Fields>;
  /** Merge patch that is refused with 409 unless the object is what `read` was read from. @throws KubeError */
  patchObject(
    ref: TargetRef,
    read: Numbered,
    patch: Fields,
    actor: Actor,
    options: { readonly isDryRun: boolean },
    signal: AbortSignal,
  ): Promise<Fields>;
  /** Asks for one Pod to go, as a budget of its application allows (policy/v1 Eviction). @throws KubeError */
  evict(
    pod: { readonly namespace: string; readonly name: string; readonly uid: string },
    actor: Actor,
    signal: AbortSignal,
  ): Promise<void>;
  /** Recent warnings about a target and what belongs to it, for naming a reason. @throws KubeError */
  warnings(ref: TargetRef, signal: AbortSignal): Promise<readonly WarningEvent[]>;
  /** Managed-fields owner of spec.replicas right now. @throws KubeError */
  replicasManager(ref: TargetRef, signal: AbortSignal): Promise<TargetState['replicasManager']>;
  close(): Promise<void>;
}

/** An answer of the API server that is not a success, or none at all. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Status.reason such as `Conflict`; `Timeout` or `Unreachable` when there was no answer. */
  readonly reason: string;
  /** From Retry-After or Status.details.retryAfterSeconds, milliseconds; null when not given. */
  readonly retryAfterMs: number | null;
  /** True when the request may have been carried out although no answer came. */
  readonly isUncertain: boolean;

  constructor(
    message: string,
    fields: { status: number; reason: string; retryAfterMs: number | null; isUncertain: boolean },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.status = fields.status;
    this.reason = fields.reason;
    this.retryAfterMs = fields.retryAfterMs;
    this.isUncertain = fields.isUncertain;
  }
}
