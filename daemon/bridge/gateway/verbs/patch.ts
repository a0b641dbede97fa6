/** Reading and patching one object for a verb whose number is a field of it. */
import { type Fields, fields, text } from '../../kube/read.ts';
import { settingsOf } from '../../kube/settings.ts';
import type { Cluster, Numbered, Settings } from '../../kube/types.ts';
import type { Order, Verb } from './verb.ts';

/** The two calls of such a verb. */
export function patching(how: {
  /** The number that these settings stand for, for this command. */
  readonly numberOf: (settings: Settings, order: Order) => number | null;
  readonly patch: (order: Order) => Fields;
}): Pick<Verb, 'read' | 'write'> {
  const numbered = (object: Fields, order: Order): Numbered => {
    const metadata = fields(object.metadata);
    return {
      uid: text(metadata.uid, 64),
      resourceVersion: text(metadata.resourceVersion, 64),
      replicas: how.numberOf(settingsOf(object), order) ?? 0,
    };
  };
  return {
    read: async (cluster: Cluster, order, signal) =>
      numbered(await cluster.getObject(order.ref, order.actor, signal), order),
    write: async (cluster, order, read, isDryRun, signal) => {
      const { ref, actor } = order;
      return numbered(
        await cluster.patchObject(ref, read, how.patch(order), actor, { isDryRun }, signal),
        order,
      );
    },
  };
}
