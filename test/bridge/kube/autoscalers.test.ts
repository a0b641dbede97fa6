/** Who else decides about a number has to be known before the number is: a guard depends on it. */
import t from 'tap';
import type { ReplayRequest } from '../../../hil/sim/replay/replay.ts';
import { answer, type Reply, refusal, stream } from '../../../hil/sim/replay/reply.ts';
import { deployment, follow, start } from './start.ts';
import { isWatch, listOf, quietWorld } from './world.ts';

const isAutoscalers = ({ pathname }: ReplayRequest): boolean =>
  pathname === '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers';
const scaledObjects = '/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects';
const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'cart' };

t.test('no number is told before the autoscalers were listed', async (t) => {
  let autoscalers: Reply = refusal(503, 'ServiceUnavailable', 'storage is (re)initializing');
  const { cluster, replay } = await start(t, [], {
    prepare: (replay) => {
      quietWorld(replay);
      replay.script((request) => (isAutoscalers(request) && !request.isWatch ? autoscalers : null));
    },
  });
  const cart = follow(t, cluster, deployment('cart'));
  await replay.until(() => replay.openWatches.some(isWatch));
  const early = await cart.until(({ problem }) => problem !== null);
  t.equal(early.target, null);
  t.match(early.problem, { state: 'unreachable', message: /initializing/ });
  const metadata = { name: 'cart', uid: 'h1', resourceVersion: '5' };
  const spec = { scaleTargetRef, minReplicas: 2, maxReplicas: 5 };
  autoscalers = listOf('HorizontalPodAutoscaler', 10, [{ metadata, spec }]);
  const known = await cart.until(({ target }) => target !== null);
  t.match(known, { target: { desired: 2 }, autoscaler: { name: 'cart', max: 5 }, problem: null });
});

t.test('KEDA is looked for until the API server says whether it is there', async (t) => {
  const { cluster } = await start(t, [], {
    prepare: (replay) => {
      quietWorld(replay);
      let failures = 5;
      replay.script(({ pathname, isWatch }) => {
        if (pathname === '/apis') return answer(406, '');
        if (pathname === '/apis/keda.sh/v1alpha1') {
          if (failures-- > 0) return refusal(500, 'InternalError', 'etcdserver: request timed out');
          const resources = [{ name: 'scaledobjects', kind: 'ScaledObject', namespaced: true, verbs: [] }];
          return answer(200, { kind: 'APIResourceList', groupVersion: 'keda.sh/v1alpha1', resources });
        }
        if (pathname !== scaledObjects) return null;
        const metadata = { name: 'cart-keda', uid: 'k1', resourceVersion: '5' };
        return isWatch ? stream([]) : listOf('ScaledObject', 10, [{ metadata, spec: { scaleTargetRef } }]);
      });
    },
  });
  const cart = follow(t, cluster, deployment('cart'));
  const owned = await cart.until(({ autoscaler }) => autoscaler !== null);
  t.match(owned.autoscaler, { kind: 'ScaledObject', name: 'cart-keda', min: 0, max: 100 });
});
