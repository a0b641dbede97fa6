/** Floor, ceiling, pause, suspend and cordon, each through the whole pipeline, with the rights that are printed for them. */
import t from 'tap';
import { startSite, type Thing } from './site.ts';

const template = {
  metadata: { labels: { app: 'x' } },
  spec: { containers: [{ name: 'main', image: 'i:1' }] },
};
const inShop = (name: string) => ({ namespace: 'shop', name });
const hpa = '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web';
const specOf = (object: Record<string, unknown>) => object.spec as Record<string, unknown>;

t.test('floor and ceiling of a HorizontalPodAutoscaler', async (t) => {
  const target = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', ...inShop('web') };
  const site = await startSite(t, {
    workloads: [
      { kind: 'Deployment', namespace: 'shop', name: 'web', replicas: 3, autoscaler: { min: 2, max: 6 } },
    ],
    bindings: [
      { verb: 'floor', min: 0, max: 9, zero: 'arm', target },
      { verb: 'ceiling', max: 20, target },
    ],
  });
  await site.until(0, ({ desired, observed }) => desired === 2 && observed === 3);
  t.equal(site.shown(0)?.pods.length, 3, 'a light for each Pod that the autoscaler counts');
  t.equal(await site.turn(0, 5), 'received accepted converged');
  t.equal(site.said(), 'It keeps at least 5 replicas.');
  t.equal(specOf(await site.get(hpa)).minReplicas, 5);
  await site.until(0, ({ observed, condition }) => observed === 5 && condition.state === 'ok');
  t.equal(await site.turn(0, 8), 'received denied AboveCeiling');
  t.equal(await site.turn(1, 3), 'received denied BelowFloor');
  await site.until(0, ({ desired }) => desired === 5);
  t.equal(await site.turn(0, 0), 'received denied Invalid', 'the API server refuses zero before it is armed');
  t.equal(await site.turn(0, 2), 'received accepted converged');
  t.equal(await site.turn(1, 4), 'received accepted converged');
  await site.until(1, ({ desired, observed }) => desired === 4 && observed === 4);
  t.equal(site.bench.records.at(-1)?.verb, 'ceiling');

  const id = site.bench.send({ slot: 1, want: 9, saw: 6 });
  await site.bench.bus.until(() => site.bench.hasEnded(id));
  t.equal(site.bench.last(id), 'stale NumberChanged', 'what was seen has to be so');
});

t.test('the floor of the autoscaler in the place of the number', async (t) => {
  const site = await startSite(t, {
    workloads: [
      { kind: 'Deployment', namespace: 'shop', name: 'web', replicas: 3, autoscaler: { min: 2, max: 6 } },
      { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 3 },
    ],
    bindings: [
      { autoscaler: 'minReplicas', max: 9, target: { ...inShop('web') } },
      { autoscaler: 'minReplicas', max: 9, target: { ...inShop('cart') } },
    ],
  });
  const first = await site.until(0, ({ desired, ready }) => desired === 2 && ready === 3);
  t.equal(first.kind, 'Deployment');
  t.equal(first.owner?.kind, 'autoscaler');
  t.equal(await site.turn(0, 5), 'received accepted converged', 'not a matter of arming');
  t.equal(specOf(await site.get(hpa)).minReplicas, 5);
  await site.until(0, ({ desired, ready }) => desired === 5 && ready === 5);
  t.equal(await site.turn(1, 4), 'received accepted converged', 'without an autoscaler it is the number');
  t.equal(specOf(await site.get('/apis/apps/v1/namespaces/shop/deployments/cart')).replicas, 4);
});

t.test('KEDA: its own names for all of it', async (t) => {
  const definition: Thing = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'scaledobjects.keda.sh' },
    spec: {
      group: 'keda.sh',
      names: { plural: 'scaledobjects', kind: 'ScaledObject' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          },
        },
      ],
    },
  };
  const target = { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', ...inShop('jobs') };
  const spec = { scaleTargetRef: { name: 'jobs' }, maxReplicaCount: 7 };
  const site = await startSite(t, {
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'jobs', replicas: 3 }],
    things: [
      definition,
      { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata: inShop('jobs'), spec },
    ],
    bindings: [
      { verb: 'floor', min: 0, max: 9, zero: 'arm', target },
      { verb: 'ceiling', max: 20, target },
      { verb: 'pause', max: undefined, target },
    ],
  });
  await site.until(0, ({ desired }) => desired === 0);
  t.equal(await site.turn(0, 2), 'received accepted converged');
  t.equal(await site.turn(0, 0), 'received needs-arm Zero');
  t.equal(await site.turn(0, 0, ['zero']), 'received accepted converged');
  t.equal(await site.turn(1, 9), 'received accepted converged');
  t.equal(await site.turn(2, 1), 'received accepted converged');
  const object = await site.get('/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/jobs');
  t.match(object, {
    spec: { minReplicaCount: 0, maxReplicaCount: 9 },
    metadata: { annotations: { 'autoscaling.keda.sh/paused': 'true' } },
  });
  t.equal(await site.turn(2, 0), 'received accepted converged');
  const resumed = await site.get('/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/jobs');
  t.same((resumed.metadata as { annotations?: object }).annotations ?? {}, {});
});

