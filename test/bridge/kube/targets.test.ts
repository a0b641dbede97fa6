/** Targets and autoscalers as the recordings of a real API server have them. */
import t from 'tap';
import { fields } from '../../../daemon/bridge/kube/read.ts';
import {
  gitopsOf,
  parseTarget,
  replicasManagerOf,
  selectorQuery,
} from '../../../daemon/bridge/kube/targets.ts';
import { belongsByName } from '../../../daemon/bridge/kube/warnings.ts';
import { deployment, follow, never, recording, start } from './start.ts';

t.test('a Deployment that is scaled down to nothing', async (t) => {
  const { cluster, replay } = await start(t, ['02-deployment-create-and-scale']);
  const cart = follow(t, cluster, deployment('cart'));
  await cart.until(({ target }) => target?.desired === 0 && target.observed === 0);
  await replay.until(() => replay.openWatches.some(({ pathname }) => pathname.endsWith('/pods')));
  const last = await cart.until(({ pods }) => pods.length === 0);
  t.equal(last.problem, null);
  t.equal(last.target?.gitops, null);
  const [targets] = replay.requests.filter(({ pathname }) => pathname.endsWith('/deployments'));
  t.equal(targets?.query.get('fieldSelector'), 'metadata.name=cart', 'no list of all Deployments');
  for (const { pathname, query } of replay.requests.filter(({ pathname }) => pathname.endsWith('/pods'))) {
    t.equal(pathname, '/api/v1/namespaces/shop/pods');
    t.equal(query.get('labelSelector'), 'app=cart', 'only its own Pods');
  }
});

t.test('trouble: never ready, image, paused, quota', async (t) => {
  const { cluster } = await start(t, ['06-troubled-rollouts']);
  const stuck = await follow(t, cluster, deployment('stuck')).until(
    ({ pods, target }) => pods.length === 2 && target !== null,
  );
  t.match(stuck.target, { desired: 2, observed: 2, ready: 0, generation: 1, observedGeneration: 1 });
  const progressing = stuck.target?.conditions.find(({ type }) => type === 'Progressing');
  t.match(progressing, { status: 'False', reason: 'ProgressDeadlineExceeded', message: /timed out/ });
  const pull = await follow(t, cluster, deployment('pull')).until(({ pods }) => pods.length > 0);
  t.ok(pull.pods.every(({ reason }) => reason === 'ImagePullBackOff'));
  const paused = await follow(t, cluster, deployment('paused')).until(({ target }) => target !== null);
  t.equal(paused.target?.isPaused, true);
  const greedy = await follow(t, cluster, deployment('greedy', 'tight')).until(
    ({ target }) => target !== null,
  );
  const failure = greedy.target?.conditions.find(({ type }) => type === 'ReplicaFailure');
  t.match(failure, { status: 'True', reason: 'FailedCreate', message: /exceeded quota/ });

  const warnings = await cluster.warnings(deployment('greedy', 'tight'), never);
  t.equal(warnings[0]?.reason, 'FailedCreate');
  t.match(warnings[0]?.message, /combined from similar events/, 'newest first');
  t.match(warnings[0]?.object, 'ReplicaSet/greedy-59dc874c9b');
  t.ok(warnings.length <= 20);
  t.same(await cluster.warnings(deployment('other', 'tight'), never), [], 'nothing of others');
});

t.test('an autoscaler that owns the number', async (t) => {
  const { cluster } = await start(t, ['07-autoscaler-owned'], {
    prepare: (replay) => {
      // Recorded as a list of all namespaces; the gateway asks for one.
      replay.script(({ pathname, isWatch, query }) => {
        if (isWatch || pathname !== '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers')
          return null;
        const all = new URL('https://x/apis/autoscaling/v2/horizontalpodautoscalers');
        return replay.recorded({
          ...replay.requests.at(-1)!,
          pathname: all.pathname,
          query: new URLSearchParams(query),
        });
      });
    },
  });
  const web = follow(t, cluster, deployment('web'));
  const owned = await web.until(({ target, autoscaler }) => autoscaler !== null && target?.desired === 0);
  t.match(owned.autoscaler, { kind: 'HorizontalPodAutoscaler', name: 'web', min: 2, max: 4 });
  t.equal(owned.problem, null);
});

