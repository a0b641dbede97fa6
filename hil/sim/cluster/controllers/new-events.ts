/**
 * events.k8s.io/v1 and core v1 are two views of the same Events. Here those of the new group are kept, and shown in the old
 * one as the API server converts them (pkg/apis/events/v1 conversion): `kubectl get events` and `describe` look there.
 */
import { at, type JsonMap, textAt } from '../json.ts';
import type { KubeObject } from '../objects.ts';
import { builtin } from '../resources.ts';
import type { World } from '../world.ts';

/** Keeps the old view up to date. */
export function startNewEvents(world: World): void {
  world.store.on(builtin.newEvents, ({ type, object }) => {
    const { name, namespace = 'default' } = object.metadata;
    const before = world.store.get(builtin.events, namespace, name);
    if (type === 'DELETED') {
      if (before !== null) world.store.remove(builtin.events, before);
      return;
    }
    if (before === null)
      world.store.create(builtin.events, {
        ...coreOf(object),
        kind: 'Event',
        apiVersion: 'v1',
        metadata: { name, namespace },
      });
    else world.store.update(builtin.events, { ...before, ...coreOf(object) });
  });
}

function coreOf(event: KubeObject): JsonMap {
  return {
    involvedObject: event.regarding,
    ...(event.related === undefined ? {} : { related: event.related }),
    reason: event.reason,
    message: event.note,
    type: event.type,
    action: event.action,
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: event.eventTime,
    ...(event.series === undefined ? {} : { series: event.series, count: at(event.series, 'count') }),
    reportingComponent: textAt(event, 'reportingController'),
    reportingInstance: textAt(event, 'reportingInstance'),
  };
}
