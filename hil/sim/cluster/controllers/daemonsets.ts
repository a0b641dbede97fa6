/** DaemonSets: one Pod on each node, replaced one after the other when the template changes. */
import { isDeleting, isReady, type Pod, type Workload } from '../objects.ts';
import { templateHash } from '../random.ts';
import { builtin } from '../resources.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, deleteObject, updateStatus } from '../writes.ts';
import { makePod } from './make-pod.ts';
import { splitKey, WorkQueue } from './queue.ts';

const HASH = 'controller-revision-hash';

/** Runs the controller. */
export function startDaemonSets(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const set = world.store.get<Workload>(builtin.daemonSets, namespace, name);
    if (set !== null && !isDeleting(set)) sync(world, set);
  });
  const hop = (): number => world.random.jitter(world.timing.createMs);
  world.store.on(builtin.daemonSets, (event) => {
    if (event.type !== 'DELETED') queue.add(keyOf(event.object), hop());
  });
  world.store.on(builtin.pods, (event) => {
    const owner = event.object.metadata.ownerReferences?.find((one) => one.kind === 'DaemonSet');
    if (owner !== undefined) queue.add(`${event.object.metadata.namespace}/${owner.name}`, hop());
  });
}

function sync(world: World, set: Workload): void {
  const nodes = [...world.store.of(builtin.nodes).objects.keys()];
  const pods = [...world.store.ownedBy(set.metadata.uid)] as Pod[];
  const hash = templateHash(set.spec.template);
  for (const node of nodes) {
    if (pods.some((pod) => pod.spec.nodeName === node)) continue;
    // The real controller asks the scheduler by a node affinity; the Pod ends up on the same node.
    const identity = { labels: { [HASH]: hash }, spec: { nodeName: node }, volumes: [] };
    makePod(world, set, `${set.metadata.name}-${world.random.suffix(5)}`, identity);
  }
  const living = pods.filter((pod) => !isDeleting(pod));
  const isNew = (pod: Pod): boolean => pod.metadata.labels?.[HASH] === hash;
  const stale = living.find((pod) => !isNew(pod));
  if (stale !== undefined && living.length === nodes.length && living.every(isReady))
    deleteObject(world, builtin.pods, stale, null);
  const ready = living.filter(isReady).length;
  const status = {
    currentNumberScheduled: living.length,
    numberMisscheduled: 0,
    desiredNumberScheduled: nodes.length,
    numberReady: ready,
    observedGeneration: set.metadata.generation,
    updatedNumberScheduled: living.filter(isNew).length,
    numberAvailable: ready,
  };
  updateStatus(world, builtin.daemonSets, set, status, controllerManager(world, 'status'));
}
