import t from 'tap';
import { BEHAVIOUR } from '../../../hil/sim/cluster/controllers/behaviour.ts';
import { EventRecorder } from '../../../hil/sim/cluster/controllers/events.ts';
import { Random } from '../../../hil/sim/cluster/random.ts';
import { builtin } from '../../../hil/sim/cluster/resources.ts';
import { Store } from '../../../hil/sim/cluster/store.ts';
import {
  type Client,
  DEPLOYMENTS,
  deployment,
  type Exchange,
  isSettled,
  makeNamespace,
  PODS,
  recording,
  startedCluster,
  steady,
  type WatchEvent,
} from './support.ts';

const exchanges = recording('02-deployment-create-and-scale');

function find(all: readonly Exchange[], method: string, path: RegExp, body: unknown = undefined): Exchange {
  const found = all.find(
    ({ request }) =>
      request.method === method &&
      path.test(request.path) &&
      (body === undefined || JSON.stringify(request.body) === JSON.stringify(body)),
  );
  if (found === undefined) throw new Error(`no such exchange: ${method} ${path}`);
  return found;
}

/** What a status says, without the numbers in between, of which there are more or fewer each time. */
function stage({ object }: WatchEvent): string {
  const { metadata, spec, status } = object;
  const conditions = (status?.conditions ?? []) as { type: string; status: string; reason: string }[];
  const said = conditions.map(({ type, status: is, reason }) => `${type}=${is}/${reason}`).sort();
  return JSON.stringify([metadata.generation, spec?.replicas, status?.observedGeneration ?? null, said]);
}

/** A sequence without repetitions. */
function steps(events: readonly WatchEvent[], describe: (event: WatchEvent) => string): string[] {
  return events.map(describe).filter((one, index, all) => one !== all[index - 1]);
}

function podStage({ type, object }: WatchEvent): string {
  const { metadata, status, spec } = object;
  const conditions = (status?.conditions ?? []) as { type: string; status: string }[];
  const said = conditions.map((one) => `${one.type}=${one.status}`);
  const grace = metadata.deletionGracePeriodSeconds;
  return JSON.stringify([type, status?.phase, spec?.nodeName !== undefined, grace ?? null, said]);
}

/** The histories of single Pods, as a set: which Pod comes first is chance. */
function podHistories(events: readonly WatchEvent[]): string[] {
  const byName = new Map<string, string[]>();
  for (const event of events) {
    const name = String(event.object.metadata.name);
    byName.set(name, [...(byName.get(name) ?? []), podStage(event)]);
  }
  return [...new Set([...byName.values()].map((history) => history.join('\n')))].sort();
}

async function scaleTo(client: Client, replicas: number): Promise<void> {
  const exchange = find(exchanges, 'PATCH', /scale/, { spec: { replicas } });
  const reply = await client.replay(exchange);
  t.same(steady(reply.body), steady(exchange.response.body), `scale to ${replicas}`);
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(replicas));
}

