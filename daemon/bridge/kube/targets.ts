/** From a workload of the API to the little that is kept of it. */
import { count, type Fields, fields, list, text, time } from './read.ts';
import { settingsOf } from './settings.ts';
import type { Condition, TargetState } from './types.ts';

const maxConditions = 16;
const maxOwners = 64;

/** A target as its object tells it; for kinds without known paths the numbers come from the scale. */
export interface TargetRecord {
  readonly state: TargetState;
  /** Label selector of its Pods as a query, from `spec.selector`; empty when the kind has another shape. */
  readonly selector: string;
  /** `status.readyReplicas` was there. */
  readonly hasReady: boolean;
}

/** Kinds whose `spec.replicas`, `status.replicas` and `spec.selector` are fixed by the API (apps/v1, core v1). */
export function hasKnownPaths(apiVersion: string, kind: string): boolean {
  if (apiVersion === 'apps/v1')
    return kind === 'Deployment' || kind === 'StatefulSet' || kind === 'ReplicaSet';
  return apiVersion === 'v1' && kind === 'ReplicationController';
}

/** A LabelSelector (or the plain map of a ReplicationController) in the syntax of the labelSelector parameter. */
export function selectorQuery(selector: Fields): string {
  const isPlain = selector.matchLabels === undefined && selector.matchExpressions === undefined;
  const labels = isPlain ? selector : fields(selector.matchLabels);
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${text(value)}`);
  for (const expression of list(selector.matchExpressions).map(fields)) {
    const key = text(expression.key, 317);
    const values = list(expression.values).map((value) => text(value));
    switch (expression.operator) {
      case 'In':
        parts.push(`${key} in (${values.join(',')})`);
        break;
      case 'NotIn':
        parts.push(`${key} notin (${values.join(',')})`);
        break;
      case 'Exists':
        parts.push(key);
        break;
      case 'DoesNotExist':
        parts.push(`!${key}`);
        break;
      default:
        // An operator of a later API: showing no Pods is right, showing others' Pods is not.
        return '';
    }
  }
  return parts.join(',');
}

/**
 * Who owns spec.replicas by managedFields. Entries written through the scale subresource carry no time
 * (seen with Kubernetes 1.36), so theirs is the moment when the change was seen, 0 when it was not.
 */
export function replicasManagerOf(
  metadata: Fields,
  previous: TargetState['replicasManager'] | undefined,
  seenAt: number,
): TargetState['replicasManager'] {
  let best: TargetState['replicasManager'] = null;
  for (const entry of list(metadata.managedFields).slice(0, maxOwners).map(fields)) {
    if (fields(fields(entry.fieldsV1)['f:spec'])['f:replicas'] === undefined) continue;
    const name = text(entry.manager, 128);
    const subresource = text(entry.subresource, 64);
    const isSame = previous?.name === name && previous.subresource === subresource;
    const at = time(entry.time) || (isSame ? previous.at : seenAt);
    if (best === null || at > best.at || (at === best.at && subresource === 'scale'))
      best = { name, subresource, at };
  }
  return best;
}

/** Tools that keep the object as a repository has it, by the marks that they leave on it. */
export function gitopsOf(metadata: Fields): TargetState['gitops'] {
  const labels = fields(metadata.labels);
  const annotations = fields(metadata.annotations);
  // Argo CD documentation, Resource Tracking: `<application>:<group>/<kind>:<namespace>/<name>`.
  const tracking = text(annotations['argocd.argoproj.io/tracking-id'], 1024);
  if (tracking !== '') return { tool: 'Argo CD', name: text(tracking.split(':')[0], 128) };
  const instance = text(labels['argocd.argoproj.io/instance'], 128);
  if (instance !== '') return { tool: 'Argo CD', name: instance };
  const isArgo = Object.keys(annotations).some((key) => key.startsWith('argocd.argoproj.io/'));
  const application = text(labels['app.kubernetes.io/instance'], 128);
  if (isArgo && application !== '') return { tool: 'Argo CD', name: application };
  for (const label of ['kustomize.toolkit.fluxcd.io/name', 'helm.toolkit.fluxcd.io/name']) {
    const name = text(labels[label], 128);
    if (name !== '') return { tool: 'Flux', name };
  }
  return null;
}

function conditionsOf(status: Fields): readonly Condition[] {
  return list(status.conditions)
    .slice(0, maxConditions)
    .map(fields)
    .map((condition) => ({
      type: text(condition.type, 64),
      status: text(condition.status, 16),
      reason: text(condition.reason, 64),
      message: text(condition.message, 512),
    }));
}

/**
 * Slim record of a target.
 * @param isKnown whether its kind has the known paths
 * @param previous the record of the same object before
 * @param now Unix milliseconds
 */
export function parseTarget(
  object: Fields,
  isKnown: boolean,
  previous: TargetRecord | undefined,
  now: number,
): TargetRecord {
  const metadata = fields(object.metadata);
  const spec = fields(object.spec);
  const status = fields(object.status);
  const desired = count(spec.replicas, isKnown ? 1 : 0);
  const generation = count(metadata.generation);
  const before = previous?.state;
  const isSeen = before !== undefined && (before.desired !== desired || before.generation !== generation);
  const manager = replicasManagerOf(
    metadata,
    before?.desired === desired ? before.replicasManager : undefined,
    isSeen ? now : 0,
  );
  const retention = fields(spec.persistentVolumeClaimRetentionPolicy);
  return {
    state: {
      uid: text(metadata.uid, 64),
      resourceVersion: text(metadata.resourceVersion, 64),
      generation,
      // Kinds that do not report it would otherwise never be up to date.
      observedGeneration: count(status.observedGeneration, isKnown ? 0 : generation),
      // A DaemonSet counts under names of its own.
      desired: count(status.desiredNumberScheduled, desired),
      observed: count(status.currentNumberScheduled ?? status.replicas),
      ready: count(status.numberReady ?? status.readyReplicas),
      isPaused: spec.paused === true,
      isDeleting: metadata.deletionTimestamp !== undefined,
      conditions: conditionsOf(status),
      replicasManager: manager,
      gitops: gitopsOf(metadata),
      deletesClaims: retention.whenScaled === 'Delete',
      settings: settingsOf(object),
    },
    selector: selectorQuery(fields(spec.selector)),
    hasReady: isKnown || typeof status.readyReplicas === 'number',
  };
}
