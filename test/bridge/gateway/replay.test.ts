/** The gateway loop and the real Kubernetes client against answers that a real API server gave. */
import t, { type Test } from 'tap';
import type { Timers } from '../../../daemon/bridge/gateway/timers.ts';
import type { Cluster } from '../../../daemon/bridge/kube/types.ts';
import type { Clock } from '../../../daemon/clock.ts';
import type { Replay, ReplayRequest } from '../../../hil/sim/replay/replay.ts';
import { answer, cut, type Reply, refusal, stream } from '../../../hil/sim/replay/reply.ts';
import { deployment, recording, start } from '../kube/start.ts';
import { deploymentObject, inTurn, isList, isWatch, listOf, quietWorld } from '../kube/world.ts';
import { Bench, type BindingInput, fastTime, surfaceOf } from './bed.ts';

const ttlMs = 30_000;
const deployments = '/apis/apps/v1/namespaces/shop/deployments';

type Json = Record<string, unknown> & {
  metadata: { name: string; uid: string; resourceVersion: string; generation: number };
  spec: { replicas?: number };
};

async function online(
  t: Test,
  names: readonly string[],
  binding: BindingInput,
  prepare: (replay: Replay) => void,
): Promise<{ bench: Bench<Clock & Timers, Cluster>; replay: Replay }> {
  const { cluster, replay } = await start(t, names, { prepare });
  const bench = new Bench(fastTime, cluster);
  bench.registry.set('desk', surfaceOf('desk', [binding]));
  bench.start();
  t.teardown(() => bench.relay.close());
  bench.birth('desk');
  await bench.bus.until(() => (bench.slots().at(-1)?.desired ?? null) !== null);
  return { bench, replay };
}

const ended = (bench: Bench<Clock & Timers, Cluster>, id: string): Promise<void> =>
  bench.bus.until(() => bench.hasEnded(id));

/** Waits for the answer after `received`, which is to be `accepted`. */
async function accepted(t: Test, bench: Bench<Clock & Timers, Cluster>, id: string): Promise<void> {
  await bench.bus.until(() => bench.acks(id).length > 1);
  t.match(bench.acks(id)[1], { phase: 'accepted' });
}

/** The scale of an object, as the API server derives it. */
const scaleOf = ({ metadata, spec }: Json): Reply =>
  answer(200, {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: metadata.name,
      namespace: 'shop',
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
    },
    spec: { replicas: spec.replicas },
    status: { replicas: spec.replicas, selector: `app=${metadata.name}` },
  });

const isScale =
  (method: string) =>
  (request: ReplayRequest): boolean =>
    request.method === method && request.pathname.endsWith('/scale');

/** One Deployment that a recording begins with, its watch quiet until the test pushes. */
function world(replay: Replay, object: Json): void {
  const { resourceVersion } = object.metadata;
  replay.script((request) => {
    if (request.pathname.endsWith('/deployments'))
      return request.isWatch ? stream([]) : listOf('Deployment', Number(resourceVersion), [object]);
    if (request.pathname.endsWith('/pods')) return request.isWatch ? stream([]) : listOf('Pod', 1, []);
    // No recording has a dry run of this object; the API server answers it like the PUT.
    const isDryRun = request.query.get('dryRun') === 'All';
    return isScale('GET')(request) || (isScale('PUT')(request) && isDryRun) ? scaleOf(object) : null;
  });
}

t.test('an autoscaler sets the number back (recording 07)', async (t) => {
  const { exchanges } = await recording('07-autoscaler-owned');
  const events = exchanges.flatMap(({ response }) => response.stream ?? []);
  const first = (events[0]!.event as { object: Json }).object;
  const { bench, replay } = await online(
    t,
    ['07-autoscaler-owned'],
    { target: deployment('web') },
    (server) => {
      world(server, first);
      server.script((request) => {
        if (request.isWatch || !request.pathname.endsWith('/shop/horizontalpodautoscalers')) return null;
        return server.recorded({ ...request, pathname: '/apis/autoscaling/v2/horizontalpodautoscalers' });
      });
    },
  );
  await bench.bus.until(() => bench.slots().at(-1)?.owner?.kind === 'autoscaler');
  const unarmed = bench.send({ want: 9, saw: 2, ttlMs });
  await ended(bench, unarmed);
  t.equal(bench.last(unarmed), 'needs-arm OwnedByAutoscaler');
  t.match(bench.acks(unarmed).at(-1)?.detail, /it will set it back within its 2 to 4/);

  const id = bench.send({ want: 9, saw: 2, ttlMs, arm: ['autoscaler'] });
  await accepted(t, bench, id);
  for (const { ms, event } of events) if (ms > 100 && ms < 5200) replay.push(deployments, event);
  await ended(bench, id);
  t.equal(bench.last(id), 'reverted ByAutoscaler');
  t.match(bench.acks(id).at(-1), { now: 4, detail: 'Set to 4 by horizontal-pod-autoscaler web.' });
  await bench.bus.until(() => bench.slots().at(-1)?.desired === 4);
});

t.test('a GitOps tool sets the number back (recording 05)', async (t) => {
  const { exchanges } = await recording('05-server-side-apply');
  const [created, , , forced] = exchanges.map(({ response }) => response.body as Json);
  const { bench, replay } = await online(
    t,
    ['05-server-side-apply'],
    { target: deployment('gitops') },
    (server) => world(server, created!),
  );
  const id = bench.send({ want: 3, saw: 2, ttlMs });
  await accepted(t, bench, id);
  replay.push(deployments, { type: 'MODIFIED', object: forced });
  await ended(bench, id);
  t.equal(bench.last(id), 'reverted ByOther');
  t.equal(bench.acks(id).at(-1)?.detail, 'Set to 2 by gitops-tool.');
});