t.test('a Deployment is created and scaled up, down and to zero as recorded', async (t) => {
  const { client } = await startedCluster(t);
  await makeNamespace(client);
  const from = (await client.get(DEPLOYMENTS)).body.metadata as { resourceVersion: string };
  for (const path of [/deployments\?limit/, /pods\?limit/]) {
    const exchange = find(exchanges, 'GET', path);
    t.same(steady((await client.replay(exchange)).body), steady(exchange.response.body), 'empty list');
  }
  const created = find(exchanges, 'POST', /deployments/);
  const reply = await client.replay(created);
  t.equal(reply.status, 201);
  t.same(steady(reply.body), steady(created.response.body));
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(3));
  const scale = find(exchanges, 'GET', /cart\/scale/);
  t.same(steady((await client.replay(scale)).body), steady(scale.response.body));
  await scaleTo(client, 5);
  const after = exchanges.filter(({ request }) => request.path === `${DEPLOYMENTS}/cart`);
  t.same(steady((await client.replay(after[0]!)).body), steady(after[0]!.response.body), 'at five');
  await scaleTo(client, 2);
  await scaleTo(client, 0);
  t.same(steady((await client.replay(after[1]!)).body), steady(after[1]!.response.body), 'at zero');

  const rewind = (text: string): string =>
    text.replace('resourceVersion=340', `resourceVersion=${from.resourceVersion}`);
  const recordedDeployment = exchanges.find(({ note }) => note === 'deployments')!;
  const watch = await client.watch(rewind(recordedDeployment.request.path));
  const isEnd = (events: readonly WatchEvent[]): boolean =>
    events.some(({ object }) => object.metadata.generation === 4 && isSettled(0)(object));
  const seen = await watch.until(isEnd);
  const stream = recordedDeployment.response.stream!.map(({ event }) => event);
  t.same(steps(seen, stage), steps(stream, stage), 'stages of the Deployment');
  t.same(steady(seen[0]), steady(stream[0]), 'the first event whole');
  const quiet = (event: WatchEvent | undefined) => steady({ ...event, type: '' });
  t.same(quiet(seen.at(-1)), quiet(stream.at(-1)), 'the last event whole');
  watch.close();

  const recordedPods = exchanges.find(({ note }) => note === 'pods of cart')!;
  const pods = await client.watch(rewind(recordedPods.request.path));
  const podEvents = await pods.until(
    (events) => events.filter(({ type }) => type === 'DELETED').length === 5,
  );
  const podStream = recordedPods.response.stream!.map(({ event }) => event);
  t.same(podHistories(podEvents), podHistories(podStream), 'the lives of the Pods');
  for (const type of ['ADDED', 'MODIFIED', 'DELETED']) {
    const first = (events: readonly WatchEvent[]) => steady(events.find((event) => event.type === type));
    t.same(first(podEvents), first(podStream), `the first ${type} whole`);
  }
  pods.close();
});

t.test('rollouts in trouble look as recorded', async (t) => {
  const { client, cluster } = await startedCluster(t, { timing: { backOffMs: 60_000 } });
  await makeNamespace(client);
  const trouble = recording('06-troubled-rollouts');
  await client.post(
    DEPLOYMENTS,
    deployment('stuck', 2, { progressDeadlineSeconds: 1 }, { [BEHAVIOUR]: 'never-ready' }),
  );
  await client.post(
    DEPLOYMENTS,
    deployment('pull', 2, { progressDeadlineSeconds: 1 }, { [BEHAVIOUR]: 'pull-error' }),
  );
  await client.post(DEPLOYMENTS, deployment('paused', 1, { paused: true }));
  cluster.control.setQuota('tight', 2);
  const tight = DEPLOYMENTS.replace('shop', 'tight');
  const greedy = deployment('greedy', 4);
  await client.post(tight, { ...greedy, metadata: { ...(greedy.metadata as object), namespace: 'tight' } });
  const isLate = (object: WatchEvent['object']): boolean =>
    JSON.stringify(object.status ?? {}).includes('ProgressDeadlineExceeded');
  await client.until(`${DEPLOYMENTS}/paused`, (one) => one.status?.observedGeneration === 1);
  await client.until(`${DEPLOYMENTS}/stuck`, isLate);
  await client.until(`${DEPLOYMENTS}/pull`, isLate);
  await client.until(`${tight}/greedy`, (one) => one.status?.availableReplicas === 2);
  const events = '/api/v1/namespaces/tight/events';
  for (const exchange of trouble) {
    if (exchange.request.path.includes('/events')) continue;
    const reply = await client.replay(exchange);
    if (exchange.request.method === 'PATCH') {
      await client.until(`${DEPLOYMENTS}/paused`, (one) => one.status?.observedGeneration === 2);
    }
    // The recordings steer their kubelets by other annotations, set a deadline of 3 s, and name Pods as they please.
    const plain = (body: unknown) =>
      JSON.parse(
        JSON.stringify(steady(body))
          .replaceAll(/"(bed\.example\/[a-z-]+|sim\.surfaced\.dev\/behaviour)":"[a-z-]+"/g, '"steer":""')
          .replaceAll(/"f:(bed\.example\/[a-z-]+|sim\.surfaced\.dev\/behaviour)"/g, '"f:steer"')
          .replaceAll(/"progressDeadlineSeconds":\d\b/g, '"progressDeadlineSeconds":0'),
      ) as unknown;
    t.same(plain(reply.body), plain(exchange.response.body), exchange.request.path);
  }
  const recorded = trouble.find(({ request }) => request.path.includes('/events'))!;
  const byReason = (body: unknown) => {
    const { items } = body as { items: WatchEvent['object'][] };
    return new Map(items.toReversed().map((item) => [String(item.reason), steady(item)]));
  };
  const expected = byReason(recorded.response.body);
  const actual = byReason((await client.get(events)).body);
  for (const reason of ['FailedCreate', 'ScalingReplicaSet', 'Scheduled', 'SuccessfulCreate']) {
    t.same(actual.get(reason), expected.get(reason), reason);
  }
});

