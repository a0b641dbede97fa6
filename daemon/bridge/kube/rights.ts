/** The rights that each verb needs, for the surface and for the gateway that follows it; one place for `surfaced rbac`. */
import type { TargetRef } from '../../config/schema.ts';
import { groupOf, type VerbName } from '../../config/verbs.ts';
import { traitsOf } from './kinds.ts';
import { hasKnownPaths } from './targets.ts';

/** A rule of a Role: what may be done with which resources; no names: with all of them. */
export interface RbacRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** What an operator binds, as far as rights depend on it. */
export interface RightsSubject {
  readonly target: TargetRef;
  readonly autoscaler: 'arm' | 'refuse' | 'minReplicas';
  readonly show: 'pods' | 'claims';
}

/** The rights that one verb needs, in words for refusals and as rules. */
export interface VerbRights {
  /** What of the target is read and written; `the scale of`, or nothing when it is the object itself. */
  readonly part: 'the scale of ' | '';
  /** Of the user that the gateway acts as. */
  acting(binding: RightsSubject): readonly RbacRule[];
  /** What is allowed beyond what is meant, because Kubernetes has no narrower right; null: nothing. */
  beyond(binding: RightsSubject): string | null;
}

const follow = ['list', 'watch'] as const;

/**
 * Plural of a kind as built-in kinds have it; a custom resource may differ, which `kubectl api-resources` tells.
 */
export function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (/(?:s|x|ch|sh)$/.test(lower)) return `${lower}es`;
  return /[^aeiou]y$/.test(lower) ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

const onTarget = (
  { apiVersion, kind, name }: TargetRef,
  sub: string,
  verbs: readonly string[],
): RbacRule => ({
  apiGroups: [groupOf(apiVersion)],
  resources: [`${pluralOf(kind)}${sub}`],
  resourceNames: [name],
  verbs,
});

/** Kubernetes has no rights to single fields: who may patch the object may patch all of it. */
const patching: VerbRights = {
  part: '',
  acting: ({ target }) => [onTarget(target, '', ['get', 'patch'])],
  beyond: ({ target }) => `patch is to all fields of ${target.kind} ${target.name}, not to one alone`,
};

/** Rights by verb. */
export const verbRights: Readonly<Record<VerbName, VerbRights>> = {
  scale: {
    part: 'the scale of ',
    acting: ({ target, autoscaler }) => [
      onTarget(target, '/scale', ['get', 'update']),
      // The autoscaler is found by what it scales, so its name is not known here: `floor` with a named target takes less.
      ...(autoscaler === 'minReplicas'
        ? [
            { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: ['get', 'patch'] },
            { apiGroups: ['keda.sh'], resources: ['scaledobjects'], verbs: ['get', 'patch'] },
          ]
        : []),
    ],
    beyond: ({ target, autoscaler }) =>
      autoscaler === 'minReplicas'
        ? `the name of the autoscaler is not known, so patch is to all of them in namespace ${target.namespace}`
        : null,
  },
  floor: patching,
  ceiling: patching,
  restart: patching,
  pause: patching,
  suspend: patching,
  cordon: patching,
  drain: {
    part: '',
    acting: ({ target }) => [
      onTarget(target, '', ['get', 'patch']),
      // Which Pods will be on the Node nobody knows, so neither names nor namespaces can be given.
      { apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] },
    ],
    beyond: ({ target }) =>
      `which Pods will be on Node ${target.name} is not known, so any Pod of the cluster may be evicted, as its budget allows`,
  },
};

/** Events on a target, in its namespace. */
export const tellingRule: RbacRule = {
  apiGroups: ['events.k8s.io'],
  resources: ['events'],
  verbs: ['create', 'patch'],
};

/**
 * What the gateway itself does for one binding: see target-watch.ts. Lists and watches of one name are allowed by
 * `resourceNames` when they ask for `metadata.name` alone (Kubernetes documentation, "Using RBAC Authorization", Referring to
 * resources).
 */
export function followingRules({ target, show }: RightsSubject): readonly RbacRule[] {
  const traits = traitsOf(target);
  const isOfCluster = target.namespace === '';
  return [
    onTarget(target, '', ['get', ...follow]),
    // Where its number is in such an object only its scale tells.
    ...(traits.hasScale && !hasKnownPaths(target.apiVersion, target.kind)
      ? [onTarget(target, '/scale', ['get'])]
      : []),
    ...(traits.pods === 'none' ? [] : [{ apiGroups: [''], resources: ['pods'], verbs: follow }]),
    ...(show === 'claims' ? [{ apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: follow }] : []),
    ...(traits.hasScale
      ? [
          { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: follow },
          { apiGroups: ['keda.sh'], resources: ['scaledobjects'], verbs: follow },
        ]
      : []),
    // Why Pods do not come; the Events of what is in no namespace are in `default`.
    ...(isOfCluster ? [] : [{ apiGroups: [''], resources: ['events'], verbs: ['list'] }, tellingRule]),
  ];
}
