/** StatefulSets: Pods with ordinals, one after the other, and the claims that belong to them (recording 08). */
import { at, type JsonMap, listAt, textAt } from '../json.ts';
import { isDeleting, isReady, ownerReference, type Pod, type Workload } from '../objects.ts';
import { templateHash } from '../random.ts';
import { builtin } from '../resources.ts';
import { StatusError } from '../status.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, createObject, deleteObject, updateObject, updateStatus } from '../writes.ts';
import { makePod } from './make-pod.ts';
import { splitKey, WorkQueue } from './queue.ts';

const REPORTER = 'statefulset-controller';
const QUOTA_RETRY_MS = 1000;

/** Runs the controller. */
export function startStatefulSets(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const set = world.store.get<Workload>(builtin.statefulSets, namespace, name);
    if (set === null || isDeleting(set)) return;
    const isRefused = !advance(world, set);
    writeStatus(world, set);
    if (isRefused) queue.add(key, QUOTA_RETRY_MS);
  });
  const hop = (): number => world.random.jitter(world.timing.createMs);
  world.store.on(builtin.statefulSets, (event) => {
    if (event.type !== 'DELETED') queue.add(keyOf(event.object), hop());
  });
  world.store.on(builtin.pods, (event) => {
    const owner = event.object.metadata.ownerReferences?.find((one) => one.kind === 'StatefulSet');
    if (owner !== undefined) queue.add(`${event.object.metadata.namespace}/${owner.name}`, hop());
  });
}

function revisionOf(set: Workload): string {
  return `${set.metadata.name}-${templateHash(set.spec.template)}`;
}

function ordinalOf(pod: Pod): number {
  return Number(pod.metadata.name.slice(pod.metadata.name.lastIndexOf('-') + 1));
}

function podsOf(world: World, set: Workload): Pod[] {
  const pods = [...world.store.ownedBy(set.metadata.uid)] as Pod[];
  return pods.sort((a, b) => ordinalOf(a) - ordinalOf(b));
}

/** Takes the next step towards spec.replicas; false when a Pod was refused and has to be tried again. */
function advance(world: World, set: Workload): boolean {
  const pods = podsOf(world, set);
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(pod), pod]));
  const isOrdered = set.spec.podManagementPolicy !== 'Parallel';
  for (let ordinal = 0; ordinal < set.spec.replicas; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) {
      if (!createPod(world, set, ordinal)) return false;
      if (isOrdered) return true;
    } else if (isOrdered && (isDeleting(pod) || !isReady(pod))) {
      return true;
    }
  }
  const condemned = pods.filter((pod) => ordinalOf(pod) >= set.spec.replicas).reverse();
  for (const pod of condemned) {
    if (!isDeleting(pod)) deletePod(world, set, pod, true);
    if (isOrdered) return true;
  }
  const stale = pods
    .reverse()
    .find((pod) => pod.metadata.labels?.['controller-revision-hash'] !== revisionOf(set));
  if (condemned.length === 0 && stale !== undefined && !isDeleting(stale) && pods.every(isReady)) {
    deletePod(world, set, stale, false);
  }
  return true;
}

function claimNames(set: Workload, podName: string): { template: JsonMap; name: string }[] {
  return listAt(set, 'spec', 'volumeClaimTemplates').map((template) => ({
    template: template as JsonMap,
    name: `${textAt(template, 'metadata', 'name')}-${podName}`,
  }));
}

function createPod(world: World, set: Workload, ordinal: number): boolean {
  const { name: setName, namespace = 'default' } = set.metadata;
  const podName = `${setName}-${ordinal}`;
  const claims = claimNames(set, podName);
  for (const { template, name } of claims) {
    if (world.store.get(builtin.claims, namespace, name) !== null) continue;
    const claim = createObject(
      world,
      builtin.claims,
      {
        kind: 'PersistentVolumeClaim',
        apiVersion: 'v1',
        metadata: {
          name,
          namespace,
          labels: { ...(at(set, 'spec', 'selector', 'matchLabels') as Record<string, string> | undefined) },
          finalizers: ['kubernetes.io/pvc-protection'],
        },
        spec: template.spec,
        status: { phase: 'Pending' },
      },
      controllerManager(world, ''),
    );
    const message = `create Claim ${claim.metadata.name} Pod ${podName} in StatefulSet ${setName} success`;
    world.events.record(set, 'Normal', 'SuccessfulCreate', message, REPORTER);
  }
  try {
    makePod(world, set, podName, {
      labels: {
        'apps.kubernetes.io/pod-index': String(ordinal),
        'controller-revision-hash': revisionOf(set),
        'statefulset.kubernetes.io/pod-name': podName,
      },
      spec: { hostname: podName, subdomain: textAt(set, 'spec', 'serviceName') },
      volumes: claims.map(({ template, name }) => ({
        name: textAt(template, 'metadata', 'name'),
        persistentVolumeClaim: { claimName: name },
      })),
    });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const message = `create Pod ${podName} in StatefulSet ${setName} failed error: ${error.message}`;
    world.events.record(set, 'Warning', 'FailedCreate', message, REPORTER);
    return false;
  }
  const message = `create Pod ${podName} in StatefulSet ${setName} successful`;
  world.events.record(set, 'Normal', 'SuccessfulCreate', message, REPORTER);
  return true;
}

function deletePod(world: World, set: Workload, pod: Pod, isScaleDown: boolean): void {
  const { namespace = 'default', name } = pod.metadata;
  const retention = at(set, 'spec', 'persistentVolumeClaimRetentionPolicy', 'whenScaled');
  if (isScaleDown && retention === 'Delete') {
    // The Pod becomes the owner of its claims: they go when it is gone.
    for (const claim of claimNames(set, name)) {
      const before = world.store.get(builtin.claims, namespace, claim.name);
      if (before === null) continue;
      const metadata = { ...before.metadata, ownerReferences: [ownerReference(pod)] };
      updateObject(world, builtin.claims, before, { ...before, metadata }, controllerManager(world, ''));
    }
  }
  deleteObject(world, builtin.pods, pod, null);
  const message = `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`;
  world.events.record(set, 'Normal', 'SuccessfulDelete', message, REPORTER);
}

function writeStatus(world: World, before: Workload): void {
  const { namespace = 'default', name } = before.metadata;
  const set = world.store.get<Workload>(builtin.statefulSets, namespace, name);
  if (set === null) return;
  const pods = podsOf(world, set);
  const updateRevision = revisionOf(set);
  const current = pods.filter(
    (pod) => !isDeleting(pod) && pod.metadata.labels?.['controller-revision-hash'] === updateRevision,
  ).length;
  const ready = pods.filter((pod) => !isDeleting(pod) && isReady(pod)).length;
  const isSettled = current === set.spec.replicas && ready === set.spec.replicas;
  const currentRevision = textAt(set, 'status', 'currentRevision');
  const status = {
    observedGeneration: set.metadata.generation,
    replicas: pods.length,
    ...(ready > 0 ? { readyReplicas: ready } : {}),
    ...(current > 0 ? { currentReplicas: current, updatedReplicas: current } : {}),
    currentRevision: isSettled || currentRevision === '' ? updateRevision : currentRevision,
    updateRevision,
    collisionCount: 0,
    availableReplicas: ready,
  };
  updateStatus(world, builtin.statefulSets, set, status, controllerManager(world, 'status'));
}
