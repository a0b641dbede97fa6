/** ResourceQuotas, as far as they count Pods: admission refuses what is over, status says what is used. */
import { at, isMap } from '../json.ts';
import type { KubeObject } from '../objects.ts';
import { builtin } from '../resources.ts';
import { refused, type StatusError } from '../status.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, updateStatus } from '../writes.ts';
import { splitKey, WorkQueue } from './queue.ts';

const COUNTED = ['pods', 'count/pods'];

/** The refusal of one more Pod in a namespace, or null when there is room (recording 06). */
export function quotaRefusal(world: World, namespace: string, podName: string): StatusError | null {
  const { objects } = world.store.of(builtin.quotas);
  if (objects.size === 0) return null;
  for (const quota of objects.values()) {
    if (quota.metadata.namespace !== namespace) continue;
    for (const counted of COUNTED) {
      const hard = at(quota, 'spec', 'hard', counted);
      if (hard === undefined) continue;
      const used = podsIn(world, namespace);
      if (used + 1 <= Number(hard)) continue;
      const why =
        `exceeded quota: ${quota.metadata.name}, requested: ${counted}=1, ` +
        `used: ${counted}=${used}, limited: ${counted}=${String(hard)}`;
      return refused(builtin.pods, podName, why);
    }
  }
  return null;
}

function podsIn(world: World, namespace: string): number {
  return world.store.of(builtin.pods).countByNamespace.get(namespace) ?? 0;
}

/** Keeps status.used of every quota. */
export function startQuotas(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const quota = world.store.get(builtin.quotas, namespace, name);
    if (quota !== null) sync(world, quota);
  });
  const later = (quota: KubeObject): void =>
    queue.add(keyOf(quota), world.random.jitter(world.timing.createMs));
  world.store.on(builtin.quotas, (event) => {
    if (event.type !== 'DELETED') later(event.object);
  });
  world.store.on(builtin.pods, (event) => {
    if (event.type === 'MODIFIED') return;
    for (const quota of world.store.of(builtin.quotas).objects.values()) {
      if (quota.metadata.namespace === event.object.metadata.namespace) later(quota);
    }
  });
}

function sync(world: World, quota: KubeObject): void {
  const hard = at(quota, 'spec', 'hard');
  if (!isMap(hard)) return;
  const used = Object.fromEntries(
    Object.keys(hard).map((name) => {
      const count = COUNTED.includes(name) ? podsIn(world, quota.metadata.namespace ?? '') : 0;
      return [name, String(count)];
    }),
  );
  updateStatus(world, builtin.quotas, quota, { hard, used }, controllerManager(world, 'status'));
}
