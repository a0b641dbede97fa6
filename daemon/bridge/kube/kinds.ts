/** How objects of a kind are followed: what belongs to them, and whether they must have a scale. */
import { groupOf } from '../../config/verbs.ts';

/** What is watched beside the object itself. */
export interface KindTraits {
  /** Followed by its scale subresource, with the autoscalers of its namespace. */
  readonly hasScale: boolean;
  /** Which Pods are its own: those that its scale or its selector names, those on it, or none. */
  readonly pods: 'scale' | 'selector' | 'node' | 'none';
}

/** Kinds that are followed although they cannot be scaled, by `group/kind`. */
const plain: Readonly<Record<string, KindTraits>> = {
  'apps/DaemonSet': { hasScale: false, pods: 'selector' },
  'batch/Job': { hasScale: false, pods: 'selector' },
  'batch/CronJob': { hasScale: false, pods: 'none' },
  'autoscaling/HorizontalPodAutoscaler': { hasScale: false, pods: 'none' },
  'keda.sh/ScaledObject': { hasScale: false, pods: 'none' },
  '/Node': { hasScale: false, pods: 'node' },
};

/** Of a kind by its name; whatever is not named here is something that is scaled. */
export function traitsOf({ apiVersion, kind }: { apiVersion: string; kind: string }): KindTraits {
  return plain[`${groupOf(apiVersion)}/${kind}`] ?? { hasScale: true, pods: 'scale' };
}
