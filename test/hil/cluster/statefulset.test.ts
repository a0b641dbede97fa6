import t from 'tap';
import { makeNamespace, PODS, recording, startedCluster, steady, type WatchEvent } from './support.ts';

const SETS = '/apis/apps/v1/namespaces/shop/statefulsets';

function phases(events: readonly WatchEvent[]): Record<string, string[]> {
  const histories: Record<string, string[]> = {};
  for (const { type, object } of events) {
    const { metadata, status, spec } = object;
    // The names of volumes are made of the uids of their claims.
    const claim = (spec?.claimRef as { name?: string } | undefined)?.name;
    const name = claim ?? String(metadata.name);
    histories[name] ??= [];
    histories[name].push(
      [
        type,
        status?.phase,
        Object.keys((metadata.annotations as object | undefined) ?? {}).length,
        spec?.volumeName === undefined && spec?.nodeName === undefined ? 'free' : 'bound',
        metadata.ownerReferences === undefined ? '' : 'owned',
        metadata.deletionTimestamp === undefined ? '' : 'deleting',
      ].join(' '),
    );
  }
  return histories;
}

t.test('Pods and claims come in order, and a claim goes with its Pod', async (t) => {
  const { client } = await startedCluster(t);
  await makeNamespace(client);
  const exchanges = recording('08-statefulset-and-volumes');
  const [claims, volumes, pods] = await Promise.all(
    ['claims', 'volumes', 'pods of db'].map((note) =>
      client.watch(exchanges.find((exchange) => exchange.note === note)!.request.path),
    ),
  );
  const created = await client.replay(exchanges[1]!);
  t.equal(created.status, 201);
  t.same(steady(created.body), steady(exchanges[1]!.response.body));
  const isAt = (replicas: number) => (one: WatchEvent['object']) =>
    one.spec?.replicas === replicas &&
    one.status?.readyReplicas === replicas &&
    one.status?.replicas === replicas &&
    one.status?.observedGeneration === one.metadata.generation;
  await client.until(`${SETS}/db`, isAt(2));
  const scaled = await client.replay(exchanges[2]!);
  t.same(steady(scaled.body), steady(exchanges[2]!.response.body));
  await client.until(`${SETS}/db`, isAt(1));
  await volumes!.until((events) => events.some(({ type }) => type === 'DELETED'));
  for (const index of [3, 4, 5]) {
    const exchange = exchanges[index]!;
    const reply = await client.replay(exchange);
    // Who wrote which annotation of a volume is told apart more finely by the real provisioner.
    const plain = (body: unknown) =>
      JSON.parse(JSON.stringify(steady(body)), (key, value: unknown) =>
        key === 'managedFields' && index > 3 ? undefined : value,
      ) as unknown;
    t.same(plain(reply.body), plain(exchange.response.body), exchange.request.path);
  }
  for (const [note, watch] of [
    ['claims', claims!],
    ['volumes', volumes!],
    ['pods of db', pods!],
  ] as const) {
    const recorded = exchanges.find((exchange) => exchange.note === note)!.response.stream!;
    t.same(phases(watch.events), phases(recorded.map(({ event }) => event)), note);
    watch.close();
  }
});

t.test('the next Pod waits for a Pod that is not ready', async (t) => {
  const { client, cluster } = await startedCluster(t);
  cluster.control.addWorkload({
    kind: 'StatefulSet',
    namespace: 'shop',
    name: 'db',
    replicas: 2,
    behaviour: 'never-ready',
  });
  const ref = { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace: 'shop', name: 'db' };
  const pods = await client.watch(`${PODS}?watch=1`);
  await pods.until((events) => events.some(({ object }) => object.status?.phase === 'Running'));
  t.same(new Set(pods.events.map(({ object }) => object.metadata.name)), new Set(['db-0']));
  cluster.control.setNeverReady(ref, false);
  await client.until(`${SETS}/db`, (one) => one.status?.readyReplicas === 2);
  pods.close();
});
