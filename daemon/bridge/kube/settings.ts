/** What can be set of an object beside its replicas: how it is read from it, and the merge patches that write it. */
import { count, type Fields, fields, text } from './read.ts';
import type { Settings } from './types.ts';

/** `kubectl rollout restart` writes this into the template, and the change of it makes new Pods. */
const restartAnnotation = 'kubectl.kubernetes.io/restartedAt';
/** KEDA, "Pause autoscaling": as long as it is there and not `false`. */
const kedaPause = 'autoscaling.keda.sh/paused';
/** KEDA's other way to pause, at a number. */
const kedaPauseAt = 'autoscaling.keda.sh/paused-replicas';
/** That a surface has asked for a drain of this Node; the number of the verb, for whoever looks at it. */
const drainAnnotation = 'surfaced.dev/drain';

/** Settings of an object of any kind. */
export function settingsOf(object: Fields): Settings {
  const spec = fields(object.spec);
  const status = fields(object.status);
  const annotations = fields(fields(object.metadata).annotations);
  const template = fields(fields(spec.template).metadata);
  const isAutoscaler = typeof spec.scaleTargetRef === 'object' && spec.scaleTargetRef !== null;
  const isHorizontal = isAutoscaler && typeof spec.maxReplicas === 'number';
  const isKedaPaused =
    annotations[kedaPauseAt] !== undefined ||
    (annotations[kedaPause] !== undefined && annotations[kedaPause] !== 'false');
  const isCordoned = spec.unschedulable === true;
  return {
    // Left out they are 1 (autoscaling/v2), and 0 and 100 (KEDA, ScaledObject specification).
    floor: isHorizontal ? count(spec.minReplicas, 1) : isAutoscaler ? count(spec.minReplicaCount, 0) : null,
    ceiling: isHorizontal ? count(spec.maxReplicas) : isAutoscaler ? count(spec.maxReplicaCount, 100) : null,
    counted: isHorizontal ? count(status.currentReplicas) : null,
    isPaused: isAutoscaler ? isKedaPaused : spec.paused === true,
    isSuspended: spec.suspend === true,
    isCordoned,
    // Whoever makes the Node schedulable again ends the drain as well.
    isDraining: isCordoned && annotations[drainAnnotation] !== undefined,
    restartedAt: text(fields(template.annotations)[restartAnnotation], 64),
    updated: count(status.updatedNumberScheduled ?? status.updatedReplicas),
  };
}

/** Settings of what has none of them. */
export const noSettings: Settings = settingsOf({});

/** Merge patches (RFC 7386: null takes a field away), by what they set; each the least that does it. */
export const patches = {
  floor: (kind: string, value: number): Fields => ({
    spec: kind === 'ScaledObject' ? { minReplicaCount: value } : { minReplicas: value },
  }),
  ceiling: (kind: string, value: number): Fields => ({
    spec: kind === 'ScaledObject' ? { maxReplicaCount: value } : { maxReplicas: value },
  }),
  pause: (kind: string, isOn: boolean): Fields =>
    kind === 'ScaledObject'
      ? {
          metadata: {
            annotations: { [kedaPause]: isOn ? 'true' : null, ...(!isOn && { [kedaPauseAt]: null }) },
          },
        }
      : { spec: { paused: isOn ? true : null } },
  suspend: (isOn: boolean): Fields => ({ spec: { suspend: isOn } }),
  /** The mark of a drain goes with it: left behind, the next cordon would look like one. */
  cordon: (isOn: boolean): Fields => ({
    metadata: { annotations: { [drainAnnotation]: null } },
    spec: { unschedulable: isOn ? true : null },
  }),
  /** Beginning makes the Node unschedulable; ending leaves it so. */
  drain: (id: string | null): Fields => ({
    metadata: { annotations: { [drainAnnotation]: id } },
    ...(id !== null && { spec: { unschedulable: true } }),
  }),
  restart: (stamp: string): Fields => ({
    spec: { template: { metadata: { annotations: { [restartAnnotation]: stamp } } } },
  }),
} as const;