t.test('after ten similar messages events are combined as recorded', (t) => {
  const random = new Random(1);
  const store = new Store({ random, now: () => Date.now(), historyPerKind: 100 });
  const recorder = new EventRecorder(store, () => Date.now());
  const set = store.create(builtin.replicaSets, {
    kind: 'ReplicaSet',
    apiVersion: 'apps/v1',
    metadata: { name: 'greedy-59dc874c9b', namespace: 'tight' },
  });
  for (let index = 0; index < 12; index++) {
    const why =
      `Error creating: pods "greedy-59dc874c9b-${random.suffix(5)}" is forbidden: exceeded quota: pods, ` +
      'requested: pods=1, used: pods=2, limited: pods=2';
    recorder.record(set, 'Warning', 'FailedCreate', why, 'replicaset-controller');
  }
  const events = [...store.of(builtin.events).objects.values()];
  t.equal(events.length, 11);
  const { kind: _k, apiVersion: _a, metadata, ...combined } = events.at(-1)!;
  const items = (recording('06-troubled-rollouts').at(-1)!.response.body as { items: WatchEvent['object'][] })
    .items;
  const { metadata: recordedMeta, ...recorded } = items.find(({ count }) => count === 2)!;
  t.same(steady(combined), steady(recorded));
  t.same(Object.keys(metadata).sort(), Object.keys(recordedMeta).sort());
  t.end();
});

t.test('a quota that is lifted lets the rest be created', async (t) => {
  const { client, cluster } = await startedCluster(t);
  cluster.control.addWorkload({
    kind: 'Deployment',
    namespace: 'tight',
    name: 'batch',
    replicas: 4,
    quota: 2,
  });
  const path = '/apis/apps/v1/namespaces/tight/deployments/batch';
  const hasFailure = (one: WatchEvent['object']): boolean =>
    JSON.stringify(one.status?.conditions ?? []).includes('ReplicaFailure');
  await client.until(path, (one) => hasFailure(one) && one.status?.readyReplicas === 2);
  cluster.control.setQuota('tight', 4);
  await client.until(path, (one) => !hasFailure(one) && isSettled(4)(one));
  const quota = await client.until('/api/v1/namespaces/tight/resourcequotas/pods', (one) =>
    JSON.stringify(one.status).includes('"used":{"pods":"4"}'),
  );
  t.match(quota.status, { hard: { pods: '4' }, used: { pods: '4' } });
});

