import t from 'tap';
import { systemTimers } from '../../../daemon/bridge/gateway/timers.ts';
import { connectCluster } from '../../../daemon/bridge/kube/cluster.ts';
import { leasesOver } from '../../../daemon/bridge/shards/leases.ts';
import { startShards } from '../../../daemon/bridge/shards/shards.ts';
import type { LeaseDraft } from '../../../daemon/bridge/shards/types.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { silentLog } from '../../../daemon/log.ts';
import { makeNamespace, recording, startedCluster, steady } from '../../hil/cluster/support.ts';
import { never, quick, refusedBy } from '../kube/start.ts';

const isLease = (path: string): boolean => path.includes('/coordination.k8s.io/');

t.test('Leases of the simulated cluster are as recorded', async (t) => {
  const { client } = await startedCluster(t);
  await makeNamespace(client);
  const versions = new Map<string, string>();
  const rewrite = (text: string): string =>
    [...versions].reduce((all, [recorded, real]) => all.replaceAll(`"${recorded}"`, `"${real}"`), text);
  const exchanges = recording('12-leases-tokens-csr').filter(({ request }) => isLease(request.path));
  t.ok(exchanges.length >= 4);
  for (const [index, exchange] of exchanges.entries()) {
    const reply = await client.replay(exchange, rewrite);
    const about = `${exchange.request.method} ${exchange.note ?? ''}`;
    if (index === 0) {
      const recorded = (exchange.response.body as { metadata: Record<string, string> }).metadata;
      const real = reply.body.metadata as Record<string, string>;
      for (const field of ['uid', 'resourceVersion']) versions.set(recorded[field] ?? '', real[field] ?? '');
    }
    t.equal(reply.status, exchange.response.status, about);
    t.same(steady(reply.body), steady(exchange.response.body), about);
  }
});

t.test('Leases are written only over what was read', async (t) => {
  const { api, access } = await connected(t);
  const draft: LeaseDraft = {
    name: 'surfaced-shard-3',
    holder: 'a',
    durationMs: 15_000,
    transitions: 0,
    count: 16,
    acquireTime: '2026-11-23T04:00:00.000000Z',
    renewTime: '2026-11-23T04:00:00.000000Z',
  };
  const made = await api.create(draft, never);
  t.match(made, { name: 'surfaced-shard-3', holder: 'a', durationMs: 15_000, transitions: 0, count: 16 });
  t.equal((await refusedBy(api.create(draft, never))).status, 409, 'made once');
  const taken = await api.update({ ...draft, holder: 'b', transitions: 1 }, made.resourceVersion, never);
  t.equal(
    (await refusedBy(api.update(draft, made.resourceVersion, never))).status,
    409,
    'the second is late',
  );
  t.equal((await refusedBy(api.remove(draft.name, made.resourceVersion, never))).status, 409);
  await access.write(
    {
      method: 'POST',
      path: '/apis/coordination.k8s.io/v1/namespaces/surfaced/leases',
      body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'of-others' } },
    },
    never,
  );
  t.same(await api.list(never), [taken], 'those of others are not looked at');
  await api.remove(draft.name, taken.resourceVersion, never);
  t.same(await api.list(never), []);
});

t.test('two gateways share through the API and hand over', async (t) => {
  const { api } = await connected(t);
  const start = (identity: string) => {
    const shards = startShards({
      ...{ api, identity, count: 4, durationMs: 2000 },
      ...{ clock: systemClock, timers: systemTimers, random: Math.random, log: silentLog },
    });
    const waiting = new Set<() => void>();
    shards.onChange(() => {
      for (const look of [...waiting]) look();
    });
    t.teardown(() => shards.close());
    const holds = (count: number): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (shards.status().held.length !== count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
    return { shards, holds };
  };
  const one = start('one');
  await one.holds(4);
  const other = start('other');
  await Promise.all([one.holds(2), other.holds(2)]);
  await one.shards.close();
  await other.holds(4);
  t.same(one.shards.status().held, []);
});

async function connected(t: Parameters<typeof startedCluster>[0]) {
  const { client, cluster: sim } = await startedCluster(t);
  await makeNamespace(client, 'surfaced');
  const cluster = await connectCluster({
    config: {
      kubeconfig: sim.kubeconfigPath,
      userPrefix: 'surfaced:surface:',
      group: 'surfaced:surfaces',
    },
    ...{ log: silentLog, clock: systemClock, random: Math.random, fieldManager: 'surfaced', tuning: quick },
  });
  t.teardown(() => cluster.close());
  return { access: cluster.access, api: leasesOver(cluster.access, 'surfaced') };
}
