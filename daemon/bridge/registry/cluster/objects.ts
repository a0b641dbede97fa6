/** ControlSurfaces as the API server holds them: where they are, and what is kept of each. */
import { type Condition, kubeGroup } from '../../../config/custom-resources.ts';
import { checkValue } from '../../../config/load.ts';
import { apiVersion, type ControlSurface } from '../../../config/schema.ts';
import type { KubeAccess } from '../../kube/access.ts';
import { count, type Fields, fields, list, text, time } from '../../kube/read.ts';
import { checkSurface } from '../check.ts';

/** Largest message of a condition that is kept or written, characters. */
export const maxMessage = 1024;
/** Conditions of one object that are kept: ours and those of others. */
const maxConditions = 32;
const pageItems = 500;

/** Path of the ControlSurfaces, or SurfaceRequests, of a namespace. */
export const pathOf = (plural: 'controlsurfaces' | 'surfacerequests', namespace: string): string =>
  `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/${plural}`;

/** What the status of an object says now. */
export interface KnownStatus {
  readonly observedGeneration: number | null;
  readonly conditions: readonly Condition[];
  readonly level: number | null;
  /** Unix milliseconds. */
  readonly lastSeenAt: number | null;
  readonly firmware: string | null;
}

/** What is kept of a ControlSurface. */
export interface SurfaceRecord {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** The last version without fault; null: there was none. */
  readonly surface: ControlSurface | null;
  /** What is wrong with the present version, its fields named; null when nothing is. */
  readonly problem: string | null;
  readonly status: KnownStatus;
}

/** Conditions of any of our objects. */
export function conditionsOf(status: Fields): readonly Condition[] {
  return list(status.conditions)
    .slice(0, maxConditions)
    .map(fields)
    .map((condition) => ({
      type: text(condition.type, 316),
      status: condition.status === 'True' || condition.status === 'False' ? condition.status : 'Unknown',
      observedGeneration: count(condition.observedGeneration),
      lastTransitionTime: text(condition.lastTransitionTime, 64),
      reason: text(condition.reason, 1024),
      message: text(condition.message, maxMessage),
    }));
}

function statusOf(object: Fields): KnownStatus {
  const status = fields(object.status);
  return {
    observedGeneration:
      typeof status.observedGeneration === 'number' ? count(status.observedGeneration) : null,
    conditions: conditionsOf(status),
    level: typeof status.level === 'number' ? count(status.level) : null,
    lastSeenAt: time(status.lastSeen) || null,
    firmware: typeof status.firmware === 'string' ? text(status.firmware, 512) : null,
  };
}

/** A record of an object; what it was before stays in force while the present version has a fault. */
export function recordOf(object: Fields, previous: SurfaceRecord | undefined): SurfaceRecord {
  const metadata = fields(object.metadata);
  const generation = count(metadata.generation);
  const name = text(metadata.name);
  const head = {
    name,
    uid: text(metadata.uid, 64),
    resourceVersion: text(metadata.resourceVersion, 64),
    generation,
    status: statusOf(object),
  };
  // A write of the status leaves the spec as it is.
  if (previous && previous.generation === generation && generation > 0)
    return { ...head, surface: previous.surface, problem: previous.problem };
  const { config, findings } = checkValue(
    'ControlSurface',
    { apiVersion, kind: 'ControlSurface', metadata: { name }, spec: object.spec },
    checkSurface,
  );
  if (config !== null) return { ...head, surface: config, problem: null };
  const faults = findings.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  return { ...head, surface: previous?.surface ?? null, problem: faults.slice(0, maxMessage) };
}

/** All objects of a collection, page by page. @throws KubeError */
export async function readAll(
  access: KubeAccess,
  path: string,
  signal: AbortSignal,
): Promise<readonly Fields[]> {
  const items: Fields[] = [];
  let next = '';
  do {
    const query = new URLSearchParams({ limit: String(pageItems) });
    if (next !== '') query.set('continue', next);
    const page = fields(await access.get(`${path}?${query}`, signal));
    items.push(...list(page.items).map(fields));
    next = text(fields(page.metadata).continue, 8192);
  } while (next !== '');
  return items;
}

/** What is to be done when the API server refuses a collection, in words that end with a command. */
export function remedyOf(
  error: { readonly status: number; readonly message: string },
  plural: string,
  namespace: string,
): string {
  switch (error.status) {
    case 404:
      return `the CustomResourceDefinition ${plural}.${kubeGroup} is not installed: kubectl apply -k deploy/crd`;
    case 401:
    case 403:
      return `the gateway's account lacks rights in namespace ${namespace} (${error.message}); the Roles of deploy/ grant them, and \`kubectl auth can-i --list -n ${namespace} --as=<account>\` shows what it has`;
    default:
      return `the API server does not give them: ${error.message}`;
  }
}