t.test('who wrote the number, with the moment when it was seen', async (t) => {
  const { exchanges } = await recording('07-autoscaler-owned');
  let previous: ReturnType<typeof parseTarget> | undefined;
  const owners: string[] = [];
  let now = 1000;
  for (const { event } of exchanges[6]?.response.stream ?? []) {
    previous = parseTarget(fields(event.object), true, previous, now++);
    const { desired, replicasManager } = previous.state;
    const line = `${desired} ${replicasManager?.name} ${replicasManager?.subresource} ${replicasManager?.at}`;
    if (owners.at(-1) !== line) owners.push(line);
  }
  t.same(owners, [
    `2 unknown  ${Date.parse('2026-11-23T04:36:40Z')}`,
    '9 surfaced scale 1001',
    '4 kube-controller-manager scale 1010',
    '0 undefined undefined undefined',
  ]);
  const apply = (await recording('05-server-side-apply')).exchanges[3]?.response.body;
  const manager = replicasManagerOf(fields(fields(apply).metadata), undefined, 0);
  t.same(manager, { name: 'gitops-tool', subresource: '', at: Date.parse('2026-11-23T04:36:31Z') });
});

t.test('a StatefulSet whose claims are deleted', async (t) => {
  const { cluster } = await start(t, ['08-statefulset-and-volumes']);
  const ref = { ...deployment('db'), kind: 'StatefulSet' };
  const db = await follow(t, cluster, ref).until(({ target, pods }) => target !== null && pods.length === 1);
  t.match(db.target, { desired: 1, observed: 1, ready: 1, deletesClaims: true });
  t.match(db.target?.replicasManager, { name: 'surfaced', subresource: 'scale', at: 0 });
  t.match(db.pods[0], { name: 'db-0', key: '0', light: 'ready', reason: '' });
  t.same(await cluster.replicasManager(ref, never), db.target?.replicasManager);
});

t.test('selectors as a query', async (t) => {
  t.equal(selectorQuery({ matchLabels: { app: 'cart', tier: 'web' } }), 'app=cart,tier=web');
  t.equal(selectorQuery({ app: 'rc' }), 'app=rc', 'plain map of a ReplicationController');
  const matchExpressions = [
    { key: 'a', operator: 'In', values: ['1', '2'] },
    { key: 'b', operator: 'NotIn', values: ['3'] },
    { key: 'c', operator: 'Exists' },
    { key: 'd', operator: 'DoesNotExist' },
  ];
  t.equal(selectorQuery({ matchExpressions }), 'a in (1,2),b notin (3),c,!d');
  t.equal(selectorQuery({ matchExpressions: [{ key: 'a', operator: 'Like' }] }), '', 'never too many');
});

t.test('tools that own an object', async (t) => {
  const labels = { 'app.kubernetes.io/instance': 'shop' };
  const annotations = { 'argocd.argoproj.io/tracking-id': 'shop:apps/Deployment:shop/cart' };
  t.same(gitopsOf({ annotations }), { tool: 'Argo CD', name: 'shop' });
  t.equal(gitopsOf({ labels }), null, 'Helm and others use this label too');
  t.same(gitopsOf({ labels, annotations: { 'argocd.argoproj.io/sync-wave': '1' } }), {
    tool: 'Argo CD',
    name: 'shop',
  });
  t.same(gitopsOf({ labels: { 'kustomize.toolkit.fluxcd.io/name': 'apps' } }), {
    tool: 'Flux',
    name: 'apps',
  });
  t.same(gitopsOf({ labels: { 'helm.toolkit.fluxcd.io/name': 'cart' } }), { tool: 'Flux', name: 'cart' });
});

t.test('whose event it is, by the name of its object', async (t) => {
  const web = deployment('web');
  t.ok(belongsByName(web, 'ReplicaSet', 'web-59dc874c9b'));
  t.notOk(belongsByName(web, 'ReplicaSet', 'web-admin-59dc874c9b'), 'of another Deployment');
  t.ok(belongsByName(web, 'Pod', 'web-59dc874c9b-8wwgw'));
  t.notOk(belongsByName(web, 'Pod', 'web-admin-59dc874c9b-8wwgw'));
  t.ok(belongsByName({ ...web, kind: 'StatefulSet' }, 'Pod', 'web-12'));
});
