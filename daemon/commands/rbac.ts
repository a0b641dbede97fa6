/** `surfaced rbac`: the rights that a surface's bindings need, ready for `kubectl apply`. */
import { stringify } from 'yaml';
import { gatewayRbacFor, rbacFor, type ServiceAccountRef } from '../bridge/kube/rbac.ts';
import { verbRights } from '../bridge/kube/rights.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';

/** The account in `namespace/name`; null for `none`. @throws SurfacedError E_USAGE */
export function parseAccount(text: string): ServiceAccountRef | null {
  if (text === 'none') return null;
  const [namespace, name, more] = text.split('/');
  if (!namespace || !name || more !== undefined)
    throw new SurfacedError(
      'E_USAGE',
      `--account: ${text} is not namespace/name of a ServiceAccount, or none`,
    );
  return { namespace, name };
}

/**
 * YAML documents: a Role and a RoleBinding for each namespace that the surface has targets in, and the same for the gateway's
 * own account with its right to act as this surface. Where Kubernetes has no right as narrow as what is meant, comments say so.
 * @param account of the gateway; null: it runs with rights of its own, outside of the cluster
 */
export function rbacManifest(
  surface: ControlSurface,
  cluster: Pick<GatewayConfig['cluster'], 'userPrefix' | 'group'>,
  account: ServiceAccountRef | null,
): string {
  const beyond = surface.spec.bindings.flatMap((binding) => {
    const words = verbRights[binding.verb].beyond(binding);
    return words === null ? [] : `# ${binding.verb}: ${words}.\n`;
  });
  const objects = [
    ...rbacFor(surface, cluster),
    ...(account ? gatewayRbacFor(surface, cluster, account) : []),
  ].map((object) => stringify(object, { aliasDuplicateObjects: false }));
  return [...new Set(beyond)].join('') + objects.join('---\n');
}
