/** The cluster of a run: something without Pods that each knob scales, and the log of its writes. */
import { silentLog } from '../../daemon/log.ts';
import { definition, surface, surfaces } from '../../test/bridge/registry/rig.ts';
import { Client } from '../../test/hil/cluster/support.ts';
import { type SimCluster, startSimCluster } from '../sim/cluster/cluster.ts';
import { idOf, type Written } from './ledger.ts';

const group = 'failures.surfaced.dev';
const kind = { apiVersion: `${group}/v1`, kind: 'Dial' };
const namespace = 'shop';
const dials = `/apis/${group}/v1/namespaces/${namespace}/dials`;
const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop';

export interface FailureCluster {
  readonly cluster: SimCluster;
  readonly written: readonly Written[];
  /** Numbers by surface, asked of the API server itself. */
  numbers(): Promise<ReadonlyMap<string, number>>;
  /** Leases by name, with who holds them. */
  holders(): Promise<ReadonlyMap<string, string>>;
  close(): Promise<void>;
}

interface Listed {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly replicas?: number; readonly holderIdentity?: string };
}

/** Starts it with a Dial, a ControlSurface and the rights for each surface. */
export async function startCluster(
  names: readonly string[],
  dir: string,
  seed: number,
): Promise<FailureCluster> {
  const cluster = await startSimCluster({
    port: 0,
    dir,
    log: silentLog,
    workloads: 'none',
    timing: {},
    seed,
  });
  const client = new Client(cluster);
  const list = async (path: string): Promise<readonly Listed[]> =>
    (await client.get(path)).body.items as readonly Listed[];
  for (const name of ['surfaced', namespace]) await client.post('/api/v1/namespaces', { metadata: { name } });
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const plural of ['controlsurfaces', 'surfacerequests'])
    await client.post(definitions, definition(plural));
  await client.post(definitions, dialDefinition);
  await client.post(`${rbac}/roles`, {
    metadata: { name: 'turn' },
    rules: [{ apiGroups: [group], resources: ['dials/scale'], verbs: ['get', 'update'] }],
  });
  await client.post(`${rbac}/rolebindings`, {
    metadata: { name: 'turn' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'turn' },
    subjects: [{ kind: 'Group', name: 'surfaced:surfaces', apiGroup: 'rbac.authorization.k8s.io' }],
  });
  const written: Written[] = [];
  const report = (name: string, replicas: number): void =>
    cluster.control.setStatus({ ...kind, namespace, name }, { replicas, readyReplicas: replicas });
  for (const name of names) {
    await client.post(dials, { ...kind, metadata: { name, namespace }, spec: { replicas: 0 } });
    report(name, 0);
    const target = { ...kind, namespace, name };
    await client.post(surfaces, surface(name, { bindings: [{ control: 'fader1', max: 100_000, target }] }));
  }
  cluster.control.requestLog.onAdd = ({ at, tookMs, verb, resource, user, replicas, path }) => {
    if (verb !== 'update' || resource !== 'dials/scale' || replicas === null) return;
    const [, name = ''] = /^surfaced:surface:(.+)$/.exec(user) ?? [];
    const [, dial = ''] = /\/dials\/([^/]+)\/scale/.exec(path) ?? [];
    // Of another surface than the dial's own it is nobody's.
    written.push({
      id: name === dial ? idOf(name, replicas) : `${user} at ${dial}/${replicas}`,
      at: at + tookMs,
    });
    report(dial, replicas);
  };
  return {
    cluster,
    written,
    numbers: async () =>
      new Map((await list(dials)).map(({ metadata, spec }) => [metadata.name, spec.replicas ?? 0])),
    holders: async () => {
      const leases = await list('/apis/coordination.k8s.io/v1/namespaces/surfaced/leases');
      return new Map(leases.map(({ metadata, spec }) => [metadata.name, spec.holderIdentity ?? '']));
    },
    close: async () => {
      client.close();
      await cluster.close();
    },
  };
}

const integer = { type: 'integer', minimum: 0 };
const dialDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `dials.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'dials', singular: 'dial', kind: 'Dial', listKind: 'DialList' },
    versions: [
      {
        ...{ name: 'v1', served: true, storage: true },
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
        },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { replicas: integer } },
              status: { type: 'object', properties: { replicas: integer, readyReplicas: integer } },
            },
          },
        },
      },
    ],
  },
};
