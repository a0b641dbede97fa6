/** The registry of a gateway as commands see it: read once, from its folder or from the cluster. */
import { openFolderRegistry } from '../bridge/registry/folder.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { silentLog } from '../log.ts';

/** What a registry holds now. */
export interface RegistryView {
  readonly surfaces: readonly ControlSurface[];
  readonly problems: readonly { readonly source: string; readonly message: string }[];
  /** Where it is, for messages. */
  readonly place: string;
}

/** Where a registry is, for messages. */
export const placeOf = ({ registry }: Pick<GatewayConfig, 'registry'>): string =>
  registry.cluster ? `namespace ${registry.cluster.namespace} of the cluster` : (registry.folder ?? '');

/** The folder of a registry that is one. @throws SurfacedError E_REGISTRY */
export function folderOf({ registry }: Pick<GatewayConfig, 'registry'>): string {
  if (registry.folder !== undefined) return registry.folder;
  throw new SurfacedError('E_REGISTRY', 'the surfaces of this gateway are in the cluster, not in a folder');
}

/** @throws SurfacedError E_REGISTRY, E_KUBE_CONFIG */
export async function readRegistry(config: GatewayConfig): Promise<RegistryView> {
  if (config.registry.cluster) {
    const { withCluster } = await import('./cluster-registry.ts');
    return withCluster(config, async (registry) => {
      const { surfaces, problems } = await registry.surfaces();
      return { surfaces, problems, place: placeOf(config) };
    });
  }
  return folderView(config);
}

/** The same of a registry that is a folder. @throws SurfacedError E_REGISTRY */
export async function folderView(config: GatewayConfig): Promise<RegistryView> {
  const registry = await openFolderRegistry({ folder: folderOf(config), log: silentLog });
  const view = { surfaces: registry.list(), problems: [...registry.problems()], place: placeOf(config) };
  await registry.close();
  return view;
}
