import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { deploymentRef, type SimCluster } from '../../../hil/sim/cluster/cluster.ts';
import { Client, DEPLOYMENTS, isSettled, startedCluster } from './support.ts';

const cart = { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 2 } as const;

t.test('the next requests fail as told, with Retry-After', async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: [cart] });
  cluster.control.failNext(2, 429, 1);
  for (let index = 0; index < 2; index++) {
    const reply = await client.get(DEPLOYMENTS);
    t.equal(reply.status, 429);
    t.equal(reply.headers['retry-after'], '1');
    t.match(reply.body, {
      kind: 'Status',
      reason: 'TooManyRequests',
      details: { retryAfterSeconds: 1 },
      code: 429,
    });
  }
  t.equal((await client.get(DEPLOYMENTS)).status, 200);
});

t.test('requests hang as long as told and are answered then', async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: [cart] });
  cluster.control.hang(80);
  const order: string[] = [];
  const waiting = client.get(DEPLOYMENTS).then(() => order.push('answered'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  order.push('waited');
  await waiting;
  t.same(order, ['waited', 'answered']);
});

t.test('a GitOps tool sets the replicas back until it is called off', async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: [cart] });
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(2));
  const ref = deploymentRef('shop', 'cart');
  cluster.control.revertBy(ref, 'argocd-controller', 2);
  await client.merge(`${DEPLOYMENTS}/cart/scale?fieldManager=desk`, { spec: { replicas: 5 } });
  const after = await client.until(
    `${DEPLOYMENTS}/cart`,
    (one) => one.metadata.generation === 3 && one.spec?.replicas === 2,
  );
  const { managedFields } = after.metadata as { managedFields: { manager: string; fieldsV1: object }[] };
  const owner = managedFields.find(
    ({ fieldsV1 }) =>
      JSON.stringify(fieldsV1).includes('f:replicas":{}},"') ||
      JSON.stringify(fieldsV1) === '{"f:spec":{"f:replicas":{}}}',
  );
  t.equal(owner?.manager, 'argocd-controller');
  cluster.control.revertBy(ref, 'argocd-controller', null);
  await client.merge(`${DEPLOYMENTS}/cart/scale`, { spec: { replicas: 4 } });
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(4));
});

t.test('broken images stop new Pods only, and pull again when they are mended', async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: [cart] });
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(2));
  const ref = deploymentRef('shop', 'cart');
  cluster.control.setImageBroken(ref, true);
  await client.merge(`${DEPLOYMENTS}/cart/scale`, { spec: { replicas: 3 } });
  const pods = await client.watch('/api/v1/namespaces/shop/pods?watch=1');
  await pods.until((events) =>
    JSON.stringify(events.at(-1)?.object.status ?? {}).includes('ImagePullBackOff'),
  );
  t.match((await client.get(`${DEPLOYMENTS}/cart`)).body, {
    status: { readyReplicas: 2, unavailableReplicas: 1 },
  });
  pods.close();
  cluster.control.setImageBroken(ref, false);
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(3));
});

t.test('what was asked is logged and counted', async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: [cart] });
  await client.get(`${DEPLOYMENTS}/cart/scale`);
  await client.merge(`${DEPLOYMENTS}/cart/scale`, { spec: { replicas: 1 } }, { 'user-agent': 'desk/1' });
  await client.get('/version');
  const { requestLog } = cluster.control;
  t.same(requestLog.counts(), {
    'get deployments/scale': 1,
    'patch deployments/scale': 1,
    'get /version': 1,
  });
  t.match(requestLog.entries[1], { method: 'PATCH', status: 200, user: 'sim-admin', userAgent: 'desk/1' });
  t.equal(cluster.control.connectionCount(), 1, 'one connection is used again');
});

t.test('a thousand Pods appear, are counted and go', async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: [{ ...cart, replicas: 1000 }] });
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(1000));
  const names = new Set(
    ((await client.get('/api/v1/namespaces/shop/pods')).body.items as { metadata: { name: string } }[]).map(
      ({ metadata }) => metadata.name,
    ),
  );
  t.equal(names.size, 1000);
  await client.merge(`${DEPLOYMENTS}/cart/scale`, { spec: { replicas: 3 } });
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(3));
  t.equal(((await client.get('/api/v1/namespaces/shop/pods')).body.items as unknown[]).length, 3);
  t.equal(cluster.control.openWatches(), 0, 'no watch is left behind');
});

t.test('as a process it says where it is, obeys the control endpoint and ends at once', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sim-process-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import=tsx', 'hil/sim/cluster/main.ts', '--workloads', 'demo', '--dir', dir],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: new URL('../../..', import.meta.url) },
  );
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const { url, kubeconfig } = JSON.parse(line.toString()) as { url: string; kubeconfig: string };
  t.equal(kubeconfig, join(dir, 'kubeconfig'));
  t.match(said, /simulation/);
  const client = new Client({
    url,
    kubeconfigPath: kubeconfig,
    caPem: readFileSync(join(dir, 'ca.crt'), 'utf8'),
  } as SimCluster);
  t.teardown(() => client.close());
  const { items } = (await client.get('/apis/apps/v1/deployments')).body as { items: unknown[] };
  t.equal(items.length, 7);
  t.equal((await client.post('/sim/failNext', { count: 1, status: 503 })).status, 200);
  t.equal((await client.get('/apis/apps/v1/deployments')).status, 503);
  t.equal((await client.post('/sim/crashing', { namespace: 'shop', name: 'flaky' })).status, 200);
  t.match((await client.get(`${DEPLOYMENTS}/flaky`)).body, {
    metadata: { annotations: { 'sim.surfaced.dev/behaviour': 'crash' } },
  });
  const bad = await client.post('/sim/failNext', { count: 'many', status: 503 });
  t.match(bad.body, { reason: 'BadRequest', message: /count/ });
  t.equal((await client.post('/sim/nothing', {})).status, 404);
  const stranger = await client.send('/sim/failNext', { method: 'POST', body: {}, isAnonymous: true });
  t.equal(stranger.status, 403);
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  t.same(await exited, [0, null]);
});
