/** The gateway loop and the real Kubernetes client against the simulated cluster, with the rights that docs/bind.md gives. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { connectCluster } from '../../../daemon/bridge/kube/cluster.ts';
import { rbacFor } from '../../../daemon/bridge/kube/rbac.ts';
import { systemClock } from '../../../daemon/clock.ts';
import type { TargetRef } from '../../../daemon/config/schema.ts';
import { silentLog } from '../../../daemon/log.ts';
import { type SimWorkload, startSimCluster } from '../../../hil/sim/cluster/cluster.ts';
import { quick } from '../kube/start.ts';
import { Bench, type BindingInput, type CommandInput, fastTime, surfaceOf } from './bed.ts';

const workloads: readonly SimWorkload[] = [
  { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 3 },
  { kind: 'Deployment', namespace: 'shop', name: 'web', replicas: 3, autoscaler: { min: 2, max: 4 } },
  { kind: 'StatefulSet', namespace: 'shop', name: 'db', replicas: 2, claims: 'Delete' },
  { kind: 'Deployment', namespace: 'shop', name: 'git', replicas: 2 },
  { kind: 'Deployment', namespace: 'shop', name: 'crashing', replicas: 1 },
  { kind: 'Deployment', namespace: 'shop', name: 'pulling', replicas: 1 },
  { kind: 'ReplicationController', namespace: 'shop', name: 'old', replicas: 1 },
  { kind: 'Deployment', namespace: 'tight', name: 'batch', replicas: 2, quota: 4 },
  { kind: 'StatefulSet', namespace: 'tight', name: 'queue', replicas: 1 },
  { kind: 'Deployment', namespace: 'other', name: 'alien', replicas: 1 },
];
const refOf = ({ kind, namespace, name }: SimWorkload): TargetRef => ({
  apiVersion: kind === 'ReplicationController' ? 'v1' : 'apps/v1',
  kind,
  namespace,
  name,
});

const dir = mkdtempSync(path.join(tmpdir(), 'surfaced-gateway-'));
const sim = await startSimCluster({
  port: 0,
  dir,
  log: silentLog,
  workloads,
  seed: 1,
  timing: {
    createMs: 4,
    scheduleMs: 4,
    startMs: 20,
    readyMs: 10,
    terminateMs: 40,
    crashMs: 20,
    backOffMs: 2000,
    hpaSyncMs: 400,
    revertMs: 5,
  },
});

/** The rights of the gateway's own account, as the guide prints them. */
function grantAsDocumented(namespaces: readonly string[]): void {
  const guide = readFileSync(new URL('../../../docs/bind.md', import.meta.url), 'utf8');
  const block = guide.split('```yaml').find((part) => part.includes('name: surfaced-gateway,'));
  const objects = parseAllDocuments((block ?? '').split('```')[0] ?? '').map(
    (document) =>
      document.toJS() as { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } },
  );
  const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'gateway' }];
  for (const object of objects) {
    const { apiVersion, kind, metadata } = object;
    for (const namespace of kind === 'Role' ? namespaces : [undefined]) {
      const meta = namespace === undefined ? metadata : { ...metadata, namespace };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: metadata.name };
      sim.control.create({ ...object, metadata: meta } as typeof object);
      sim.control.create({
        apiVersion,
        kind: `${kind}Binding`,
        metadata: meta,
        roleRef,
        subjects,
      } as typeof object);
    }
  }
}

grantAsDocumented(['shop', 'tight', 'other']);
sim.control.addToken('gateway-token', 'gateway', []);
const kubeconfig = path.join(dir, 'gateway.json');
writeFileSync(
  kubeconfig,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'sim',
        cluster: { server: sim.url, 'certificate-authority-data': Buffer.from(sim.caPem).toString('base64') },
      },
    ],
    users: [{ name: 'gateway', user: { token: 'gateway-token' } }],
    contexts: [{ name: 'sim', context: { cluster: 'sim', user: 'gateway' } }],
    'current-context': 'sim',
  }),
);

