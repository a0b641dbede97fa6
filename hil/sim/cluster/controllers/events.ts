/**
 * core/v1 Events with the correlation that client-go does: a repeated message counts up, and after ten similar
 * messages they are combined into one (recording 06). The oldest are dropped, where a cluster uses a time to live.
 */
import { type FieldSet, type KubeObject, timestamp } from '../objects.ts';
import { builtin } from '../resources.ts';
import type { Store } from '../store.ts';

const SIMILAR_BEFORE_COMBINED = 10;
const LIMIT = 2000;

/** Who reports, which decides the form of the event. */
export type Reporter = 'deployment-controller' | 'kubelet' | 'default-scheduler' | (string & {});

const controllerFields: FieldSet = {
  'f:count': {},
  'f:firstTimestamp': {},
  'f:involvedObject': {},
  'f:lastTimestamp': {},
  'f:message': {},
  'f:reason': {},
  'f:reportingComponent': {},
  'f:source': { 'f:component': {} },
  'f:type': {},
};
const schedulerFields: FieldSet = {
  'f:action': {},
  'f:eventTime': {},
  'f:note': {},
  'f:reason': {},
  'f:regarding': {},
  'f:reportingController': {},
  'f:reportingInstance': {},
  'f:type': {},
};

/** Writes events about objects. */
export class EventRecorder {
  private readonly store: Store;
  private readonly now: () => number;
  private sequence = 0;
  /** Event names by what they say, and how many different messages there are by subject and reason. */
  private readonly byMessage = new Map<string, string>();
  private readonly similar = new Map<string, number>();

  constructor(store: Store, now: () => number) {
    this.store = store;
    this.now = now;
  }

  /** Records one event; `fieldPath` names the container it is about. */
  record(
    object: KubeObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    reporter: Reporter,
    fieldPath: string | null = null,
  ): void {
    const namespace = object.metadata.namespace ?? 'default';
    const subject = `${object.metadata.uid} ${reason} ${type}`;
    const count = this.similar.get(subject) ?? 0;
    const isCombined = count >= SIMILAR_BEFORE_COMBINED;
    const text = isCombined ? `(combined from similar events): ${message}` : message;
    const key = isCombined ? `${subject} combined` : `${subject} ${message}`;
    const at = timestamp(this.now());
    const known = this.byMessage.get(key);
    const before = known === undefined ? null : this.store.get(builtin.events, namespace, known);
    if (before !== null) {
      this.store.update(builtin.events, {
        ...before,
        message: text,
        lastTimestamp: at,
        count: Number(before.count ?? 1) + 1,
      });
      return;
    }
    this.similar.set(subject, count + 1);
    const name = `${object.metadata.name}.${this.nextSuffix()}`;
    this.byMessage.set(key, name);
    const isScheduler = reporter === 'default-scheduler';
    this.store.create(builtin.events, {
      kind: 'Event',
      apiVersion: 'v1',
      metadata: {
        name,
        namespace,
        managedFields: [
          {
            manager: managerOf(reporter),
            operation: 'Update',
            apiVersion: isScheduler ? 'events.k8s.io/v1' : 'v1',
            time: at,
            fieldsType: 'FieldsV1',
            fieldsV1: isScheduler ? schedulerFields : controllerFields,
          },
        ],
      },
      involvedObject: {
        kind: object.kind,
        namespace,
        name: object.metadata.name,
        uid: object.metadata.uid,
        apiVersion: object.apiVersion,
        resourceVersion: object.metadata.resourceVersion,
        ...(fieldPath === null ? {} : { fieldPath }),
      },
      reason,
      message: text,
      source: isScheduler ? {} : { component: reporter },
      firstTimestamp: isScheduler ? null : at,
      lastTimestamp: isScheduler ? null : at,
      ...(isScheduler ? {} : { count: 1 }),
      type,
      eventTime: isScheduler ? new Date(this.now()).toISOString().replace('Z', '000Z') : null,
      ...(isScheduler ? { action: 'Binding' } : {}),
      reportingComponent: isCombined ? '' : reporter,
      reportingInstance: isScheduler ? 'default-scheduler-sim' : '',
    });
    this.trim();
  }

  /** 16 hex digits, as client-go makes them of the time in nanoseconds. */
  private nextSuffix(): string {
    const nanoseconds = BigInt(this.now()) * 1_000_000n + BigInt(this.sequence++ % 1_000_000);
    return nanoseconds.toString(16);
  }

  private trim(): void {
    const { objects } = this.store.of(builtin.events);
    if (objects.size <= LIMIT) return;
    const [oldest] = objects.values();
    if (oldest !== undefined) this.store.remove(builtin.events, oldest);
    // The two indexes only save duplicates: starting them anew costs a repeated message at worst.
    if (this.byMessage.size > LIMIT * 2) {
      this.byMessage.clear();
      this.similar.clear();
    }
  }
}

function managerOf(reporter: Reporter): string {
  if (reporter === 'default-scheduler') return 'kube-scheduler';
  return reporter === 'kubelet' ? 'kubelet' : 'kube-controller-manager';
}
