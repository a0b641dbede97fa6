/** The columns of `kubectl get`, as pkg/printers/internalversion of Kubernetes prints them. */
import { at, isMap, listAt, numberAt, textAt } from './json.ts';
import { isDeleting, type KubeObject } from './objects.ts';
import type { Resource } from './resources.ts';
import { selectorText } from './selectors.ts';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer';
  /** 1 is shown with `-o wide` only. */
  readonly priority: 0 | 1;
  readonly cell: (object: KubeObject, now: number) => unknown;
}

function column(name: string, cell: Column['cell'], priority: 0 | 1 = 0, type: Column['type'] = 'string') {
  return { name, type, priority, cell };
}

const NONE = '<none>';
const UNSET = '<unset>';

const age = column('Age', (object, now) => since(object.metadata.creationTimestamp, now));
const nameColumn = column('Name', (object) => object.metadata.name);
const containerList = (field: string) => (object: KubeObject) =>
  listAt(object, 'spec', 'template', 'spec', 'containers')
    .map((container) => textAt(container, field))
    .join(',');
const containers = column('Containers', containerList('name'), 1);
const images = column('Images', containerList('image'), 1);
const selector = column('Selector', (object) => selectorText(at(object, 'spec', 'selector')) || NONE, 1);

function counter(name: string, ...path: string[]): Column {
  return column(name, (object) => numberAt(object, ...path), 0, 'integer');
}

const setColumns = [
  nameColumn,
  counter('Desired', 'spec', 'replicas'),
  counter('Current', 'status', 'replicas'),
  counter('Ready', 'status', 'readyReplicas'),
  age,
  containers,
  images,
  selector,
];

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  'pods.': [
    nameColumn,
    column('Ready', podReady),
    column('Status', podStatus),
    column('Restarts', podRestarts),
    age,
    column('IP', (pod) => textAt(pod, 'status', 'podIP') || NONE, 1),
    column('Node', (pod) => textAt(pod, 'spec', 'nodeName') || NONE, 1),
    column('Nominated Node', () => NONE, 1),
    column('Readiness Gates', () => NONE, 1),
  ],
  'deployments.apps': [
    nameColumn,
    column('Ready', readyOfDesired),
    counter('Up-to-date', 'status', 'updatedReplicas'),
    counter('Available', 'status', 'availableReplicas'),
    age,
    containers,
    images,
    selector,
  ],
  'replicasets.apps': setColumns,
  'replicationcontrollers.': setColumns,
  'statefulsets.apps': [nameColumn, column('Ready', readyOfDesired), age, containers, images],
  'horizontalpodautoscalers.autoscaling': [
    nameColumn,
    column('Reference', (hpa) => {
      const target = at(hpa, 'spec', 'scaleTargetRef');
      return `${textAt(target, 'kind')}/${textAt(target, 'name')}`;
    }),
    column('Targets', hpaTargets),
    column('MinPods', (hpa) => String(at(hpa, 'spec', 'minReplicas') ?? UNSET)),
    counter('MaxPods', 'spec', 'maxReplicas'),
    counter('Replicas', 'status', 'currentReplicas'),
    age,
  ],
  'events.': [
    column('Last Seen', (event, now) => since(eventTime(event), now)),
    column('Type', (event) => textAt(event, 'type')),
    column('Reason', (event) => textAt(event, 'reason')),
    column('Object', (event) => {
      const about = at(event, 'involvedObject');
      return `${textAt(about, 'kind').toLowerCase()}/${textAt(about, 'name')}`;
    }),
    column('Subobject', (event) => textAt(event, 'involvedObject', 'fieldPath'), 1),
    column(
      'Source',
      (event) => textAt(event, 'source', 'component') || textAt(event, 'reportingComponent'),
      1,
    ),
    column('Message', (event) => textAt(event, 'message').trim()),
    column('First Seen', (event, now) => since(textAt(event, 'firstTimestamp') || eventTime(event), now), 1),
    column('Count', (event) => numberAt(event, 'count') || 1, 1, 'integer'),
    column('Name', (event) => event.metadata.name, 1),
  ],
  'namespaces.': [nameColumn, column('Status', (one) => textAt(one, 'status', 'phase')), age],
  'nodes.': [
    nameColumn,
    column('Status', nodeStatus),
    column('Roles', () => NONE),
    age,
    column('Version', (node) => textAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
  ],
  'persistentvolumeclaims.': [
    nameColumn,
    column('Status', (claim) => (isDeleting(claim) ? 'Terminating' : textAt(claim, 'status', 'phase'))),
    column('Volume', (claim) => textAt(claim, 'spec', 'volumeName')),
    column('Capacity', (claim) => textAt(claim, 'status', 'capacity', 'storage')),
    column('Access Modes', (claim) => accessModes(listAt(claim, 'status', 'accessModes'))),
    column('StorageClass', (claim) => textAt(claim, 'spec', 'storageClassName')),
    column('VolumeAttributesClass', () => UNSET),
    age,
    column('VolumeMode', (claim) => textAt(claim, 'spec', 'volumeMode'), 1),
  ],
  'persistentvolumes.': [
    nameColumn,
    column('Capacity', (volume) => textAt(volume, 'spec', 'capacity', 'storage')),
    column('Access Modes', (volume) => accessModes(listAt(volume, 'spec', 'accessModes'))),
    column('Reclaim Policy', (volume) => textAt(volume, 'spec', 'persistentVolumeReclaimPolicy')),
    column('Status', (volume) => textAt(volume, 'status', 'phase')),
    column('Claim', (volume) => {
      const claim = at(volume, 'spec', 'claimRef');
      return `${textAt(claim, 'namespace')}/${textAt(claim, 'name')}`;
    }),
    column('StorageClass', (volume) => textAt(volume, 'spec', 'storageClassName')),
    age,
  ],
  'resourcequotas.': [
    nameColumn,
    column('Request', (quota) => {
      const hard = at(quota, 'status', 'hard');
      return Object.entries(isMap(hard) ? hard : {})
        .map(([what, limit]) => `${what}: ${textAt(quota, 'status', 'used', what)}/${String(limit)}`)
        .join(', ');
    }),
    column('Limit', () => ''),
    age,
  ],
};

