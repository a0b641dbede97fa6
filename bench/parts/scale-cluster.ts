/** A part: the simulated cluster of the scale bench, and what passed its door. */
import { subscribe } from 'node:diagnostics_channel';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { Client } from 'undici';
import { silentLog } from '../../daemon/log.ts';
import { deploymentRef, type SimCluster, startSimCluster } from '../../hil/sim/cluster/cluster.ts';
import { serve, sharedNow } from '../processes.ts';

export interface Deployed {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
}

export interface ScaleClusterOptions {
  readonly folder: string;
  readonly deployments: readonly Deployed[];
  /** Roles and RoleBindings. */
  readonly objects: readonly { readonly apiVersion: string; readonly kind: string }[];
}

/** What passed since the start. */
export interface Passed {
  /** Numbers that were really set: PUTs of a scale that were answered with 200. */
  readonly writes: number;
  /** PUTs that were answered otherwise. */
  readonly refused: number;
  readonly podEvents: number;
  /** When the last event of a Pod was given to a watch, on the shared clock. */
  readonly lastPodEventAt: number;
  readonly watches: number;
}

/** Everything is over in a moment, so that the time is the gateway's, and Pods that are not ready report that rarely. */
const timing = { createMs: 5, scheduleMs: 5, startMs: 5, readyMs: 5, terminateMs: 5, bookmarkMs: 600_000 };
const token = 'bench';

let cluster: SimCluster | null = null;
let options: ScaleClusterOptions | null = null;
const passed = { writes: 0, refused: 0, podEvents: 0, lastPodEventAt: 0 };

subscribe('http.server.response.finish', (message) => {
  const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
  const { method, url = '' } = request;
  if (method !== 'PUT' || !url.includes('/scale') || url.includes('dryRun')) return;
  if (response.statusCode === 200) passed.writes++;
  else passed.refused++;
});

const { write } = ServerResponse.prototype;
ServerResponse.prototype.write = function writeAndNote(this: ServerResponse, ...args: unknown[]): boolean {
  const [chunk] = args;
  if (typeof chunk === 'string' && chunk.startsWith('{"type":"MODIFIED","object":{"kind":"Pod"')) {
    passed.podEvents++;
    passed.lastPodEventAt = sharedNow();
  }
  return Reflect.apply(write, this, args);
} as typeof write;

const known = (): { cluster: SimCluster; options: ScaleClusterOptions } => {
  if (cluster === null || options === null) throw new Error('there is no cluster yet');
  return { cluster, options };
};

/** Resolves when all Pods of all Deployments are ready. */
async function allReady(): Promise<void> {
  const { cluster: running, options: asked } = known();
  running.control.addToken(token, 'bench', ['system:masters']);
  const client = new Client(running.url, { connect: { ca: running.caPem } });
  try {
    for (;;) {
      const { body } = await client.request({
        method: 'GET',
        path: '/apis/apps/v1/deployments',
        headers: { authorization: `Bearer ${token}` },
      });
      const { items } = (await body.json()) as { items: { status?: { readyReplicas?: number } }[] };
      const ready = items.reduce((sum, { status }) => sum + (status?.readyReplicas ?? 0), 0);
      if (ready === asked.deployments.reduce((sum, { replicas }) => sum + replicas, 0)) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } finally {
    await client.destroy();
  }
}

serve({
  start: async (asked: ScaleClusterOptions) => {
    const { folder, deployments, objects } = asked;
    const workloads = deployments.map((each) => ({ kind: 'Deployment' as const, ...each }));
    options = asked;
    cluster = await startSimCluster({ port: 0, dir: folder, log: silentLog, workloads, timing, seed: 1 });
    for (const object of objects) cluster.control.create(object);
    await allReady();
    return cluster.kubeconfigPath;
  },
  allReady,
  /** Makes the readiness probes of all Pods of these Deployments fail, or succeed again. @returns when it began */
  setReady: ({ deployments, isReady }: { deployments: readonly Deployed[]; isReady: boolean }): number => {
    const at = sharedNow();
    for (const { namespace, name } of deployments)
      known().cluster.control.setNeverReady(deploymentRef(namespace, name), !isReady);
    return at;
  },
  passed: (): Passed => ({ ...passed, watches: known().cluster.control.openWatches() }),
});
