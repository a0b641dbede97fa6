/** The gateway loop with the real Kubernetes client on a simulated cluster, with exactly the rights that `surfaced rbac` prints. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { connectCluster } from '../../../../daemon/bridge/kube/cluster.ts';
import { gatewayRbacFor, type RbacObject, rbacFor } from '../../../../daemon/bridge/kube/rbac.ts';
import type { Cluster } from '../../../../daemon/bridge/kube/types.ts';
import type { SlotMessage } from '../../../../daemon/bridge/wire/messages.ts';
import { systemClock } from '../../../../daemon/clock.ts';
import { silentLog } from '../../../../daemon/log.ts';
import type { Guard } from '../../../../daemon/surface/types.ts';
import { type SimCluster, type SimWorkload, startSimCluster } from '../../../../hil/sim/cluster/cluster.ts';
import { quick } from '../../kube/start.ts';
import { Bench, type BindingInput, fastTime, surfaceOf } from '../bed.ts';

/** Any object, as `kubectl create` takes it. */
export type Thing = { readonly apiVersion: string; readonly kind: string } & Readonly<
  Record<string, unknown>
>;

export interface Site {
  readonly sim: SimCluster;
  /** As the gateway has it. */
  readonly kube: Cluster;
  readonly bench: Bench<typeof fastTime, Cluster>;
  /** The newest message of the slot of the n-th binding. */
  shown(slot: number): SlotMessage | undefined;
  /** Waits until the slot shows it. */
  until(slot: number, isSo: (message: SlotMessage) => boolean): Promise<SlotMessage>;
  /** Asks for a number from what is shown, and waits for the end; returns the phases and the last code. */
  turn(slot: number, want: number, arm?: readonly Guard[]): Promise<string>;
  /** The sentence of the last end. */
  said(): string;
  /** An object as it is now, over the API. */
  get(path: string): Promise<Record<string, unknown>>;
  /** Something else than a surface writes. */
  merge(path: string, patch: unknown): Promise<void>;
}

const cluster = { userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' };
const account = { namespace: 'surfaced', name: 'surfaced-gateway' };
const user = `system:serviceaccount:${account.namespace}:${account.name}`;

const without = (object: RbacObject, resource: string): RbacObject => {
  const rules = object.rules as readonly { resources: readonly string[] }[] | undefined;
  return rules === undefined
    ? object
    : { ...object, rules: rules.filter(({ resources }) => !resources.includes(resource)) };
};

/** A site of one surface `desk` with these bindings. */
export async function startSite(
  t: Test,
  world: {
    readonly workloads?: readonly SimWorkload[];
    readonly things?: readonly Thing[];
    readonly bindings: readonly BindingInput[];
    /** What all controls of the panel are; left out: faders. */
    readonly controls?: 'pads';
    /** A resource that the surface gets no rights to. */
    readonly withheld?: string;
  },
): Promise<Site> {
  const dir = mkdtempSync(path.join(tmpdir(), 'surfaced-verbs-'));
  const sim = await startSimCluster({
    ...{ port: 0, dir, log: silentLog, workloads: world.workloads ?? 'none', seed: 1 },
    timing: {
      ...{ createMs: 4, scheduleMs: 4, startMs: 15, readyMs: 10, terminateMs: 30 },
      ...{ hpaSyncMs: 150, revertMs: 5 },
    },
  });
  for (const thing of world.things ?? []) sim.control.create(thing);
  const desk = surfaceOf('desk', world.bindings);
  for (const object of [...rbacFor(desk, cluster), ...gatewayRbacFor(desk, cluster, account)])
    sim.control.create(without(object, world.withheld ?? ''));
  sim.control.addToken('gateway-token', user, []);
  const kubeconfig = path.join(dir, 'gateway.json');
  const ca = Buffer.from(sim.caPem).toString('base64');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'sim', cluster: { server: sim.url, 'certificate-authority-data': ca } }],
      users: [{ name: 'gateway', user: { token: 'gateway-token' } }],
      contexts: [{ name: 'sim', context: { cluster: 'sim', user: 'gateway' } }],
      'current-context': 'sim',
    }),
  );
  const connect = (config: { kubeconfig: string }) =>
    connectCluster({
      config: { ...config, ...cluster },
      log: silentLog,
      clock: systemClock,
      random: Math.random,
      fieldManager: 'surfaced',
      tuning: quick,
    });
  const kube = await connect({ kubeconfig });
  const admin = await connect({ kubeconfig: sim.kubeconfigPath });
  const bench = new Bench(fastTime, kube as Cluster);
  bench.registry.set('desk', desk);
  bench.start();
  bench.birth('desk', { kind: world.controls ?? 'fader' });
  t.teardown(async () => {
    await bench.relay.close();
    await kube.close();
    await admin.close();
    await sim.close();
    rmSync(dir, { recursive: true });
  });

  let last = '';
  const shown = (slot: number) => bench.slots(slot).at(-1);
  const until = async (slot: number, isSo: (message: SlotMessage) => boolean): Promise<SlotMessage> => {
    const newest = (): SlotMessage | undefined => shown(slot);
    await bench.bus.until(() => {
      const message = newest();
      return message !== undefined && isSo(message);
    });
    return newest() as SlotMessage;
  };
  const never = new AbortController().signal;
  return {
    sim,
    kube,
    bench,
    shown,
    until,
    async turn(slot, want, arm = []) {
      const { desired } = await until(slot, (message) => message.desired !== null);
      last = bench.send({ slot, want, saw: desired ?? 0, ttlMs: 30_000, ...(arm.length > 0 && { arm }) });
      await bench.bus.until(() => bench.hasEnded(last));
      return `${bench.phases(last)} ${bench.acks(last).at(-1)?.code}`.trim();
    },
    said: () => bench.acks(last).at(-1)?.detail ?? '',
    get: async (at) => (await admin.access.get(at, never)) as Record<string, unknown>,
    merge: async (at, patch) => {
      await admin.access.write({ method: 'PATCH', path: at, body: patch }, never);
    },
  };
}