function columnsFor(resource: Resource): readonly Column[] {
  if (resource.custom === null) {
    return COLUMNS[`${resource.plural}.${resource.group}`] ?? [nameColumn, age];
  }
  const own = resource.custom.columns.map((definition) => {
    const path = textAt(definition, 'jsonPath');
    const isDate = textAt(definition, 'type') === 'date';
    return column(
      textAt(definition, 'name'),
      (object, now) => {
        const value = valueAt(object, path);
        return isDate ? since(typeof value === 'string' ? value : '', now) : (value ?? '');
      },
      numberAt(definition, 'priority') > 0 ? 1 : 0,
    );
  });
  return own.length === 0 ? [nameColumn, age] : [nameColumn, ...own];
}

/** What a jsonPath points to, as far as printer columns use it: fields, and one entry of a list by one of its fields. */
function valueAt(object: unknown, jsonPath: string): unknown {
  let here = object;
  for (const [, name, key, wanted] of jsonPath.matchAll(/\.(\w+)(?:\[\?\(@\.(\w+)=="([^"]*)"\)\])?/g)) {
    here = at(here, name ?? '');
    if (key !== undefined && Array.isArray(here)) here = here.find((entry) => at(entry, key) === wanted);
  }
  return here;
}

/** Table.columnDefinitions of a kind. */
export function columnsOf(resource: Resource): Record<string, unknown>[] {
  return columnsFor(resource).map(({ name, type, priority }) => ({
    name,
    type,
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority,
  }));
}

/** The cells of one object. */
export function rowOf(resource: Resource, object: KubeObject, now: number): unknown[] {
  return columnsFor(resource).map(({ cell }) => cell(object, now));
}

function readyOfDesired(object: KubeObject): string {
  return `${numberAt(object, 'status', 'readyReplicas')}/${numberAt(object, 'spec', 'replicas')}`;
}

function podReady(pod: KubeObject): string {
  const statuses = listAt(pod, 'status', 'containerStatuses');
  const ready = statuses.filter((one) => at(one, 'ready') === true).length;
  return `${ready}/${listAt(pod, 'spec', 'containers').length}`;
}

function podStatus(pod: KubeObject): string {
  if (isDeleting(pod)) return 'Terminating';
  let reason = textAt(pod, 'status', 'phase');
  for (const status of listAt(pod, 'status', 'containerStatuses')) {
    const why =
      textAt(status, 'state', 'waiting', 'reason') || textAt(status, 'state', 'terminated', 'reason');
    if (why !== '') reason = why;
  }
  return reason;
}

function podRestarts(pod: KubeObject, now: number): string {
  let restarts = 0;
  let last = '';
  for (const status of listAt(pod, 'status', 'containerStatuses')) {
    restarts += numberAt(status, 'restartCount');
    const endedAt = textAt(status, 'lastState', 'terminated', 'finishedAt');
    if (endedAt > last) last = endedAt;
  }
  return restarts === 0 || last === '' ? String(restarts) : `${restarts} (${since(last, now)} ago)`;
}

function hpaTargets(hpa: KubeObject): string {
  const [wanted] = listAt(hpa, 'spec', 'metrics');
  if (wanted === undefined) return '<none>';
  const resource = at(wanted, 'resource');
  const target = at(resource, 'target', 'averageUtilization');
  const [current] = listAt(hpa, 'status', 'currentMetrics');
  const now = at(current, 'resource', 'current', 'averageUtilization');
  return `${textAt(resource, 'name')}: ${now === undefined ? '<unknown>' : `${String(now)}%`}/${String(target)}%`;
}

function nodeStatus(node: KubeObject): string {
  const ready = listAt(node, 'status', 'conditions').find((one) => at(one, 'type') === 'Ready');
  const state = at(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
  return at(node, 'spec', 'unschedulable') === true ? `${state},SchedulingDisabled` : state;
}

function accessModes(modes: readonly unknown[]): string {
  const short: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
  };
  return modes.map((mode) => short[String(mode)] ?? String(mode)).join(',');
}

function eventTime(event: KubeObject): string {
  return textAt(event, 'lastTimestamp') || textAt(event, 'eventTime') || event.metadata.creationTimestamp;
}

/** k8s.io/apimachinery/pkg/util/duration HumanDuration. */
export function since(timestamp: string, now: number): string {
  if (timestamp === '') return '<unknown>';
  const seconds = Math.floor((now - Date.parse(timestamp)) / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  return `${days}d`;
}
