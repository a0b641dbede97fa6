/**
 * The demo with `--kubeconfig`: an API server that is not its own, which the simulated cluster and recordings of a
 * real one stand in for. The demo treats either as it would a real one.
 */
import path from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../daemon/log.ts';
import { type Demo, type DemoOptions, startDemo } from '../../hil/demo.ts';
import { type SimCluster, startSimCluster } from '../../hil/sim/cluster/cluster.ts';
import { loadRecording } from '../../hil/sim/replay/recording.ts';
import { startReplay } from '../../hil/sim/replay/replay.ts';
import { healthz, PageClient, startDemoProcess } from './demo-process.ts';
import { kubectl, noKubectl } from './processes.ts';

async function startCluster(t: Test, dir: string, port = 0): Promise<SimCluster> {
  const options = { port, dir, log: silentLog, workloads: 'demo', timing: {}, seed: 1 } as const;
  const cluster = await startSimCluster(options);
  t.teardown(() => cluster.close());
  return cluster;
}

/** A demo in this process with a page of it. */
async function start(t: Test, options: Partial<DemoOptions>): Promise<{ demo: Demo; page: PageClient }> {
  const demo = await startDemo(
    { bind: [], port: 0, identity: 'token', version: '0.0.0', log: silentLog, ...options },
    new AbortController().signal,
  );
  t.teardown(() => demo.stop());
  const page = await PageClient.open(demo.url);
  t.teardown(() => page.close());
  return { demo, page };
}

t.test('only what is bound is touched, with no more rights than given', { skip: noKubectl }, async (t) => {
  const cluster = await startCluster(t, t.testdir({}));
  const { kubeconfigPath: kubeconfig, control } = cluster;
  const bind = [
    '--bind',
    'shop/deployment/cart:1-8',
    '--bind',
    'shop/deploy/nobody',
    '--bind',
    'shop/sts/db',
  ];
  const demo = await startDemoProcess('--kubeconfig', kubeconfig, ...bind);
  t.teardown(() => demo.process.end('SIGTERM'));
  t.match(demo.banner, `REAL: context simulation of ${kubeconfig}`);
  t.match(demo.banner, 'fader1: shop/Deployment/cart, 1 to 8 replicas');
  const page = await PageClient.open(demo.url);
  t.teardown(() => page.close());
  for (const name of ['cart', 'nobody', 'db']) await page.live(name);
  t.same(page.facts?.cluster, { isSimulated: false, name: 'simulation' });
  t.match(page.strip('nobody'), {
    condition: { state: 'missing', message: 'Deployment shop/nobody does not exist' },
  });
  t.match(page.strip('cart'), { desired: 3, condition: { state: 'ok' } }, 'the others work');

  page.moveMotor('fader1', 0.9);
  const denied = await page.notice(/^cart denied/);
  t.match(denied, /Forbidden: User surfaced:surface:demo may not .* Role in namespace shop .* is missing/);
  const ours = control.requestLog.entries.filter(({ userAgent }) => userAgent.startsWith('surfaced'));
  t.match(ours.at(-1), { user: 'surfaced:surface:demo', status: 403 });

  const rights = /kubectl --kubeconfig \S+ (--context \S+ apply -f \S+)/.exec(demo.banner)?.[1] ?? '';
  t.match(await kubectl(kubeconfig, ...rights.split(' ')), /rolebinding\S* created/, 'as the banner says');
  page.moveMotor('fader1', 0.9);
  t.match(await page.notice(/^cart converged/), '7 Pods are ready');
  const spec = 'jsonpath={.spec.replicas}';
  t.equal(await kubectl(kubeconfig, '-n', 'shop', 'get', 'deploy', 'cart', '-o', spec), '7');

  const all = control.requestLog.entries.filter(({ userAgent }) => userAgent.startsWith('surfaced'));
  const paths = (verbs: RegExp) =>
    [...new Set(all.filter(({ verb }) => verbs.test(verb)).map((entry) => `${entry.verb} ${entry.path}`))]
      .map((request) =>
        decodeURIComponent(request).replace(/[?&](?:watch|allow|timeout|limit|resourceV).*/, ''),
      )
      .filter((request) => request.includes('/namespaces/'));
  t.same(paths(/^(?!get|list|watch)/), [
    'update /apis/apps/v1/namespaces/shop/deployments/cart/scale?fieldManager=surfaced',
  ]);
  const named = (name: string) => `fieldSelector=metadata.name=${name}`;
  t.same([...new Set(paths(/^(?:get|list|watch)$/).map((request) => request.replace(/^\w+ /, '')))].sort(), [
    '/api/v1/namespaces/shop/pods?labelSelector=app=cart',
    '/api/v1/namespaces/shop/pods?labelSelector=app=db',
    `/apis/apps/v1/namespaces/shop/deployments/cart/scale`,
    `/apis/apps/v1/namespaces/shop/deployments?${named('cart')}`,
    `/apis/apps/v1/namespaces/shop/deployments?${named('nobody')}`,
    `/apis/apps/v1/namespaces/shop/statefulsets?${named('db')}`,
    '/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers',
  ]);
});