t.test('a quota is used up (recording 06)', async (t) => {
  const target = deployment('greedy', 'tight');
  const { exchanges } = await recording('06-troubled-rollouts');
  const greedy = exchanges
    .map(({ response }) => response.body as Json)
    .find((body) => body?.metadata?.name === 'greedy');
  const { bench } = await online(t, ['06-troubled-rollouts'], { target }, (server) => {
    world(server, greedy!);
    inTurn(server, isScale('GET'), [scaleOf({ ...greedy!, spec: { replicas: 2 } })]);
    inTurn(server, isScale('PUT'), [scaleOf(greedy!)]);
  });
  const id = bench.send({ want: 4, saw: 2, ttlMs });
  await ended(bench, id);
  t.equal(bench.phases(id), 'received accepted blocked');
  t.match(bench.acks(id).at(-1), {
    code: 'QuotaExceeded',
    detail: 'Quota pods is used up: pods=2 of pods=2 in use, pods=1 more asked for.',
  });
  t.match(bench.slots().at(-1)?.condition, { state: 'blocked', reason: 'QuotaExceeded' });
});

t.test('the Role of a surface does not cover the target (recording 04)', async (t) => {
  const pay = {
    ...deploymentObject(10, 1),
    metadata: { ...(deploymentObject(10, 1) as Json).metadata, name: 'pay' },
  };
  const { bench, replay } = await online(
    t,
    ['04-rbac-and-impersonation'],
    { target: deployment('pay') },
    (server) => world(server, pay as unknown as Json),
  );
  const id = bench.send({ want: 2, saw: 1, ttlMs });
  await ended(bench, id);
  t.equal(bench.last(id), 'denied Forbidden');
  t.match(
    bench.acks(id).at(-1)?.detail,
    /^User surfaced:surface:desk may not .* the scale of Deployment shop\/pay: a Role in namespace shop/,
  );
  const put = replay.requests.find(isScale('PUT'));
  t.match(put?.headers, {
    'impersonate-user': 'surfaced:surface:desk',
    'impersonate-group': 'surfaced:surfaces',
  });
});

t.test('a conflict (recording 03) is tried again, and the second PUT carries the new version', async (t) => {
  const { exchanges } = await recording('03-scale-errors');
  const conflict = exchanges.find(
    ({ request, response }) => request.method === 'PUT' && response.status === 409,
  );
  const at = (version: number, replicas: number): Json => deploymentObject(version, replicas) as Json;
  const { bench, replay } = await online(t, [], { target: deployment('cart') }, (server) => {
    quietWorld(server);
    inTurn(server, isScale('GET'), [scaleOf(at(10, 2)), scaleOf(at(11, 2))]);
    inTurn(server, isScale('PUT'), [answer(409, conflict?.response.body), scaleOf(at(12, 5))]);
  });
  const id = bench.send({ want: 5, saw: 2, ttlMs });
  await accepted(t, bench, id);
  const sent = replay.requests
    .filter(isScale('PUT'))
    .map(({ body }) => (body as Json).metadata.resourceVersion);
  t.same(sent, ['10', '11']);
  replay.push(deployments, {
    type: 'MODIFIED',
    object: { ...deploymentObject(13, 5), status: { observedGeneration: 1, replicas: 5, readyReplicas: 5 } },
  });
  await ended(bench, id);
  t.equal(bench.phases(id), 'received accepted converged');
});

t.test('an answer that is cut off: the gateway looks and finds it done', async (t) => {
  const { bench, replay } = await online(t, [], { target: deployment('cart') }, (server) => {
    quietWorld(server);
    inTurn(server, isScale('GET'), [
      scaleOf(deploymentObject(10, 2) as Json),
      scaleOf(deploymentObject(11, 5) as Json),
    ]);
    inTurn(server, isScale('PUT'), [cut, refusal(500, 'InternalError', 'a second PUT')]);
  });
  const id = bench.send({ want: 5, saw: 2, ttlMs });
  await accepted(t, bench, id);
  t.equal(replay.requests.filter(isScale('PUT')).length, 1);
});

t.test('slots are right again after 410, a cut watch and an outage', async (t) => {
  const list = (version: number, replicas: number): Reply =>
    listOf('Deployment', version, [deploymentObject(version, replicas)]);
  const gone = {
    type: 'ERROR',
    object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' },
  };
  const { bench, replay } = await online(t, [], { target: deployment('cart') }, quietWorld);
  const shows = (desired: number, state: RegExp): Promise<void> =>
    bench.bus.until(() => {
      const last = bench.slots().at(-1);
      return last?.desired === desired && state.test(last.condition.state);
    });
  let current = list(20, 5);
  replay.script((request) => (isList(request) ? current : null));
  await replay.until(() => replay.openWatches.some(isWatch));
  replay.push(deployments, gone);
  await shows(5, /progressing/);
  await replay.until(() => replay.openWatches.some(isWatch));
  current = list(30, 6);
  inTurn(replay, isWatch, [stream([gone])]);
  replay.endWatches('cut');
  await shows(6, /progressing/);
  await replay.goAway();
  await shows(6, /unreachable/);
  await bench.bus.until(() => bench.beats().at(-1)?.apiHealthy === false);
  // A watch that goes on where it was gets what happened since, however often it is opened.
  const since = { type: 'MODIFIED', object: deploymentObject(40, 7) };
  replay.script((request) => (isWatch(request) ? stream([since]) : null));
  await replay.comeBack();
  await shows(7, /progressing/);
  await bench.bus.until(() => bench.beats().at(-1)?.apiHealthy === true);
  t.pass('each time the display told what is');
});