const cluster = await connectCluster({
  config: { kubeconfig, userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' },
  log: silentLog,
  clock: systemClock,
  random: Math.random,
  fieldManager: 'surfaced',
  tuning: quick,
});
const bindings: readonly BindingInput[] = workloads.map((workload, index) => ({
  control: `fader${(index % 4) + 1}`,
  bank: Math.floor(index / 4),
  min: 0,
  zero: 'arm',
  target: refOf(workload),
}));
const desk = surfaceOf('desk', bindings);
for (const object of rbacFor(desk, { userPrefix: 'surfaced:surface:' }))
  if (object.metadata.namespace !== 'other') sim.control.create(object);
const bench = new Bench(fastTime, cluster);
bench.registry.set('desk', desk);
bench.start();
bench.birth('desk');
t.teardown(async () => {
  await bench.relay.close();
  await cluster.close();
  await sim.close();
  rmSync(dir, { recursive: true });
});

const slotOf = (name: string): number => workloads.findIndex((workload) => workload.name === name);
const shown = (name: string): ReturnType<typeof bench.slots>[number] | undefined =>
  bench.slots(slotOf(name)).at(-1);

/** Sends a command to a target whose Pods are all ready, and waits for its end. */
async function turn(
  name: string,
  command: Omit<CommandInput, 'slot' | 'saw'>,
  isQuiet = true,
): Promise<string> {
  await bench.bus.until(() => {
    const slot = shown(name);
    return slot !== undefined && slot.desired !== null && (!isQuiet || slot.condition.state === 'ok');
  });
  const id = bench.send({ ttlMs: 30_000, ...command, saw: shown(name)?.desired ?? 0, slot: slotOf(name) });
  await bench.bus.until(() => bench.hasEnded(id));
  // The ack may be a moment ahead of the slot, which is sent at most ten times a second.
  const now = bench.acks(id).at(-1)?.now ?? null;
  await bench.bus.until(() => now === null || shown(name)?.desired === now);
  return id;
}

t.test('up, down and to zero, until the Pods are there or gone', async (t) => {
  t.equal(bench.phases(await turn('cart', { want: 6 })), 'received accepted converged');
  await bench.bus.until(() => shown('cart')?.ready === 6);
  t.equal(bench.phases(await turn('cart', { want: 2 })), 'received accepted converged');
  t.equal(bench.last(await turn('cart', { want: 0 })), 'needs-arm Zero');
  t.equal(bench.phases(await turn('cart', { want: 0, arm: ['zero'] })), 'received accepted converged');
  await bench.bus.until(() => shown('cart')?.pods.length === 0);
  t.equal(bench.phases(await turn('cart', { want: 3 })), 'received accepted converged');
  t.equal(
    bench.phases(await turn('old', { want: 2 })),
    'received accepted converged',
    'a ReplicationController',
  );
});

t.test('without a Role in its namespace the surface is refused, and told what is missing', async (t) => {
  const id = await turn('alien', { want: 2 });
  t.equal(bench.last(id), 'denied Forbidden');
  t.match(
    bench.acks(id).at(-1)?.detail,
    /^User surfaced:surface:desk may not get the scale of Deployment other\/alien/,
  );
});

t.test('an autoscaler', async (t) => {
  await bench.bus.until(() => shown('web')?.owner?.kind === 'autoscaler');
  t.equal(bench.last(await turn('web', { want: 9 })), 'needs-arm OwnedByAutoscaler');
  const id = await turn('web', { want: 9, arm: ['autoscaler'] });
  t.equal(bench.last(id), 'reverted ByAutoscaler');
  t.equal(bench.acks(id).at(-1)?.detail, 'Set to 4 by horizontal-pod-autoscaler web.');
});

t.test('a GitOps tool', async (t) => {
  await bench.bus.until(() => shown('git')?.condition.state === 'ok');
  sim.control.revertBy(refOf(workloads[slotOf('git')]!), 'argocd-controller', 2);
  const id = await turn('git', { want: 5 });
  t.equal(bench.acks(id).at(-1)?.detail, 'Set to 2 by argocd-controller.');
});

t.test('a StatefulSet that deletes its claims', async (t) => {
  const id = await turn('db', { want: 1 });
  t.equal(bench.last(id), 'needs-arm DeletesClaims');
  t.equal(bench.last(await turn('db', { want: 1, arm: ['claims'] })), 'needs-arm ConfirmAgain');
  t.equal(bench.phases(await turn('db', { want: 1, arm: ['claims'] })), 'received accepted converged');
  t.equal(bench.phases(await turn('db', { want: 3 })), 'received accepted converged', 'up needs no arming');
  t.same(
    shown('db')?.pods.map(([key]) => key),
    ['0', '1', '2'],
  );
});

t.test('a quota: a Deployment tells by its condition, a StatefulSet by its events', async (t) => {
  const batch = await turn('batch', { want: 9 });
  t.equal(bench.last(batch), 'blocked QuotaExceeded');
  t.match(bench.acks(batch).at(-1)?.detail, /^Quota pods is used up: pods=4 of pods=4 in use/);
  t.equal(shown('batch')?.condition.reason, 'QuotaExceeded');
  const queue = await turn('queue', { want: 3 });
  t.equal(bench.last(queue), 'blocked QuotaExceeded');
  await bench.bus.until(() => shown('queue')?.condition.reason === 'QuotaExceeded');
});

t.test('crashing, and an image that is not there', async (t) => {
  await bench.bus.until(() => ['crashing', 'pulling'].every((name) => shown(name)?.condition.state === 'ok'));
  sim.control.setCrashing(refOf(workloads[slotOf('crashing')]!), true);
  sim.control.setImageBroken(refOf(workloads[slotOf('pulling')]!), true);
  t.match(bench.last(await turn('crashing', { want: 3 }, false)), /^blocked (?:CrashLoopBackOff|Error)$/);
  t.match(
    bench.last(await turn('pulling', { want: 3 }, false)),
    /^blocked (?:ImagePullBackOff|ErrImagePull)$/,
  );
});

t.test(
  'watches that are cut, history that is gone, an API server that fails: the end is still right',
  async (t) => {
    const id = bench.send({ want: 7, saw: shown('cart')?.desired ?? 0, slot: slotOf('cart'), ttlMs: 30_000 });
    await bench.bus.until(() => bench.phases(id).endsWith('accepted'));
    sim.control.compactHistory();
    t.ok(sim.control.cutWatches() > 0);
    await bench.bus.until(() => bench.hasEnded(id));
    t.equal(bench.phases(id), 'received accepted converged');
    await bench.bus.until(() => shown('cart')?.ready === 7);
    sim.control.failNext(1, 500, null);
    t.equal(bench.phases(await turn('cart', { want: 3 })), 'received accepted converged');
  },
);
