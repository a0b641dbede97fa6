import t from 'tap';
import {
  type Client,
  DEPLOYMENTS,
  deployment,
  isSettled,
  makeNamespace,
  PODS,
  recording,
  startedCluster,
  steady,
  type WatchEvent,
} from './support.ts';

const edge = recording('10-watch-edge-cases');
const expired = recording('13-watch-expired');

async function startShop(t: Parameters<typeof startedCluster>[0]) {
  const { client, cluster } = await startedCluster(t);
  await makeNamespace(client);
  for (const name of ['cart', 'pay']) {
    await client.post(DEPLOYMENTS, deployment(name, 2));
    await client.until(`${DEPLOYMENTS}/${name}`, isSettled(2));
  }
  return { client, cluster };
}

async function version(client: Client): Promise<number> {
  const { metadata } = (await client.get(DEPLOYMENTS)).body as { metadata: { resourceVersion: string } };
  return Number(metadata.resourceVersion);
}

t.test('initial events end with an annotated bookmark, and another comes before the end', async (t) => {
  const { client } = await startShop(t);
  const { path } = edge[0]!.request;
  const watch = await client.watch(path.replace('timeoutSeconds=4', 'timeoutSeconds=3'));
  await watch.closed;
  const types = watch.events.map(({ type }) => type);
  t.same(types, ['ADDED', 'ADDED', 'ADDED', 'ADDED', 'BOOKMARK', 'BOOKMARK']);
  const bookmarks = (events: readonly WatchEvent[]) =>
    steady(events.filter(({ type }) => type === 'BOOKMARK'));
  t.same(bookmarks(watch.events), bookmarks(edge[0]!.response.stream!.map(({ event }) => event)));
  const names = watch.events.slice(0, 4).map(({ object }) => String(object.metadata.name));
  t.same(names, [...names].sort(), 'in the order of their keys');
});

t.test('a watch from an old version repeats what happened, from the future it waits', async (t) => {
  const { client } = await startShop(t);
  const past = await client.watch(`${DEPLOYMENTS}?watch=1&resourceVersion=1&timeoutSeconds=1`);
  const future = await client.watch(`${DEPLOYMENTS}?watch=1&resourceVersion=999999999&timeoutSeconds=1`);
  await Promise.all([past.closed, future.closed]);
  t.equal(past.events[0]?.type, 'ADDED');
  t.ok(past.events.length > 8, 'with every step of the rollouts');
  const versions = past.events.map(({ object }) => Number(object.metadata.resourceVersion));
  t.same(
    versions,
    [...versions].sort((a, b) => a - b),
  );
  t.same(future.events, []);
});

t.test('metadata only', async (t) => {
  const { client } = await startShop(t);
  const recorded = edge[4]!;
  const watch = await client.watch(
    recorded.request.path.replace('timeoutSeconds=3', 'timeoutSeconds=1'),
    recorded.request.headers,
  );
  await watch.closed;
  t.equal(watch.events.length, 4);
  t.same(steady(watch.events[0]), steady(recorded.response.stream![0]!.event));
});

t.test('a change of labels is an addition or a deletion for a selector', async (t) => {
  const { client } = await startShop(t);
  const watch = await client.watch(
    `${DEPLOYMENTS}?watch=1&labelSelector=tier%3Dfront&resourceVersion=${await version(client)}`,
  );
  await client.merge(`${DEPLOYMENTS}/cart`, { metadata: { labels: { tier: 'front' } } });
  await client.merge(`${DEPLOYMENTS}/cart`, { metadata: { labels: { size: 'big' } } });
  await client.merge(`${DEPLOYMENTS}/cart`, { metadata: { labels: { tier: null } } });
  await watch.until((events) => events.some(({ type }) => type === 'DELETED'));
  t.same(
    watch.events.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
  watch.close();
});

t.test('lists come in pages with the recorded tokens, and stay what they were', async (t) => {
  const { client } = await startShop(t);
  const first = await client.replay(edge[5]!);
  const { metadata, items } = first.body as {
    metadata: { continue: string; remainingItemCount: number; resourceVersion: string };
    items: WatchEvent['object'][];
  };
  t.equal(items.length, 2);
  t.equal(metadata.remainingItemCount, 2);
  const token = JSON.parse(Buffer.from(metadata.continue, 'base64url').toString()) as Record<string, unknown>;
  const recorded = (edge[5]!.response.body as { metadata: { continue: string } }).metadata.continue;
  const recordedToken = JSON.parse(Buffer.from(recorded, 'base64url').toString()) as Record<string, unknown>;
  t.same(Object.keys(token), Object.keys(recordedToken));
  t.equal(token.start, `/${String(items[1]?.metadata.name)}\u0000`);
  await client.merge(`${DEPLOYMENTS}/pay/scale`, { spec: { replicas: 0 } });
  await client.until(`${DEPLOYMENTS}/pay`, isSettled(0));
  const second = await client.get(`${PODS}?limit=2&continue=${metadata.continue}`);
  t.match(second.body, { metadata: { resourceVersion: metadata.resourceVersion } });
  const rest = second.body.items as WatchEvent['object'][];
  t.same(
    rest.map(({ metadata: { labels } }) => (labels as { app: string }).app),
    ['pay', 'pay'],
    'as of then',
  );
  for (const index of [7, 8]) {
    const reply = await client.replay(edge[index]!);
    t.equal(reply.status, edge[index]!.response.status);
    t.same(steady(reply.body), steady(edge[index]!.response.body), String(edge[index]!.note));
  }
});

t.test('compacted history is answered as recorded', async (t) => {
  const { client, cluster } = await startShop(t);
  cluster.control.compactHistory();
  const numbers = (value: unknown) =>
    JSON.parse(JSON.stringify(steady(value)).replace(/5 \(\d+\)/, '5 (<n>)')) as unknown;
  const watch = await client.watch(expired[0]!.request.path);
  await watch.closed;
  t.same(numbers(watch.events), numbers(expired[0]!.response.stream!.map(({ event }) => event)));
  for (const index of [1, 2]) {
    const reply = await client.replay(expired[index]!);
    t.equal(reply.status, expired[index]!.response.status);
    t.same(reply.body, expired[index]!.response.body);
  }
  const fresh = await client.replay(expired[3]!);
  t.match(fresh.body, {
    kind: 'DeploymentList',
    metadata: { remainingItemCount: 1 },
    items: [{ metadata: { name: 'cart' } }],
  });
});

t.test('watches are cut and fall silent on demand', async (t) => {
  const { client, cluster } = await startShop(t);
  const silent = await client.watch(`${DEPLOYMENTS}?watch=1`);
  await silent.until((events) => events.length === 2);
  cluster.control.silenceWatches(true);
  await client.merge(`${DEPLOYMENTS}/cart`, { metadata: { labels: { size: 'big' } } });
  t.equal(silent.events.length, 2);
  cluster.control.silenceWatches(false);
  await client.merge(`${DEPLOYMENTS}/cart`, { metadata: { labels: { size: 'small' } } });
  await silent.until((events) => events.length === 3);
  t.match(silent.events[2], { object: { metadata: { labels: { size: 'small' } } } });
  t.equal(cluster.control.cutWatches(), 1);
  await silent.closed;
});