t.test('a cluster that is away is shown, and used as soon as it is there', async (t) => {
  const dir = t.testdir({});
  const before = await startCluster(t, dir);
  const { port } = new URL(before.url);
  await before.close();
  const { demo, page } = await start(t, {
    kubeconfig: path.join(dir, 'kubeconfig'),
    bind: ['shop/deployment/cart:1-8'],
  });
  await page.until(() => page.strip('cart')?.condition.state === 'unreachable');
  const { status, report } = await healthz(demo.url);
  t.equal(status, 503);
  t.match(report.parts.cluster, { ok: false, detail: `https://127.0.0.1:${port}: ` });
  t.equal(page.face.link.state, 'stale', 'no control does anything');

  const cluster = await startCluster(t, dir, Number(port));
  await page.live('cart');
  await page.until(() => page.strip('cart')?.ready === 3);
  await page.until(() => page.health?.ok === true);
  t.equal((await healthz(demo.url)).status, 200);

  await cluster.close();
  await page.until(() => page.face.link.state === 'stale');
  t.pass('away again');
});

t.test('a demo without bindings says how to name some', { skip: noKubectl }, async (t) => {
  const cluster = await startCluster(t, t.testdir({}));
  const demo = await startDemoProcess('--kubeconfig', cluster.kubeconfigPath);
  t.teardown(() => demo.process.end('SIGTERM'));
  t.match(demo.banner, /bindings +none: name targets with --bind/);
  const page = await PageClient.open(demo.url);
  await page.until(() => page.health?.ok === true);
  t.same(page.face.strips, []);
  const touched = cluster.control.requestLog.entries.filter(({ path }) => path.includes('/namespaces/'));
  t.same(touched, [], 'nothing is looked at either');
  await page.close();
});

t.test('a recorded API server', async (t) => {
  const recorded = (name: string) =>
    loadRecording(new URL(`../fixtures/kube/${name}.json`, import.meta.url).pathname);
  const replay = await startReplay({
    recordings: [await recorded('01-discovery'), await recorded('02-deployment-create-and-scale')],
    speed: 1,
  });
  t.teardown(() => replay.stop());
  const dir = t.testdir({ kubeconfig: replay.kubeconfig() });
  const { page } = await start(t, {
    kubeconfig: path.join(dir, 'kubeconfig'),
    bind: ['shop/deployment/cart:1-8'],
  });
  /** What is asked for, how many are ready, how many lights say so: each once, in its order. */
  const steps: string[] = [];
  await page.until(() => {
    const { desired, ready } = page.strip('cart') ?? {};
    const lights = page.face.matrix?.hex.match(/.{6}/g) ?? [];
    const step = `${desired}/${ready} ${lights.filter((hex) => hex === '0072b2').length}`;
    if (steps.at(-1) !== step) steps.push(step);
    return step === '0/0 0' && steps.includes('2/2 2');
  });
  t.comment(steps.join(', '));
  const numbers = steps.map((step) => step.split('/')[0]).filter((desired) => /^\d/.test(desired ?? ''));
  t.same(
    numbers.filter((desired, index) => desired !== numbers[index - 1]),
    ['3', '5', '2', '0'],
    'the recorded creation and its three changes of scale',
  );
  t.same(
    steps.filter((step) => ['2/2 2', '0/0 0'].includes(step)),
    ['2/2 2', '0/0 0'],
    'one light a Pod where the recording comes to rest',
  );
});
