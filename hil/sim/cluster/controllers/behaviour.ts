/**
 * How the Pods of a workload fare. An annotation says it, on the Pod template or on the workload itself, so that
 * `kubectl annotate` and the control functions use the same door and a change is felt by running Pods.
 */
import { controllerOf, type KubeObject } from '../objects.ts';
import type { World } from '../world.ts';

/** The annotation that steers the simulated kubelets. */
export const BEHAVIOUR = 'sim.surfaced.dev/behaviour';

/** How Pods fare; `slow` ones take six times as long to start. */
export type Behaviour = 'normal' | 'crash' | 'never-ready' | 'pull-error' | 'slow';

/** What a Pod does, by its own annotation or that of the nearest owner which has one. */
export function behaviourOf(world: World, pod: KubeObject): Behaviour {
  for (let object: KubeObject | null = pod; object !== null; object = ownerOf(world, object)) {
    const said = object.metadata.annotations?.[BEHAVIOUR];
    if (said === 'crash' || said === 'never-ready' || said === 'pull-error' || said === 'slow') return said;
    if (said !== undefined) return 'normal';
  }
  return 'normal';
}

function ownerOf(world: World, object: KubeObject): KubeObject | null {
  const owner = controllerOf(object);
  if (owner === null) return null;
  const resource = world.resources.findKind(owner.apiVersion, owner.kind);
  return resource === null ? null : world.store.get(resource, object.metadata.namespace ?? null, owner.name);
}

/** The Pods below a workload. */
export function podsBelow(world: World, object: KubeObject): KubeObject[] {
  return [...world.store.ownedBy(object.metadata.uid)].flatMap((child) =>
    child.kind === 'Pod' ? [child] : podsBelow(world, child),
  );
}
