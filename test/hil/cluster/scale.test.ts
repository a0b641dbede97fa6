import t from 'tap';
import {
  type Client,
  DEPLOYMENTS,
  deployment,
  type Exchange,
  isSettled,
  makeNamespace,
  type Reply,
  recording,
  startedCluster,
  steady,
} from './support.ts';

async function startShop(t: Parameters<typeof startedCluster>[0]): Promise<Client> {
  const { client } = await startedCluster(t);
  await makeNamespace(client);
  return client;
}

function isAsRecorded(t: import('tap').Test, reply: Reply, exchange: Exchange): void {
  const { request, response, note } = exchange;
  const about = `${request.method} ${request.path} ${note ?? ''}`;
  t.equal(reply.status, response.status, about);
  t.equal(reply.headers['content-type'], response.headers['content-type'], about);
  t.same(calm(reply.body), calm(response.body), about);
}

/** How far the rollout is while a patch is refused is a race: the text that quotes the Scale shows it. */
function calm(body: unknown): unknown {
  return JSON.parse(JSON.stringify(steady(body)).replaceAll(/(status\\+":{\\+"replicas\\+":)\d/g, '$1<n>'));
}

t.test('every refusal of a scale request is worded as recorded', async (t) => {
  const client = await startShop(t);
  await client.post(DEPLOYMENTS, deployment('cart', 0));
  await client.until(`${DEPLOYMENTS}/cart`, (one) => one.status?.observedGeneration === 1);
  const versions = new Map<string, string>();
  const exchanges = recording('03-scale-errors');
  const rewrite = (text: string): string =>
    [...versions].reduce((all, [recorded, real]) => all.replaceAll(`"${recorded}"`, `"${real}"`), text);
  for (const [index, exchange] of exchanges.entries()) {
    if (exchange.note === 'dry run') await client.until(`${DEPLOYMENTS}/cart`, isSettled(1));
    const isAnonymous = exchange.note === 'no credentials';
    const reply = isAnonymous
      ? await client.send(exchange.request.path, { isAnonymous })
      : await client.replay(exchange, rewrite);
    if (index === 0) {
      const { uid, resourceVersion } = (exchange.response.body as { metadata: Record<string, string> })
        .metadata;
      const real = reply.body.metadata as Record<string, string>;
      versions.set(uid!, real.uid!).set(resourceVersion!, real.resourceVersion!);
    }
    isAsRecorded(t, reply, exchange);
  }
});

t.test('a Role for one Deployment is obeyed for an impersonated user', async (t) => {
  const client = await startShop(t);
  await client.post(DEPLOYMENTS, deployment('cart', 1));
  await client.post(DEPLOYMENTS, deployment('pay', 1));
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(1));
  for (const exchange of recording('04-rbac-and-impersonation')) {
    isAsRecorded(t, await client.replay(exchange), exchange);
  }
});

t.test('a group binding counts for separate header lines, not for a joined one', async (t) => {
  const client = await startShop(t);
  await client.post(DEPLOYMENTS, deployment('cart', 1));
  const group = 'rbac.authorization.k8s.io';
  await client.post(`/apis/${group}/v1/clusterroles`, {
    metadata: { name: 'look' },
    rules: [{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'list'] }],
  });
  await client.post(`/apis/${group}/v1/clusterrolebindings`, {
    metadata: { name: 'look' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'look' },
    subjects: [{ kind: 'Group', name: 'b', apiGroup: group }],
  });
  const as = (groups: string | string[]) => ({
    headers: { 'impersonate-user': 'u', 'impersonate-group': groups },
  });
  t.equal((await client.send(DEPLOYMENTS, as(['a', 'b']))).status, 200);
  const joined = await client.send(DEPLOYMENTS, as('a,b'));
  t.equal(joined.status, 403);
  t.equal(
    joined.body.message,
    'deployments.apps is forbidden: User "u" cannot list resource "deployments" in API group "apps" in the namespace "shop"',
  );
});

t.test('a token that may not impersonate is refused, one that may is not', async (t) => {
  const { client, cluster } = await startedCluster(t);
  await makeNamespace(client);
  cluster.control.addToken('secret', 'gateway', []);
  const send = () =>
    client.send('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      method: 'POST',
      body: {},
      isAnonymous: true,
      headers: { authorization: 'Bearer secret', 'impersonate-user': 'surfaced:surface:desk' },
    });
  const refused = await send();
  t.equal(refused.status, 403);
  t.match(refused.body.message, /User "gateway" cannot impersonate resource "users"/);
  const group = 'rbac.authorization.k8s.io';
  await client.post(`/apis/${group}/v1/clusterroles`, {
    metadata: { name: 'gateway' },
    rules: [
      {
        apiGroups: [''],
        resources: ['users'],
        resourceNames: ['surfaced:surface:desk'],
        verbs: ['impersonate'],
      },
    ],
  });
  await client.post(`/apis/${group}/v1/clusterrolebindings`, {
    metadata: { name: 'gateway' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'gateway' },
    subjects: [{ kind: 'User', name: 'gateway', apiGroup: group }],
  });
  t.match((await send()).body, { status: { userInfo: { username: 'surfaced:surface:desk' } } });
});

