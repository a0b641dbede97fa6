/** HorizontalPodAutoscaler (autoscaling/v2) and KEDA ScaledObject (keda.sh/v1alpha1), as far as they are needed. */
import { groupOf } from '../../config/verbs.ts';
import { count, type Fields, fields, text } from './read.ts';
import type { Autoscaler, TargetRef } from './types.ts';

/** An autoscaler and what it scales. */
export interface AutoscalerRecord {
  readonly autoscaler: Autoscaler;
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

function named(object: Fields): Pick<Autoscaler, 'name' | 'uid' | 'resourceVersion'> {
  const { name, uid, resourceVersion } = fields(object.metadata);
  return { name: text(name), uid: text(uid, 64), resourceVersion: text(resourceVersion, 64) };
}

/** Record of a HorizontalPodAutoscaler; minReplicas is 1 when left out. */
export function parseHorizontalPodAutoscaler(object: Fields): AutoscalerRecord {
  const spec = fields(object.spec);
  const target = fields(spec.scaleTargetRef);
  return {
    autoscaler: {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      ...named(object),
      min: count(spec.minReplicas, 1),
      max: count(spec.maxReplicas),
    },
    group: groupOf(text(target.apiVersion)),
    kind: text(target.kind, 64),
    name: text(target.name),
  };
}

/** Record of a ScaledObject; KEDA's defaults are apps/v1 Deployment, 0 and 100 (KEDA, ScaledObject specification). */
export function parseScaledObject(object: Fields): AutoscalerRecord {
  const spec = fields(object.spec);
  const target = fields(spec.scaleTargetRef);
  return {
    autoscaler: {
      apiVersion: 'keda.sh/v1alpha1',
      kind: 'ScaledObject',
      ...named(object),
      min: count(spec.minReplicaCount, 0),
      max: count(spec.maxReplicaCount, 100),
    },
    group: groupOf(text(target.apiVersion) || 'apps/v1'),
    kind: text(target.kind, 64) || 'Deployment',
    name: text(target.name),
  };
}

/** The autoscaler of a target; null when none targets it. */
export function autoscalerOf(ref: TargetRef, records: Iterable<AutoscalerRecord>): Autoscaler | null {
  for (const record of records) {
    if (record.kind === ref.kind && record.name === ref.name && record.group === groupOf(ref.apiVersion))
      return record.autoscaler;
  }
  return null;
}
