/** The simulated cluster as a whole: starts the controllers and the HTTPS server, and stops them. */
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Log } from '../../../daemon/log.ts';
import { makeCertificates, writeKubeconfig } from './certificates.ts';
import { SimControl } from './control.ts';
import { callControl } from './control-endpoint.ts';
import { startAutoscalers } from './controllers/autoscaler.ts';
import { startBudgets } from './controllers/budgets.ts';
import { startClaims } from './controllers/claims.ts';
import { startDaemonSets } from './controllers/daemonsets.ts';
import { startDeployments } from './controllers/deployment.ts';
import { EventRecorder } from './controllers/events.ts';
import { startGarbageCollector } from './controllers/garbage.ts';
import { startJobs } from './controllers/jobs.ts';
import { startKubelets } from './controllers/kubelet.ts';
import { startNewEvents } from './controllers/new-events.ts';
import { startQuotas } from './controllers/quota.ts';
import { startReplicaSets } from './controllers/replicaset.ts';
import { startScheduler } from './controllers/scheduler.ts';
import { startStatefulSets } from './controllers/statefulset.ts';
import { startDefinitions } from './custom.ts';
import { Faults, RequestLog } from './faults.ts';
import { type Api, handle } from './http.ts';
import { Random } from './random.ts';
import type { Identity } from './rbac.ts';
import { builtin, Resources } from './resources.ts';
import { Store } from './store.ts';
import { Timers } from './timers.ts';
import { Watches } from './watch.ts';
import { addWorkload, demoWorkloads, furnish, type SimWorkload } from './workloads.ts';
import { defaultTiming, type SimTiming, type World } from './world.ts';

export { deploymentRef, type SimControl, type WorkloadRef } from './control.ts';
export { demoWorkloads, type SimWorkload } from './workloads.ts';
export { defaultTiming, type SimTiming } from './world.ts';

/** How a simulated cluster is to be. */
export interface SimClusterOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Folder that the kubeconfig and the CA certificate are written to. */
  readonly dir: string;
  readonly log: Log;
  readonly workloads: readonly SimWorkload[] | 'demo' | 'none';
  /** What is not named is as in `defaultTiming`. */
  readonly timing: Partial<SimTiming>;
  readonly seed: number;
}

/** A running simulated cluster. */
export interface SimCluster {
  readonly url: string;
  readonly kubeconfigPath: string;
  readonly caPem: string;
  readonly control: SimControl;
  /** Ends at once, open watches included. */
  close(): Promise<void>;
}

/** Events kept per kind, for watches that start in the past. */
const HISTORY_PER_KIND = 10_000;

/** Starts a simulated cluster on 127.0.0.1. */
export async function startSimCluster(options: SimClusterOptions): Promise<SimCluster> {
  const now = (): number => Date.now();
  const random = new Random(options.seed);
  const timers = new Timers();
  const store = new Store({ random, now, historyPerKind: HISTORY_PER_KIND });
  const world: World = {
    store,
    random,
    timers,
    now,
    resources: new Resources(),
    timing: { ...defaultTiming, ...options.timing },
    events: new EventRecorder(store, now),
    log: options.log,
  };
  startControllers(world);
  furnish(world);
  const workloads = options.workloads === 'demo' ? demoWorkloads : options.workloads;
  for (const workload of workloads === 'none' ? [] : workloads) addWorkload(world, workload);

  const tokens = new Map<string, Identity>();
  const watches = new Watches();
  const faults = new Faults();
  const requestLog = new RequestLog();
  const sockets = new Set<Socket>();
  let connections = 0;
  const control = new SimControl({
    world,
    faults,
    watches,
    requestLog,
    tokens,
    connections: () => connections,
  });
  const api: Api = {
    world,
    watches,
    faults,
    log: requestLog,
    tokens,
    controlCall: (name, body) => callControl(control, name, body),
  };
  const certificates = await makeCertificates(now());
  const server = createServer(
    {
      ...certificates.server,
      ca: certificates.ca,
      requestCert: true,
      // Whoever shows no certificate may still have a token, or is anonymous.
      rejectUnauthorized: false,
      // The API server keeps idle connections for minutes; Node's 5 s would surprise clients.
      keepAliveTimeout: 120_000,
    },
    (request, response) => void handle(api, request, response),
  );
  server.on('secureConnection', () => connections++);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfigPath = await writeKubeconfig(options.dir, url, certificates);
  options.log.info({ url, kubeconfig: kubeconfigPath }, 'simulated cluster is ready');
  return {
    url,
    kubeconfigPath,
    caPem: certificates.ca,
    control,
    close: async () => {
      timers.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function startControllers(world: World): void {
  startDefinitions(world);
  startNewEvents(world);
  startQuotas(world);
  startDeployments(world);
  startReplicaSets(world, builtin.replicaSets);
  startReplicaSets(world, builtin.replicationControllers);
  startStatefulSets(world);
  startDaemonSets(world);
  startJobs(world);
  startBudgets(world);
  startClaims(world);
  startScheduler(world);
  startKubelets(world);
  startAutoscalers(world);
  startGarbageCollector(world);
}