t.test('pausing a rollout, and somebody who resumes it', async (t) => {
  const deployment = '/apis/apps/v1/namespaces/shop/deployments/cart';
  const site = await startSite(t, {
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 2 }],
    bindings: [{ verb: 'pause', max: undefined, target: inShop('cart') }],
  });
  t.equal(await site.turn(0, 1), 'received accepted converged');
  t.equal(site.said(), 'It is paused.');
  t.equal(specOf(await site.get(deployment)).paused, true);
  await site.until(0, ({ desired }) => desired === 1);
  await site.merge(deployment, { spec: { paused: null } });
  await site.until(0, ({ desired }) => desired === 0);
  const id = site.bench.send({ want: 2, saw: 0 });
  await site.bench.bus.until(() => site.bench.hasEnded(id));
  t.equal(site.bench.last(id), 'denied OutOfRange', 'there is nothing but 0 and 1');
});

t.test('suspending: a CronJob at once, a Job with its Pods after arming', async (t) => {
  const site = await startSite(t, {
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 1 }],
    things: [
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: inShop('nightly'),
        spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template } } },
      },
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: inShop('import'),
        spec: { parallelism: 2, selector: { matchLabels: { app: 'x' } }, template },
      },
    ],
    bindings: [
      {
        verb: 'suspend',
        max: undefined,
        target: { apiVersion: 'batch/v1', kind: 'CronJob', ...inShop('nightly') },
      },
      {
        verb: 'suspend',
        max: undefined,
        target: { apiVersion: 'batch/v1', kind: 'Job', ...inShop('import') },
      },
    ],
  });
  t.equal(await site.turn(0, 1), 'received accepted converged');
  t.equal(specOf(await site.get('/apis/batch/v1/namespaces/shop/cronjobs/nightly')).suspend, true);
  t.equal(await site.turn(0, 0), 'received accepted converged');
  await site.until(1, ({ ready }) => ready === 2);
  t.equal(await site.turn(1, 1), 'received needs-arm Disrupts');
  t.match(site.said(), /^2 Pods of the Job are ended/);
  t.equal(await site.turn(1, 1, ['disrupts']), 'received accepted converged');
  t.equal(await site.turn(1, 0), 'received accepted converged');
});

t.test('a Job whose Pods cannot be seen is not one without any', async (t) => {
  const target = { apiVersion: 'batch/v1', kind: 'Job', ...inShop('import') };
  const site = await startSite(t, {
    withheld: 'pods',
    things: [
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: inShop('import'),
        spec: { parallelism: 2, selector: { matchLabels: { app: 'x' } }, template },
      },
    ],
    bindings: [{ verb: 'suspend', max: undefined, target }],
  });
  await site.until(0, ({ condition }) => condition.state === 'denied');
  const id = site.bench.send({ want: 1, saw: 0, ttlMs: 30_000 });
  await site.bench.bus.until(() => site.bench.hasEnded(id));
  t.equal(site.bench.phases(id), 'received denied');
  t.not(specOf(await site.get('/apis/batch/v1/namespaces/shop/jobs/import')).suspend, true);
});

t.test('cordoning a Node, which is in no namespace', async (t) => {
  const site = await startSite(t, {
    bindings: [
      {
        verb: 'cordon',
        max: undefined,
        target: { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'sim-1' },
      },
    ],
  });
  t.equal(await site.turn(0, 1), 'received accepted converged');
  t.equal(specOf(await site.get('/api/v1/nodes/sim-1')).unschedulable, true);
  t.equal(await site.turn(0, 0), 'received accepted converged');
  const now = await site.get('/api/v1/nodes/sim-1');
  t.equal(specOf(now).unschedulable, undefined);
  const { uid } = now.metadata as { uid: string };
  const ref = { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'sim-1' };
  const actor = { user: 'surfaced:surface:desk', groups: ['surfaced:surfaces'], extra: {} };
  const old = { uid, resourceVersion: '1', replicas: 0 };
  const { signal } = new AbortController();
  const patch = { spec: { unschedulable: true } };
  const refused = await site.kube
    .patchObject(ref, old, patch, actor, { isDryRun: false }, signal)
    .catch((error: unknown) => error);
  t.match(refused, { status: 409 }, 'a patch made for what is no more');
});
