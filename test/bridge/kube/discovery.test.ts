/** From kinds to resources: aggregated, listed one by one, and for custom resources. */
import t from 'tap';
import type { Replay } from '../../../hil/sim/replay/replay.ts';
import { answer, refusal, stream } from '../../../hil/sim/replay/reply.ts';
import { deployment, deskActor as desk, follow, never, refusedBy, start } from './start.ts';
import { listOf } from './world.ts';

const broker = { apiVersion: 'fleet.example.com/v1', kind: 'Broker', namespace: 'shop', name: 'main' };
const brokers = '/apis/fleet.example.com/v1/namespaces/shop/brokers';
const isDiscovery = ({ pathname }: { pathname: string }): boolean => /^\/apis?$|\/v1$/.test(pathname);

/** An API server from before aggregated discovery: it ignores what it does not know in Accept. */
function oldServer(replay: Replay): void {
  replay.script((request) =>
    request.pathname === '/apis'
      ? replay.recorded({ ...request, headers: { accept: 'application/json' } })
      : null,
  );
}

t.test('aggregated discovery is asked once for everything', async (t) => {
  const { cluster, replay } = await start(t, ['03-scale-errors'], { tuning: { discoveryMissMs: 60_000 } });
  await cluster.getScale(deployment('cart'), desk, never);
  await cluster.getScale(deployment('cart'), desk, never);
  const daemonSet = { ...deployment('x'), kind: 'DaemonSet' };
  t.match(await refusedBy(cluster.getScale(daemonSet, desk, never)), {
    status: 404,
    reason: 'NoScale',
    message: 'DaemonSet of apps/v1 cannot be scaled: it has no scale subresource',
  });
  const unknown = { ...broker, apiVersion: 'nobody.example.com/v1' };
  for (let times = 0; times < 3; times++)
    t.match(await refusedBy(cluster.getScale(unknown, desk, never)), { reason: 'UnknownKind', status: 404 });
  t.same(
    replay.requests.filter(isDiscovery).map(({ pathname }) => pathname),
    ['/apis'],
  );
});

t.test('a ReplicationController, whose group has a path of its own', async (t) => {
  const { cluster, replay } = await start(t, []);
  const path = '/api/v1/namespaces/shop/replicationcontrollers/old/scale';
  replay.script(({ pathname }) =>
    pathname === path ? answer(200, { metadata: { resourceVersion: '5' }, spec: { replicas: 3 } }) : null,
  );
  const ref = { apiVersion: 'v1', kind: 'ReplicationController', namespace: 'shop', name: 'old' };
  t.match(await cluster.getScale(ref, desk, never), { replicas: 3, resourceVersion: '5', selector: '' });
});

t.test('an older API server is asked for one group version', async (t) => {
  const { cluster, replay } = await start(t, ['11-custom-resource-scale', '03-scale-errors'], {
    tuning: { discoveryMissMs: 60_000 },
    prepare: oldServer,
  });
  t.equal((await cluster.getScale(broker, desk, never)).replicas, 3);
  t.ok(await cluster.getScale(deployment('cart'), desk, never));
  const paths = replay.requests.filter(isDiscovery).map(({ pathname }) => pathname);
  t.same(paths, ['/apis', '/apis/fleet.example.com/v1', '/apis/apps/v1']);
});

t.test('a client that may not list groups finds its kind by the path', async (t) => {
  const { cluster } = await start(t, ['11-custom-resource-scale'], {
    prepare: (replay) => {
      replay.script(({ pathname }) => (pathname === '/apis' ? refusal(403, 'Forbidden', 'no') : null));
    },
  });
  t.equal((await cluster.getScale(broker, desk, never)).replicas, 3);
});

t.test('a kind that is unknown is shown, and found when its definition is installed', async (t) => {
  let isInstalled = false;
  const { cluster } = await start(t, ['11-custom-resource-scale'], {
    prepare: (replay) => {
      oldServer(replay);
      replay.script(({ pathname, isWatch }) => {
        if (pathname === '/apis/fleet.example.com/v1' && !isInstalled) return refusal(404, 'NotFound', '');
        if (pathname === brokers) return isWatch ? stream([]) : listOf('Broker', 5, []);
        return null;
      });
    },
  });
  const watch = follow(t, cluster, broker);
  const { problem } = await watch.until(({ problem }) => problem !== null);
  t.same(problem, {
    state: 'missing',
    reason: 'UnknownKind',
    message: 'the cluster does not know the kind Broker of fleet.example.com/v1',
  });
  isInstalled = true;
  await watch.until(({ problem }) => problem?.message === 'Broker shop/main does not exist');
});

t.test('a definition that gets its scale later is looked at again', async (t) => {
  let hasScale = false;
  const { cluster } = await start(t, [], {
    prepare: (replay) => {
      oldServer(replay);
      replay.script(({ pathname, isWatch }) => {
        if (pathname === brokers) return isWatch ? stream([]) : listOf('Broker', 5, []);
        if (pathname !== '/apis/fleet.example.com/v1') return null;
        const kind = { name: 'brokers', kind: 'Broker', namespaced: true, verbs: [] };
        const scale = { name: 'brokers/scale', kind: 'Scale', namespaced: true, verbs: [] };
        const resources = hasScale ? [kind, scale] : [kind];
        return answer(200, { kind: 'APIResourceList', groupVersion: 'fleet.example.com/v1', resources });
      });
    },
  });
  const watch = follow(t, cluster, broker);
  await watch.until(({ problem }) => problem?.reason === 'NoScale');
  hasScale = true;
  await watch.until(({ problem }) => problem?.message === 'Broker shop/main does not exist');
});

t.test('numbers of a custom resource come from its scale, read after each change', async (t) => {
  let replicas = 3;
  const object = (resourceVersion: string): unknown => ({
    metadata: { name: 'main', uid: 'b1', generation: 4, resourceVersion },
    spec: { nodes: 3, replicas: 99 },
    status: { conditions: [{ type: 'Ready', status: 'False', reason: 'Starting' }] },
  });
  const { cluster, replay } = await start(t, ['11-custom-resource-scale'], {
    prepare: (replay) => {
      oldServer(replay);
      replay.script(({ pathname, isWatch }) => {
        if (pathname === brokers) return isWatch ? stream([]) : listOf('Broker', 5, [object('5')]);
        if (pathname === `${brokers}/main/scale`)
          return answer(200, { spec: { replicas }, status: { replicas: 2, selector: 'app=broker' } });
        if (pathname.endsWith('/pods')) return isWatch ? stream([]) : listOf('Pod', 5, []);
        return null;
      });
    },
  });
  const watch = follow(t, cluster, broker);
  const first = await watch.until(({ target }) => target !== null);
  t.match(first.target, { desired: 3, observed: 2, ready: 0, generation: 4, observedGeneration: 4 });
  t.match(first.target?.conditions[0], { type: 'Ready', reason: 'Starting' });
  await replay.until(() => replay.openWatches.some(({ pathname }) => pathname.endsWith('/pods')));
  const pods = replay.openWatches.find(({ pathname }) => pathname.endsWith('/pods'));
  t.equal(pods?.query.get('labelSelector'), 'app=broker');
  replay.push('/api/v1/namespaces/shop/pods', {
    type: 'ADDED',
    object: {
      metadata: { uid: 'p', name: 'main-0' },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    },
  });
  await watch.until(({ target }) => target?.ready === 1);
  replicas = 6;
  replay.push(brokers, { type: 'MODIFIED', object: object('6') });
  await watch.until(({ target }) => target?.desired === 6);
});
