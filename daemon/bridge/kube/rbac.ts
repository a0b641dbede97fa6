/**
 * The rights that a surface needs for its bindings, as Kubernetes objects: those of the user that the gateway acts as, and those
 * of the gateway itself for this one surface. Nothing else is ever bound to the gateway but its own namespace (`deploy/base`).
 */
import type { ControlSurface, GatewayConfig } from '../../config/schema.ts';
import { followingRules, type RbacRule, tellingRule, verbRights } from './rights.ts';

export { pluralOf, type RbacRule } from './rights.ts';

/** A role or a binding, as far as it is written here. */
export interface RbacObject {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: 'Role' | 'RoleBinding' | 'ClusterRole' | 'ClusterRoleBinding';
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Record<string, string>;
  };
  readonly [field: string]: unknown;
}

/** The account of a gateway in the cluster. */
export interface ServiceAccountRef {
  readonly namespace: string;
  readonly name: string;
}

const apiGroup = 'rbac.authorization.k8s.io';
/** Rules of the same resources and verbs become one that has all of their names. */
function merged(rules: readonly RbacRule[]): RbacRule[] {
  const byKey = new Map<string, RbacRule>();
  for (const rule of rules) {
    const key = JSON.stringify([
      rule.apiGroups,
      rule.resources,
      rule.verbs,
      rule.resourceNames === undefined,
    ]);
    const names = [...(byKey.get(key)?.resourceNames ?? []), ...(rule.resourceNames ?? [])];
    byKey.set(key, rule.resourceNames ? { ...rule, resourceNames: [...new Set(names)] } : rule);
  }
  return [...byKey.values()];
}

/** A role with these rules and its binding to one subject; without a namespace, of the cluster. */
function granted(options: {
  readonly surface: string;
  readonly name: string;
  readonly namespace: string | null;
  readonly rules: readonly RbacRule[];
  readonly subject: Readonly<Record<string, string>>;
}): RbacObject[] {
  const { surface, name, namespace, rules, subject } = options;
  const labels = { 'app.kubernetes.io/managed-by': 'surfaced', 'surfaced.dev/surface': surface };
  const metadata = { name, ...(namespace !== null && { namespace }), labels };
  const kind = namespace === null ? 'ClusterRole' : 'Role';
  const apiVersion = `${apiGroup}/v1` as const;
  return [
    { apiVersion, kind, metadata, rules },
    { apiVersion, kind: `${kind}Binding`, metadata, roleRef: { apiGroup, kind, name }, subjects: [subject] },
  ];
}

type BindingConfig = ControlSurface['spec']['bindings'][number];

/** For each namespace that the surface has targets in, and null for those of the cluster: the rules for all of them. */
function byNamespace(
  surface: ControlSurface,
  rulesOf: (binding: BindingConfig) => readonly RbacRule[],
): [namespace: string | null, rules: RbacRule[]][] {
  const { bindings } = surface.spec;
  return [...new Set(bindings.map(({ target }) => target.namespace))].map((namespace) => [
    namespace === '' ? null : namespace,
    merged(bindings.filter(({ target }) => target.namespace === namespace).flatMap(rulesOf)),
  ]);
}

/** Events on what is in no namespace are written to `default`, as Kubernetes itself does it. */
function withClusterEvents(
  all: readonly [namespace: string | null, rules: RbacRule[]][],
): [namespace: string | null, rules: RbacRule[]][] {
  if (!all.some(([namespace]) => namespace === null)) return [...all];
  const here = all.find(([namespace]) => namespace === 'default')?.[1] ?? [];
  const others = all.filter(([namespace]) => namespace !== 'default');
  return [...others, ['default', merged([...here, tellingRule])]];
}

const actingRules = (binding: BindingConfig): readonly RbacRule[] => verbRights[binding.verb].acting(binding);

/**
 * Least rights of the user that the gateway acts as: what its bindings do to the named objects, nothing else.
 * @param surface whose bindings name the targets
 * @param cluster how the gateway names that user
 */
export function rbacFor(
  surface: ControlSurface,
  cluster: Pick<GatewayConfig['cluster'], 'userPrefix'>,
): readonly RbacObject[] {
  const { name } = surface.metadata;
  const subject = { apiGroup, kind: 'User', name: `${cluster.userPrefix}${name}` };
  return byNamespace(surface, actingRules).flatMap(([namespace, rules]) =>
    granted({
      surface: name,
      name: namespace === null ? `surfaced-cluster-${name}` : `surfaced-${name}`,
      namespace,
      rules,
      subject,
    }),
  );
}

/**
 * Least rights that the gateway needs for this surface: to see its targets, and to be this one user in this one group. Rights
 * that are not printed any more stay until somebody takes them away: `kubectl apply --prune -l surfaced.dev/surface=NAME`.
 */
export function gatewayRbacFor(
  surface: ControlSurface,
  cluster: Pick<GatewayConfig['cluster'], 'userPrefix' | 'group'>,
  account: ServiceAccountRef,
): readonly RbacObject[] {
  const { name } = surface.metadata;
  const subject = { kind: 'ServiceAccount', ...account };
  const impersonate = (group: string, resource: string, value: string): RbacRule => ({
    apiGroups: [group],
    resources: [resource],
    resourceNames: [value],
    verbs: ['impersonate'],
  });
  return [
    ...withClusterEvents(byNamespace(surface, followingRules)).flatMap(([namespace, rules]) =>
      granted({
        surface: name,
        name: namespace === null ? `surfaced-gateway-cluster-${name}` : `surfaced-gateway-${name}`,
        namespace,
        rules,
        subject,
      }),
    ),
    // Users and groups belong to no namespace, so this is a role of the cluster; it names one user.
    ...granted({
      surface: name,
      name: `surfaced-act-as-${name}`,
      namespace: null,
      rules: [
        impersonate('', 'users', `${cluster.userPrefix}${name}`),
        impersonate('', 'groups', cluster.group),
        // For the audit log of the API server; the key of the extra field is the subresource.
        impersonate('authentication.k8s.io', 'userextras/surfaced.dev/surface', name),
      ],
      subject,
    }),
  ];
}
