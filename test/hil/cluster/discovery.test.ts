import t from 'tap';
import { recording, startedCluster, steady } from './support.ts';

interface Listed {
  readonly name: string;
}

t.test('discovery describes what is served in the recorded words', async (t) => {
  const { client } = await startedCluster(t);
  for (const exchange of recording('01-discovery')) {
    const { path } = exchange.request;
    const reply = await client.replay(exchange);
    t.equal(reply.status, exchange.response.status, path);
    t.equal(reply.headers['content-type'], exchange.response.headers['content-type'], path);
    const body = exchange.response.body as Record<string, unknown>;
    if (path === '/readyz') {
      t.equal(reply.text, exchange.response.body);
      continue;
    }
    t.same(Object.keys(reply.body).sort(), Object.keys(body).sort(), path);
    if (path === '/version') continue;
    const { resources, groups, items } = reply.body as Record<string, unknown[] | undefined>;
    // The simulation serves fewer kinds; each that it serves is described as recorded.
    const recorded = new Map<unknown, unknown>();
    const nameOf = (one: unknown): unknown =>
      (one as { name?: string }).name ?? (one as { metadata: { name?: string } }).metadata.name;
    for (const one of (body.resources ?? body.groups ?? body.items ?? []) as unknown[]) {
      recorded.set(nameOf(one), steady(one));
    }
    for (const one of [...(resources ?? []), ...(groups ?? [])]) {
      const name = (one as Listed).name;
      // The recorded server has two versions of autoscaling.
      if (name === 'autoscaling') continue;
      t.same(steady(one), recorded.get(name), `${path} ${name}`);
    }
    for (const group of items ?? []) {
      const recordedGroup = recorded.get(nameOf(group)) as {
        versions: { resources: { resource: string }[] }[];
      };
      const { versions } = group as { versions: { resources: { resource: string }[] }[] };
      for (const resource of versions[0]!.resources) {
        if (resource.resource === 'customresourcedefinitions') continue;
        const same = recordedGroup.versions[0]!.resources.find((one) => one.resource === resource.resource);
        t.same(steady(resource), same, `aggregated ${resource.resource}`);
      }
    }
  }
});

t.test('the older aggregated form is answered to clients that ask for it', async (t) => {
  const { client } = await startedCluster(t);
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';
  const reply = await client.send('/api', { headers: { accept } });
  t.match(reply.body, {
    apiVersion: 'apidiscovery.k8s.io/v2beta1',
    items: [{ versions: [{ version: 'v1' }] }],
  });
});