t.test('server-side apply: owners of spec.replicas, the conflict, forcing', async (t) => {
  const client = await startShop(t);
  for (const exchange of recording('05-server-side-apply')) {
    const reply = await client.replay(exchange);
    if (exchange.note === 'forced') {
      // How far the rollout is at this moment is a race in both; who owns what is not.
      t.equal(reply.status, exchange.response.status);
      const owners = (body: unknown) =>
        (
          body as { metadata: { managedFields: { manager: string; operation: string }[] } }
        ).metadata.managedFields.map(({ manager, operation }) => `${manager} ${operation}`);
      t.same(owners(reply.body), owners(exchange.response.body));
      t.match(reply.body, { spec: { replicas: 2 } });
      continue;
    }
    if (exchange.request.method === 'GET' || exchange.note === 'scale by another manager') {
      t.equal(reply.status, exchange.response.status);
      t.same((reply.body as { spec: unknown }).spec, (exchange.response.body as { spec: unknown }).spec);
      continue;
    }
    isAsRecorded(t, reply, exchange);
  }
});

t.test('a custom resource is found by discovery and scaled within its schema', async (t) => {
  const client = await startShop(t);
  for (const exchange of recording('11-custom-resource-scale')) {
    const reply = await client.replay(exchange);
    if (exchange.request.path === '/apis/fleet.example.com/v1') {
      // The order of the verbs of custom resources is the only difference.
      const sorted = (body: unknown) =>
        JSON.parse(JSON.stringify(body), (_, value: unknown) =>
          Array.isArray(value) ? [...value].sort() : value,
        );
      t.same(steady(sorted(reply.body)), steady(sorted(exchange.response.body)));
    } else {
      isAsRecorded(t, reply, exchange);
    }
  }
});

t.test('PUT, JSON patch and strategic merge patch scale too, and the writer owns the replicas', async (t) => {
  const client = await startShop(t);
  await client.post(DEPLOYMENTS, deployment('cart', 1));
  const path = `${DEPLOYMENTS}/cart/scale`;
  const before = (await client.get(path)).body;
  const put = await client.send(`${path}?fieldManager=desk`, {
    method: 'PUT',
    body: {
      ...before,
      metadata: { ...(before.metadata as object), resourceVersion: '' },
      spec: { replicas: 2 },
    },
    headers: { 'content-type': 'application/json' },
  });
  t.match(put.body, { spec: { replicas: 2 } }, 'without a version it is unconditional');
  const json = await client.send(path, {
    method: 'PATCH',
    body: [{ op: 'replace', path: '/spec/replicas', value: 3 }],
    headers: { 'content-type': 'application/json-patch+json' },
  });
  t.match(json.body, { spec: { replicas: 3 } });
  const strategic = await client.send(path, {
    method: 'PATCH',
    body: { spec: { replicas: 4 } },
    headers: { 'content-type': 'application/strategic-merge-patch+json', 'user-agent': 'turner/1.0 (linux)' },
  });
  t.match(strategic.body, { spec: { replicas: 4 } });
  const { metadata } = (await client.get(`${DEPLOYMENTS}/cart`)).body as {
    metadata: {
      managedFields: {
        manager: string;
        subresource?: string;
        fieldsV1: { 'f:spec'?: Record<string, unknown> };
      }[];
    };
  };
  const owners = metadata.managedFields.filter((entry) => 'f:replicas' in (entry.fieldsV1['f:spec'] ?? {}));
  t.match(owners, [{ manager: 'turner', subresource: 'scale' }]);
  t.equal(owners.length, 1);
});
