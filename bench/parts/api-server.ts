/** A part: the simulated cluster, with the times at which requests arrive and watch events leave. */
import { subscribe } from 'node:diagnostics_channel';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { silentLog } from '../../daemon/log.ts';
import { deploymentRef, type SimCluster, startSimCluster } from '../../hil/sim/cluster/cluster.ts';
import { serve, sharedNow } from '../processes.ts';

/** Something that passed the server's door; `at` is on the clock that all processes share, milliseconds. */
export interface Passing {
  readonly what: 'GET' | 'write' | 'pod-event';
  readonly at: number;
}

export interface ApiServerOptions {
  readonly folder: string;
  readonly deployments: readonly { readonly name: string; readonly replicas: number }[];
  /** Roles and RoleBindings. */
  readonly objects: readonly { readonly apiVersion: string; readonly kind: string }[];
}

export const namespace = 'bench';
/** Everything but the writes themselves is over in a moment, so that rounds do not disturb each other. */
const timing = { createMs: 5, scheduleMs: 5, startMs: 5, readyMs: 5, terminateMs: 5, bookmarkMs: 600_000 };

const passings: Passing[] = [];
let onPassing = (): void => {};
function note(what: Passing['what']): void {
  passings.push({ what, at: sharedNow() });
  onPassing();
}

subscribe('http.server.request.start', (message) => {
  const { method, url = '' } = (message as { request: IncomingMessage }).request;
  if (method === 'PUT' || method === 'PATCH') note('write');
  else if (method === 'GET' && url.includes('/scale')) note('GET');
});

const { write } = ServerResponse.prototype;
ServerResponse.prototype.write = function writeAndNote(this: ServerResponse, ...args: unknown[]): boolean {
  const [chunk] = args;
  if (typeof chunk === 'string' && chunk.startsWith('{"type":"MODIFIED","object":{"kind":"Pod"'))
    note('pod-event');
  return Reflect.apply(write, this, args);
} as typeof write;

let cluster: SimCluster | null = null;

serve({
  start: async ({ folder, deployments, objects }: ApiServerOptions) => {
    const workloads = deployments.map((each) => ({ kind: 'Deployment' as const, namespace, ...each }));
    cluster = await startSimCluster({ port: 0, dir: folder, log: silentLog, workloads, timing, seed: 1 });
    for (const object of objects) cluster.control.create(object);
    return cluster.kubeconfigPath;
  },
  setNeverReady: ({ name, isOn }: { name: string; isOn: boolean }) =>
    cluster?.control.setNeverReady(deploymentRef(namespace, name), isOn),
  clear: () => {
    passings.length = 0;
  },
  /** What passed since `clear`, as soon as there are so many of a kind, or when the time is over. */
  passings: ({ what, count, timeoutMs }: { what: Passing['what']; count: number; timeoutMs: number }) =>
    new Promise<Passing[]>((resolve) => {
      const done = (): void => {
        clearTimeout(late);
        onPassing = (): void => {};
        // Later, so that the answer to whom is measured is not held up by this one.
        setTimeout(() => resolve([...passings]), 20);
      };
      const late = setTimeout(done, timeoutMs);
      onPassing = (): void => {
        if (passings.filter((each) => each.what === what).length >= count) done();
      };
      onPassing();
    }),
});
