import t from 'tap';
import {
  DEPLOYMENTS,
  deployment,
  isSettled,
  makeNamespace,
  recording,
  startedCluster,
  steady,
  type WatchEvent,
} from './support.ts';

const AUTOSCALERS = '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers';

t.test('bounds are enforced at the sync, and zero switches scaling off', async (t) => {
  // Wide enough that what lies between two syncs in the recording lies between them here.
  const { client } = await startedCluster(t, { timing: { hpaSyncMs: 1000 } });
  await makeNamespace(client);
  await client.post(DEPLOYMENTS, deployment('web', 2));
  await client.until(`${DEPLOYMENTS}/web`, isSettled(2));
  const exchanges = recording('07-autoscaler-owned');
  const watch = await client.watch(exchanges.at(-1)!.request.path);
  const replay = async (index: number): Promise<void> => {
    const exchange = exchanges[index]!;
    const reply = await client.replay(exchange);
    t.equal(reply.status, exchange.response.status, exchange.request.path);
    t.same(steady(reply.body), steady(exchange.response.body), exchange.request.path);
  };
  await replay(0);
  await replay(1);
  const isRescaled = (one: WatchEvent['object']): boolean => one.status?.desiredReplicas === 4;
  await client.until(`${AUTOSCALERS}/web`, isRescaled);
  await replay(2);
  await replay(3);
  await client.until(`${DEPLOYMENTS}/web`, isSettled(4));
  await replay(4);
  await client.until(`${AUTOSCALERS}/web`, (one) => JSON.stringify(one.status).includes('ScalingDisabled'));
  await replay(5);

  const spec = ({ object }: WatchEvent) => `${object.metadata.generation}: ${object.spec?.replicas}`;
  const steps = (events: readonly WatchEvent[]) =>
    events.map(spec).filter((one, index, all) => one !== all[index - 1]);
  const seen = await watch.until((events) => events.some(({ object }) => isSettled(0)(object)));
  t.same(steps(seen), steps(exchanges.at(-1)!.response.stream!.map(({ event }) => event)));
  t.same(steps(seen), ['1: 2', '2: 9', '3: 4', '4: 0']);
  watch.close();
});

t.test('somebody who scales below the floor is corrected, and the event says why', async (t) => {
  const { client, cluster } = await startedCluster(t, { timing: { hpaSyncMs: 50 } });
  cluster.control.addWorkload({
    kind: 'Deployment',
    namespace: 'shop',
    name: 'web',
    replicas: 3,
    autoscaler: { min: 2, max: 6 },
  });
  await client.until(`${AUTOSCALERS}/web`, (one) => JSON.stringify(one.status).includes('ValidMetricFound'));
  await client.merge(`${DEPLOYMENTS}/web/scale`, { spec: { replicas: 1 } });
  const after = await client.until(`${DEPLOYMENTS}/web`, (one) => one.spec?.replicas === 2);
  const { managedFields } = after.metadata as { managedFields: { manager: string; subresource?: string }[] };
  t.match(
    managedFields.find((entry) => entry.subresource === 'scale'),
    { manager: 'kube-controller-manager' },
  );
  const { items } = (
    await client.get('/api/v1/namespaces/shop/events?fieldSelector=reason%3DSuccessfulRescale')
  ).body;
  t.match(items, [{ message: 'New size: 2; reason: Current number of replicas below Spec.MinReplicas' }]);
});
