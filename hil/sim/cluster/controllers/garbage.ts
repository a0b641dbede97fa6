/** Garbage collection in the background: what an owner made goes when the owner is gone. */
import { builtin } from '../resources.ts';
import type { World } from '../world.ts';
import { deleteObject } from '../writes.ts';

/** Runs the collector. */
export function startGarbageCollector(world: World): void {
  world.store.onAny((event, resource) => {
    if (event.type !== 'DELETED' || resource === builtin.events) return;
    const { uid } = event.object.metadata;
    if ([...world.store.ownedBy(uid)].length === 0) return;
    world.timers.after(world.random.jitter(world.timing.createMs), () => {
      for (const dependent of [...world.store.ownedBy(uid)]) {
        const kind = world.resources.findKind(dependent.apiVersion, dependent.kind);
        if (kind !== null) deleteObject(world, kind, dependent, null);
      }
    });
  });
}