t.test('a new template rolls without losing more than it may, and history is kept', async (t) => {
  const { client, cluster } = await startedCluster(t, { timing: { readyMs: 20 } });
  cluster.control.addWorkload({ kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 4 });
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(4));
  const watch = await client.watch(`${DEPLOYMENTS}?watch=1`);
  const image = {
    spec: { template: { spec: { containers: [{ name: 'main', image: 'registry.example/cart:2.0' }] } } },
  };
  await client.send(`${DEPLOYMENTS}/cart`, {
    method: 'PATCH',
    body: image,
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
  });
  const seen = await watch.until((events) =>
    events.some(
      ({ object }) =>
        object.status?.updatedReplicas === 4 && isSettled(4)(object) && object.metadata.generation === 2,
    ),
  );
  t.ok(
    seen.every(({ object }) => Number(object.status?.availableReplicas ?? 0) >= 3),
    'maxUnavailable holds',
  );
  t.ok(
    seen.every(({ object }) => Number(object.status?.replicas ?? 0) <= 5),
    'maxSurge holds',
  );
  watch.close();
  const sets = (await client.get('/apis/apps/v1/namespaces/shop/replicasets')).body
    .items as WatchEvent['object'][];
  t.same(sets.map(({ spec }) => spec?.replicas).sort(), [0, 4]);
});

t.test('Pods that are deleted are made again, and go with their Deployment', async (t) => {
  const { client, cluster } = await startedCluster(t);
  for (const kind of ['Deployment', 'ReplicaSet', 'ReplicationController'] as const) {
    cluster.control.addWorkload({ kind, namespace: 'shop', name: kind.toLowerCase(), replicas: 1 });
  }
  const pods = await client.watch(`${PODS}?watch=1`);
  const isReadyPod = ({ object }: WatchEvent): boolean =>
    JSON.stringify(object.status ?? {}).includes('"Ready","observedGeneration":1,"status":"True"');
  const readyNames = (events: readonly WatchEvent[]) =>
    new Set(events.filter(isReadyPod).map(({ object }) => String(object.metadata.name)));
  await pods.until((events) => readyNames(events).size === 3);
  for (const name of readyNames(pods.events)) {
    const reply = await client.send(`${PODS}/${name}`, { method: 'DELETE' });
    t.match(reply.body, { kind: 'Pod', metadata: { deletionGracePeriodSeconds: 5 } });
  }
  await pods.until((events) => readyNames(events).size === 6);
  const gone = await client.send(`${DEPLOYMENTS}/deployment`, { method: 'DELETE' });
  t.match(gone.body, {
    status: 'Success',
    details: { name: 'deployment', group: 'apps', kind: 'deployments' },
  });
  await pods.until(
    (events) =>
      events.filter(
        ({ type, object }) => type === 'DELETED' && String(object.metadata.name).startsWith('deployment'),
      ).length === 2,
  );
  pods.close();
});

t.test('crash loops alternate and end when the cause is gone', async (t) => {
  const { client, cluster } = await startedCluster(t);
  cluster.control.addWorkload({ kind: 'Deployment', namespace: 'shop', name: 'flaky', replicas: 1 });
  await client.until(`${DEPLOYMENTS}/flaky`, isSettled(1));
  const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'flaky' };
  const watch = await client.watch(`${PODS}?watch=1`);
  const containerOf = ({ object }: WatchEvent) =>
    (
      object.status?.containerStatuses as
        | { state: object; restartCount: number; ready: boolean }[]
        | undefined
    )?.[0];
  cluster.control.setCrashing(ref, true);
  await watch.until((events) => events.some((event) => (containerOf(event)?.restartCount ?? 0) >= 2));
  const states = new Set(
    watch.events.map((event) => {
      const state = containerOf(event)?.state ?? {};
      const [[name, inner] = ['', {}]] = Object.entries(state) as [string, { reason?: string }][];
      return `${name} ${inner.reason ?? ''}`;
    }),
  );
  t.same([...states], ['running ', 'terminated Error', 'waiting CrashLoopBackOff']);
  cluster.control.setCrashing(ref, false);
  await client.until(`${DEPLOYMENTS}/flaky`, isSettled(1));
  watch.close();
  const { items } = (await client.get('/api/v1/namespaces/shop/events?fieldSelector=reason%3DBackOff')).body;
  t.match(items, [{ type: 'Warning', message: /^Back-off restarting failed container main in pod flaky-/ }]);
});
