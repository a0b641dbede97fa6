/** The table of verbs: one row each, and which row a binding stands for now. */
import type { BindingConfig, TargetRef } from '../../../config/schema.ts';
import type { VerbName } from '../../../config/verbs.ts';
import type { TargetSnapshot } from '../../kube/types.ts';
import { drain } from './drain.ts';
import { restart } from './restart.ts';
import { scale } from './scale.ts';
import { ceiling, cordon, floor, pause, suspend } from './settings.ts';
import type { Verb } from './verb.ts';

export const verbs: Readonly<Record<VerbName, Verb>> = {
  scale,
  floor,
  ceiling,
  restart,
  pause,
  suspend,
  cordon,
  drain,
};

/** What a binding acts on now. */
export interface Acting {
  readonly verb: Verb;
  /** The object that is written. */
  readonly ref: TargetRef;
  /** What is watched, as the verb looks at it. */
  readonly snapshot: TargetSnapshot;
}

/** The row of a binding: its verb, but the floor of the autoscaler where the binding says so and there is one. */
export function actingOn(
  binding: Pick<BindingConfig, 'verb' | 'autoscaler' | 'target'>,
  snapshot: TargetSnapshot,
): Acting {
  const { autoscaler, target } = snapshot;
  if (binding.autoscaler !== 'minReplicas' || autoscaler === null || target === null)
    return { verb: verbs[binding.verb], ref: binding.target, snapshot };
  const { apiVersion, kind, name, uid, resourceVersion, min, max } = autoscaler;
  const settings = { ...target.settings, floor: min, ceiling: max, counted: target.observed };
  return {
    verb: verbs.floor,
    ref: { apiVersion, kind, namespace: binding.target.namespace, name },
    snapshot: { ...snapshot, target: { ...target, uid, resourceVersion, settings } },
  };
}
