/** Budgets, evictions and cordoning against recording 09. */
import t from 'tap';
import { type Exchange, makeNamespace, recording, startedCluster } from './support.ts';

const exchanges = recording('09-nodes-cordon-evict');
const find = (note: string): Exchange => {
  const found = exchanges.find((exchange) => exchange.note === note);
  if (found === undefined) throw new Error(`no such exchange: ${note}`);
  return found;
};

t.test('a budget refuses an eviction and allows it, word for word', async (t) => {
  const { client } = await startedCluster(t);
  await makeNamespace(client, 'shop');
  const template = {
    metadata: { labels: { app: 'guarded' } },
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'i:1' }] },
  };
  await client.post('/apis/apps/v1/namespaces/shop/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'guarded' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'guarded' } }, template },
  });
  const ready = ({ status }: { status?: { readyReplicas?: unknown } }): boolean =>
    status?.readyReplicas === 2;
  await client.until('/apis/apps/v1/namespaces/shop/deployments/guarded', ready);
  const made = exchanges.find(({ request }) => request.path.endsWith('/poddisruptionbudgets'));
  const answer = await client.replay(made as Exchange);
  t.match(answer, {
    status: 201,
    body: { status: made?.response.body && (made.response.body as { status: object }).status },
  });
  const budget = '/apis/policy/v1/namespaces/shop/poddisruptionbudgets/guarded';
  const settled = await client.until(budget, ({ status }) => status?.currentHealthy === 2);
  t.match(settled.status, {
    ...{
      observedGeneration: 1,
      disruptionsAllowed: 0,
      currentHealthy: 2,
      desiredHealthy: 2,
      expectedPods: 2,
    },
    conditions: [
      { type: 'DisruptionAllowed', status: 'False', observedGeneration: 1, reason: 'InsufficientPods' },
    ],
  });

  const list = (await client.get('/api/v1/namespaces/shop/pods')).body as {
    items: { metadata: { name: string } }[];
  };
  const name = list.items[0]?.metadata.name ?? '';
  const here = (text: string): string => text.replaceAll('guarded-598b8f47f4-p426w', name);
  const refused = find('refused by the budget');
  const no = await client.replay(refused, here);
  t.equal(no.status, refused.response.status);
  t.same(no.body, refused.response.body);

  await client.merge(budget, { spec: { minAvailable: 1 } });
  const allowed = find('allowed');
  const yes = await client.replay(allowed, here);
  t.equal(yes.status, allowed.response.status);
  t.same(yes.body, allowed.response.body);
  const path = `/api/v1/namespaces/shop/pods/${name}/eviction`;
  const other = await client.post(path, {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace: 'shop' },
    deleteOptions: { preconditions: { uid: 'another' } },
  });
  t.match(other.status, 409, 'the Pod of that name is another one');
});

t.test('cordon and uncordon', async (t) => {
  const { client } = await startedCluster(t);
  for (const note of ['cordon', 'uncordon']) {
    const exchange = find(note);
    const answer = await client.replay(exchange, (text) => text.replaceAll('bed-0', 'sim-1'));
    t.equal(answer.status, 200);
    const wanted = (exchange.response.body as { spec: { unschedulable?: boolean } }).spec.unschedulable;
    t.equal((answer.body.spec as { unschedulable?: boolean }).unschedulable, wanted, note);
  }
});
