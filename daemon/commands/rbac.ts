/** `surfaced rbac`: the rights that a surface's bindings need, ready for `kubectl apply`. */
import { stringify } from 'yaml';
import { rbacFor } from '../bridge/kube/rbac.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';

/** YAML documents with a Role and a RoleBinding for each namespace that the surface has targets in. */
export function rbacManifest(
  surface: ControlSurface,
  cluster: Pick<GatewayConfig['cluster'], 'userPrefix'>,
): string {
  return rbacFor(surface, cluster)
    .map((object) => stringify(object))
    .join('---\n');
}
