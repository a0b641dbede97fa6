/** The rights that a surface needs for its bindings, as Kubernetes objects: one Role and RoleBinding a namespace. */
import type { ControlSurface, GatewayConfig, TargetRef } from '../../config/schema.ts';

/** A Role or RoleBinding, as far as it is written here. */
export interface RbacObject {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: 'Role' | 'RoleBinding';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Record<string, string>;
  };
  readonly [field: string]: unknown;
}

/**
 * Plural of a kind as built-in kinds have it; a custom resource may differ, which `kubectl api-resources` tells.
 */
export function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (/(?:s|x|ch|sh)$/.test(lower)) return `${lower}es`;
  return /[^aeiou]y$/.test(lower) ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

const groupOf = (target: TargetRef): string =>
  target.apiVersion.includes('/') ? (target.apiVersion.split('/')[0] ?? '') : '';

/**
 * Least rights for the bindings of a surface: get and update of the scale subresource of the named objects.
 * @param surface whose bindings name the targets
 * @param cluster how the gateway names the user that it acts as
 */
export function rbacFor(
  surface: ControlSurface,
  cluster: Pick<GatewayConfig['cluster'], 'userPrefix'>,
): readonly RbacObject[] {
  const name = `surfaced-${surface.metadata.name}`;
  const labels = { 'app.kubernetes.io/managed-by': 'surfaced' };
  const namespaces = new Set(surface.spec.bindings.map((binding) => binding.target.namespace));
  const objects: RbacObject[] = [];
  for (const namespace of namespaces) {
    const bindings = surface.spec.bindings.filter((binding) => binding.target.namespace === namespace);
    const rules = new Map<
      string,
      { apiGroups: string[]; resources: string[]; resourceNames: string[]; verbs: string[] }
    >();
    for (const { target } of bindings) {
      const resource = `${pluralOf(target.kind)}/scale`;
      const key = `${groupOf(target)}/${resource}`;
      const rule = rules.get(key) ?? {
        apiGroups: [groupOf(target)],
        resources: [resource],
        resourceNames: [],
        verbs: ['get', 'update'],
      };
      if (!rule.resourceNames.includes(target.name)) rule.resourceNames.push(target.name);
      rules.set(key, rule);
    }
    objects.push({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name, namespace, labels },
      rules: [...rules.values()],
    });
    objects.push({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name, namespace, labels },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [
        {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'User',
          name: `${cluster.userPrefix}${surface.metadata.name}`,
        },
      ],
    });
  }
  return objects;
}
