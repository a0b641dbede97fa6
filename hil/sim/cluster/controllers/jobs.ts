/** Jobs, as far as suspending goes: Pods that never end by themselves, none of them while suspended. */
import { listAt, numberAt } from '../json.ts';
import {
  isDeleting,
  isReady,
  type ObjectCondition,
  type Pod,
  timestamp,
  type Workload,
  withCondition,
} from '../objects.ts';
import { builtin } from '../resources.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, deleteObject, updateStatus } from '../writes.ts';
import { makePod } from './make-pod.ts';
import { splitKey, WorkQueue } from './queue.ts';

/** Runs the controller. */
export function startJobs(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const job = world.store.get<Workload>(builtin.jobs, namespace, name);
    if (job !== null && !isDeleting(job)) sync(world, job);
  });
  const hop = (): number => world.random.jitter(world.timing.createMs);
  world.store.on(builtin.jobs, (event) => {
    if (event.type !== 'DELETED') queue.add(keyOf(event.object), hop());
  });
  world.store.on(builtin.pods, (event) => {
    const owner = event.object.metadata.ownerReferences?.find((one) => one.kind === 'Job');
    if (owner !== undefined) queue.add(`${event.object.metadata.namespace}/${owner.name}`, hop());
  });
}

function sync(world: World, job: Workload): void {
  const isSuspended = job.spec.suspend === true;
  const pods = ([...world.store.ownedBy(job.metadata.uid)] as Pod[]).filter((pod) => !isDeleting(pod));
  if (isSuspended) for (const pod of pods) deleteObject(world, builtin.pods, pod, null);
  for (let missing = pods.length; !isSuspended && missing < numberAt(job, 'spec', 'parallelism'); missing++)
    makePod(world, job, `${job.metadata.name}-${world.random.suffix(5)}`, null);
  const before = listAt(job, 'status', 'conditions') as readonly ObjectCondition[];
  const wasSuspended = before.some(({ type, status }) => type === 'Suspended' && status === 'True');
  const conditions =
    isSuspended === wasSuspended
      ? before
      : withCondition(before, {
          type: 'Suspended',
          status: isSuspended ? 'True' : 'False',
          lastProbeTime: timestamp(world.now()),
          lastTransitionTime: timestamp(world.now()),
          reason: isSuspended ? 'JobSuspended' : 'JobResumed',
          message: isSuspended ? 'Job suspended' : 'Job resumed',
        });
  const active = isSuspended ? 0 : pods.length;
  const status = {
    ...(conditions.length === 0 ? {} : { conditions }),
    ...(active === 0 ? {} : { active }),
    ready: isSuspended ? 0 : pods.filter(isReady).length,
  };
  updateStatus(world, builtin.jobs, job, status, controllerManager(world, 'status'));
}
