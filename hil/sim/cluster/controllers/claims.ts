/** Claims and volumes: provisioning, binding, protection while in use, and deletion (recording 08). */
import { at, textAt, withAt } from '../json.ts';
import { isDeleting, type KubeObject, type Pod, timestamp } from '../objects.ts';
import { builtin } from '../resources.ts';
import { keyOf } from '../store.ts';
import type { World } from '../world.ts';
import { controllerManager, createObject, deleteObject, updateObject, updateStatus } from '../writes.ts';
import { splitKey, WorkQueue } from './queue.ts';

const PROVISIONER = 'sim.surfaced.dev/none';

/** The names of the claims that a Pod mounts. */
export function claimsOf(pod: Pod): string[] {
  const volumes = (pod.spec.volumes ?? []) as readonly unknown[];
  return volumes
    .map((volume) => textAt(volume, 'persistentVolumeClaim', 'claimName'))
    .filter((name) => name !== '');
}

/** Runs the provisioner, the binder and the claim protection. */
export function startClaims(world: World): void {
  const queue = new WorkQueue(world.timers, (key) => {
    const { namespace, name } = splitKey(key);
    const claim = world.store.get(builtin.claims, namespace, name);
    if (claim !== null) advance(world, claim);
  });
  const hop = (): number => world.random.jitter(world.timing.createMs);
  world.store.on(builtin.claims, (event) => {
    if (event.type === 'DELETED') releaseVolume(world, event.object);
    else queue.add(keyOf(event.object), hop());
  });
  world.store.on(builtin.volumes, (event) => {
    const claim = at(event.object, 'spec', 'claimRef') as { namespace: string; name: string } | undefined;
    if (claim !== undefined && event.type !== 'DELETED') queue.add(`${claim.namespace}/${claim.name}`, hop());
  });
  world.store.on(builtin.pods, (event) => {
    if (event.type !== 'DELETED') return;
    for (const name of claimsOf(event.object as Pod)) {
      queue.add(`${event.object.metadata.namespace}/${name}`, hop());
    }
  });
}

function volumeName(claim: KubeObject): string {
  return `pvc-${claim.metadata.uid}`;
}

/** One step a look, so that every state is seen by watchers. */
function advance(world: World, claim: KubeObject): void {
  const writer = controllerManager(world, '');
  if (isDeleting(claim)) {
    if (isUsed(world, claim)) return;
    updateObject(world, builtin.claims, claim, withAt(claim, ['metadata', 'finalizers'], []), writer);
    return;
  }
  if (textAt(claim, 'status', 'phase') === 'Bound') return;
  const annotations = claim.metadata.annotations ?? {};
  if (annotations['volume.kubernetes.io/storage-provisioner'] === undefined) {
    const next = {
      ...annotations,
      'volume.beta.kubernetes.io/storage-provisioner': PROVISIONER,
      'volume.kubernetes.io/storage-provisioner': PROVISIONER,
    };
    updateObject(world, builtin.claims, claim, withAt(claim, ['metadata', 'annotations'], next), writer);
    return;
  }
  const volume = world.store.get(builtin.volumes, null, volumeName(claim));
  if (volume === null) {
    createVolume(world, claim);
  } else if (textAt(volume, 'status', 'phase') === 'Pending') {
    setPhase(world, volume, 'Bound');
  } else if (textAt(claim, 'spec', 'volumeName') === '') {
    const next = {
      ...annotations,
      'pv.kubernetes.io/bind-completed': 'yes',
      'pv.kubernetes.io/bound-by-controller': 'yes',
    };
    const bound = withAt(
      withAt(claim, ['metadata', 'annotations'], next),
      ['spec', 'volumeName'],
      volumeName(claim),
    );
    updateObject(world, builtin.claims, claim, bound, writer);
  } else {
    const status = {
      phase: 'Bound',
      accessModes: at(claim, 'spec', 'accessModes'),
      capacity: { storage: at(claim, 'spec', 'resources', 'requests', 'storage') },
    };
    updateStatus(world, builtin.claims, claim, status, controllerManager(world, 'status'));
  }
}

function isUsed(world: World, claim: KubeObject): boolean {
  const { namespace, name } = claim.metadata;
  for (const pod of world.store.of(builtin.pods).objects.values()) {
    if (pod.metadata.namespace === namespace && claimsOf(pod as Pod).includes(name)) return true;
  }
  return false;
}

function createVolume(world: World, claim: KubeObject): void {
  createObject(
    world,
    builtin.volumes,
    {
      kind: 'PersistentVolume',
      apiVersion: 'v1',
      metadata: {
        name: volumeName(claim),
        annotations: { 'pv.kubernetes.io/provisioned-by': PROVISIONER },
        finalizers: ['kubernetes.io/pv-protection'],
      },
      spec: {
        capacity: { storage: at(claim, 'spec', 'resources', 'requests', 'storage') },
        hostPath: { path: `/var/lib/sim/${claim.metadata.uid}`, type: '' },
        accessModes: at(claim, 'spec', 'accessModes'),
        claimRef: {
          kind: 'PersistentVolumeClaim',
          namespace: claim.metadata.namespace,
          name: claim.metadata.name,
          uid: claim.metadata.uid,
          apiVersion: 'v1',
          resourceVersion: claim.metadata.resourceVersion,
        },
        persistentVolumeReclaimPolicy: 'Delete',
        storageClassName: at(claim, 'spec', 'storageClassName'),
        volumeMode: at(claim, 'spec', 'volumeMode'),
      },
      status: { phase: 'Pending', lastPhaseTransitionTime: timestamp(world.now()) },
    },
    controllerManager(world, ''),
  );
}

function setPhase(world: World, volume: KubeObject, phase: string): KubeObject {
  const status = { phase, lastPhaseTransitionTime: timestamp(world.now()) };
  return updateStatus(world, builtin.volumes, volume, status, controllerManager(world, 'status'));
}

function releaseVolume(world: World, claim: KubeObject): void {
  const volume = world.store.get(builtin.volumes, null, volumeName(claim));
  if (volume === null) return;
  const released = setPhase(world, volume, 'Released');
  const marked = deleteObject(world, builtin.volumes, released, null);
  world.timers.after(world.random.jitter(world.timing.createMs), () =>
    world.store.remove(builtin.volumes, marked),
  );
}
