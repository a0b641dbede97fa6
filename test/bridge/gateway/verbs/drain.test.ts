/** `drain`: evictions with progress, budgets that make it wait, Pods that stay, what needs arming, and cancelling. */
import t from 'tap';
import { type Site, startSite, type Thing } from './site.ts';

const node = { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'sim-1' };
const drain = { verb: 'drain', max: undefined, target: node } as const;
const onNode = '/api/v1/pods?fieldSelector=spec.nodeName%3Dsim-1';

const pod = (name: string, more: object, spec: object = {}): Thing => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'shop', name, ...more },
  spec: {
    nodeName: 'sim-1',
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image: 'i:1' }],
    ...spec,
  },
});
const ownedBy = (kind: string) => ({
  ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'x', uid: `uid-${kind}`, controller: true }],
});
const namesOf = async (site: Site): Promise<string[]> =>
  ((await site.get(onNode)) as { items: { metadata: { name: string } }[] }).items
    .map(({ metadata }) => metadata.name)
    .sort();
const cordoned = async (site: Site): Promise<unknown> =>
  ((await site.get('/api/v1/nodes/sim-1')) as { spec: { unschedulable?: boolean } }).spec.unschedulable;

t.test('Pods go, those of DaemonSets and of the Node stay, the Node stays cordoned', async (t) => {
  const site = await startSite(t, {
    workloads: [{ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 6 }],
    things: [
      pod('agent', ownedBy('DaemonSet')),
      pod('static', { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
      pod('scratch', ownedBy('ReplicaSet'), { volumes: [{ name: 'tmp', emptyDir: {} }] }),
      pod('lonely', {}),
    ],
    bindings: [drain, { verb: 'cordon', max: undefined, target: node }],
  });
  await site.until(0, ({ ready, observed }) => observed === 4 && ready === 4);
  t.equal(await site.turn(0, 1), 'received needs-arm SeveralGuards');
  t.same(site.bench.acks(site.bench.records.at(-1)?.id ?? '').at(-1)?.guards, ['disrupts', 'loses']);
  t.match(site.said(), /^4 Pods on it are ended .* 1 Pod lose .* emptyDir .* 1 Pod have no controller/);
  t.equal(await cordoned(site), undefined, 'nothing has happened');
  t.equal(await site.turn(0, 1, ['disrupts', 'loses']), 'received accepted converged');
  t.equal(site.said(), 'No Pod is left that has to go; the Node stays cordoned.');
  t.same(await namesOf(site), ['agent', 'static']);
  await site.until(0, ({ desired, pods }) => desired === 1 && pods.length === 0);
  await site.until(1, ({ desired }) => desired === 1);
  t.equal(await site.turn(0, 0), 'received accepted converged');
  t.equal(site.said(), 'Nothing more is evicted; the Node stays cordoned.');
  t.equal(await cordoned(site), true);
  t.equal(await site.turn(1, 0), 'received accepted converged', 'taking Pods again is the cordon binding');
  await site.merge('/api/v1/nodes/sim-1', {
    metadata: { annotations: { 'surfaced.dev/drain': 'x' } },
    spec: { unschedulable: true },
  });
  await site.until(0, ({ desired }) => desired === 1);
  await site.until(1, ({ desired }) => desired === 1);
  t.equal(await site.turn(1, 0), 'received accepted converged');
  await site.until(1, ({ desired }) => desired === 0);
  t.equal(await site.turn(1, 1), 'received accepted converged');
  t.equal(
    (await site.until(0, ({ at }) => at > 0)).desired,
    0,
    'uncordoned by a surface, the mark of the drain went with it',
  );
});

t.test('a budget makes it wait; cancelling stops it, and nothing is evicted after that', async (t) => {
  const guarded = { matchLabels: { app: 'guarded' } };
  const site = await startSite(t, {
    things: [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
      pod('guarded-a', { labels: { app: 'guarded' }, ...ownedBy('ReplicaSet') }),
      pod('guarded-b', { labels: { app: 'guarded' }, ...ownedBy('ReplicaSet') }),
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { namespace: 'shop', name: 'guarded' },
        spec: { minAvailable: 2, selector: guarded },
      },
    ],
    bindings: [drain],
  });
  const budget = '/apis/policy/v1/namespaces/shop/poddisruptionbudgets/guarded';
  await site.until(0, ({ ready }) => ready === 2);
  const first = site.bench.send({ want: 1, saw: 0, arm: ['disrupts'] });
  const waiting = await site.until(0, ({ condition }) => condition.reason === 'DisruptionBudget');
  t.match(
    waiting.condition.message,
    /^2 Pods may not go yet\. .*disruption budget guarded needs 2 healthy pods/,
  );
  t.equal(waiting.condition.state, 'progressing');
  t.equal(site.bench.phases(first), 'received accepted');
  t.equal(await site.turn(0, 0), 'received accepted converged');
  t.equal(site.bench.last(first), 'reverted Superseded');
  await site.merge(budget, { spec: { minAvailable: 1 } });
  t.equal((await namesOf(site)).length, 2);

  await site.until(0, ({ desired, condition }) => desired === 0 && condition.state === 'ok');
  const second = site.bench.send({ want: 1, saw: 0, arm: ['disrupts'] });
  await site.until(0, ({ observed }) => observed === 1);
  t.equal(site.bench.phases(second), 'received accepted', 'the other one has to wait');
  await site.merge(budget, { spec: { minAvailable: 0 } });
  await site.bench.bus.until(() => site.bench.hasEnded(second));
  t.equal(site.bench.last(second), 'converged');
  t.same(await namesOf(site), []);
});

t.test('somebody uncordons the Node: the drain ends there', async (t) => {
  const site = await startSite(t, {
    things: [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
      pod('a', { labels: { app: 'a' }, ...ownedBy('ReplicaSet') }),
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { namespace: 'shop', name: 'a' },
        spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } },
      },
    ],
    bindings: [drain],
  });
  await site.until(0, ({ ready }) => ready === 1);
  const id = site.bench.send({ want: 1, saw: 0, arm: ['disrupts'] });
  await site.until(0, ({ condition }) => condition.reason === 'DisruptionBudget');
  await site.merge('/api/v1/nodes/sim-1', { spec: { unschedulable: null } });
  await site.bench.bus.until(() => site.bench.hasEnded(id));
  t.equal(site.bench.last(id), 'reverted ByOther');
  t.same(await namesOf(site), ['a']);
});

t.test('without the right to evict it is blocked, and says which right', async (t) => {
  const site = await startSite(t, {
    things: [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
      pod('a', ownedBy('ReplicaSet')),
    ],
    bindings: [drain],
    withheld: 'pods/eviction',
  });
  await site.until(0, ({ ready }) => ready === 1);
  t.equal(await site.turn(0, 1, ['disrupts']), 'received accepted blocked Forbidden');
  t.match(site.said(), /surfaced:surface:desk may not evict Pod shop\/a: it needs create on pods\/eviction/);
  t.equal(await cordoned(site), true);
});
