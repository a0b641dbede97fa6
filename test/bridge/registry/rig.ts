/** A simulated cluster with the generated definitions in it, and a connection to it. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { type ConnectedCluster, connectCluster } from '../../../daemon/bridge/kube/cluster.ts';
import {
  type ClusterRegistry,
  type ClusterRegistryTiming,
  openClusterRegistry,
} from '../../../daemon/bridge/registry/cluster/cluster.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { SimCluster } from '../../../hil/sim/cluster/cluster.ts';
import type { SimWorkload } from '../../../hil/sim/cluster/workloads.ts';
import { type Client, type Json, startedCluster } from '../../hil/cluster/support.ts';
import { quick } from '../kube/start.ts';

export const namespace = 'surfaced';
export const surfaces = `/apis/surfaced.dev/v1alpha1/namespaces/${namespace}/controlsurfaces`;
export const requests = `/apis/surfaced.dev/v1alpha1/namespaces/${namespace}/surfacerequests`;
export const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** False, or why tests with kubectl are left out. */
export const withoutKubectl: string | false =
  spawnSync('kubectl', ['version', '--client']).status === 0
    ? false
    : 'kubectl is not installed (npm test installs kubernetes-client)';

/** A generated definition as an object. */
export const definition = (plural: string): Json =>
  parse(readFileSync(new URL(`../../../deploy/crd/${plural}.yaml`, import.meta.url), 'utf8')) as Json;

/** What a ControlSurface needs, and what a test adds to its spec. */
export const surface = (name: string, spec: Json = {}): Json => ({
  apiVersion: 'surfaced.dev/v1alpha1',
  kind: 'ControlSurface',
  metadata: { name },
  spec,
});
export const binding = (control: string, more: Json = {}): Json => ({
  control,
  max: 9,
  target: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
  ...more,
});

export interface Site {
  readonly cluster: SimCluster;
  readonly client: Client;
  readonly folder: string;
  kubectl(...words: string[]): Promise<string>;
}

/** A cluster with the namespace and, unless told otherwise, the definitions. */
export async function site(
  t: Test,
  change: { readonly isBare?: boolean; readonly workloads?: readonly SimWorkload[] } = {},
): Promise<Site> {
  const { cluster, client } = await startedCluster(t, { workloads: change.workloads ?? 'none' });
  const folder = await mkdtemp(path.join(tmpdir(), 'surfaced-registry-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await client.post('/api/v1/namespaces', { metadata: { name: namespace } });
  if (!change.isBare) await install(client);
  const env = { PATH: process.env.PATH ?? '', HOME: folder, KUBECONFIG: cluster.kubeconfigPath };
  const run = promisify(execFile);
  return {
    cluster,
    client,
    folder,
    kubectl: async (...words) => (await run('kubectl', ['-n', namespace, ...words], { env })).stdout,
  };
}

/** Installs both definitions. */
export async function install(client: Client): Promise<void> {
  for (const plural of ['controlsurfaces', 'surfacerequests'])
    await client.post(definitions, definition(plural));
}

/** A connection as the gateway has it; `user` is somebody with a token instead of the administrator. */
export async function connected(
  t: Test,
  { cluster }: Pick<Site, 'cluster'>,
  kubeconfig = cluster.kubeconfigPath,
): Promise<ConnectedCluster> {
  const connection = await connectCluster({
    config: { kubeconfig, userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' },
    log: silentLog,
    clock: systemClock,
    random: Math.random,
    fieldManager: 'surfaced',
    tuning: quick,
  });
  t.teardown(() => connection.close());
  return connection;
}

/** An open registry. */
export async function registry(
  t: Test,
  connection: ConnectedCluster,
  folder: string,
  timing: Partial<ClusterRegistryTiming> = {},
): Promise<ClusterRegistry> {
  const opened = await openClusterRegistry({
    access: connection.access,
    namespace,
    stateDir: path.join(folder, 'state'),
    clock: systemClock,
    log: silentLog,
    timing: { startMs: 60_000, definitionsMs: 600_000, snapshotMs: 1, ...timing },
  });
  t.teardown(() => opened.close());
  return opened;
}

/** Resolves when the claim holds; looked at again and again, for things that tell nobody. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 15));
}
