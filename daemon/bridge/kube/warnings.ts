/**
 * Warning events (core v1 Event) about a target, its ReplicaSets and its Pods. A field selector knows no
 * "or", so there is one list for each kind of object, cut down here to those that belong to the target.
 */
import type { ApiClient } from './client.ts';
import { type Fields, fields, list, text, time } from './read.ts';
import type { TargetRef, WarningEvent } from './types.ts';

const pageItems = 500;
const maxPages = 4;
const maxWarnings = 20;
/** Alphabet of generated name suffixes (apimachinery `rand`: no vowels, no digits that look like letters). */
const suffix = '[bcdfghjklmnpqrstvwxz2456789]';

/** Whether a ReplicaSet or Pod of this name is the target's, by the names that its controllers give. */
export function belongsByName(ref: TargetRef, kind: string, name: string): boolean {
  if (!name.startsWith(`${ref.name}-`)) return false;
  const rest = name.slice(ref.name.length + 1);
  if (kind === 'ReplicaSet') return ref.kind === 'Deployment' && new RegExp(`^${suffix}{1,10}$`).test(rest);
  switch (ref.kind) {
    case 'Deployment':
      return new RegExp(`^${suffix}{1,10}-${suffix}{5}$`).test(rest);
    case 'StatefulSet':
      return /^\d{1,10}$/.test(rest);
    default:
      return new RegExp(`^${suffix}{5}$`).test(rest);
  }
}

function parseWarning(event: Fields): WarningEvent {
  const object = fields(event.involvedObject);
  const at =
    time(fields(event.series).lastObservedTime) ||
    time(event.lastTimestamp) ||
    time(event.eventTime) ||
    time(event.firstTimestamp) ||
    time(fields(event.metadata).creationTimestamp);
  return {
    reason: text(event.reason, 128),
    message: text(event.message, 1024),
    at,
    object: `${text(object.kind, 64)}/${text(object.name)}`,
  };
}

async function warningsOf(
  client: ApiClient,
  namespace: string,
  selector: string,
  isOurs: (object: Fields) => boolean,
  signal: AbortSignal,
): Promise<readonly WarningEvent[]> {
  const found: WarningEvent[] = [];
  let next = '';
  for (let page = 0; page < maxPages; page++) {
    const query = new URLSearchParams({
      fieldSelector: `${selector},type=Warning`,
      limit: String(pageItems),
    });
    if (next !== '') query.set('continue', next);
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events?${query}`;
    const document = fields(await client.get(path, signal));
    for (const event of list(document.items).map(fields)) {
      if (event.type === 'Warning' && isOurs(fields(event.involvedObject))) found.push(parseWarning(event));
    }
    next = text(fields(document.metadata).continue, 8192);
    if (next === '') break;
  }
  return found;
}

/**
 * Warnings about a target, newest first.
 * @param podNames the Pods that it is known to have
 * @throws KubeError
 */
export async function readWarnings(
  client: ApiClient,
  ref: TargetRef,
  podNames: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly WarningEvent[]> {
  const own = `involvedObject.kind=${ref.kind},involvedObject.name=${ref.name}`;
  const lists = [
    warningsOf(
      client,
      ref.namespace,
      own,
      (object) => object.kind === ref.kind && object.name === ref.name,
      signal,
    ),
    warningsOf(
      client,
      ref.namespace,
      'involvedObject.kind=Pod',
      ({ kind, name }) =>
        kind === 'Pod' && (podNames.has(text(name)) || belongsByName(ref, 'Pod', text(name))),
      signal,
    ),
  ];
  if (ref.kind === 'Deployment') {
    lists.push(
      warningsOf(
        client,
        ref.namespace,
        'involvedObject.kind=ReplicaSet',
        ({ kind, name }) => kind === 'ReplicaSet' && belongsByName(ref, 'ReplicaSet', text(name)),
        signal,
      ),
    );
  }
  const found = (await Promise.all(lists)).flat();
  return found.sort((one, other) => other.at - one.at).slice(0, maxWarnings);
}
