import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { DEPLOYMENTS, isSettled, startedCluster } from './support.ts';

const run = promisify(execFile);
const isThere = spawnSync('kubectl', ['version', '--client']).status === 0;
const skip = isThere ? false : 'kubectl is not installed (npm test installs kubernetes-client)';

t.test('the real kubectl reads, scales, follows and deletes', { skip }, async (t) => {
  const { client, cluster } = await startedCluster(t, { workloads: 'demo' });
  const home = mkdtempSync(join(tmpdir(), 'kubectl-'));
  t.teardown(() => rmSync(home, { recursive: true }));
  const env = { PATH: process.env.PATH ?? '', HOME: home, KUBECONFIG: cluster.kubeconfigPath };
  const kubectl = async (...words: string[]): Promise<string> =>
    (await run('kubectl', ['-n', 'shop', ...words], { env })).stdout;

  await client.until(`${DEPLOYMENTS}/cart`, isSettled(3));
  const table = await kubectl('get', 'deployments');
  t.match(table, /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\n/);
  t.match(table, /\ncart +3\/3 +3 +3 +\d+s\n/);
  t.match(await kubectl('get', 'deploy', '-o', 'wide'), /main +registry\.example\/cart:1\.0 +app=cart/);
  t.match(await kubectl('get', 'deploy/cart', '-o', 'jsonpath={.spec.replicas}'), '3');

  const follower = spawn('kubectl', ['-n', 'shop', 'get', 'deploy/cart', '-w'], { env });
  t.teardown(() => follower.kill());
  let followed = '';
  const sees = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!pattern.test(followed)) return;
        follower.stdout.off('data', look);
        resolve();
      };
      follower.stdout.on('data', look);
    });
  follower.stdout.prependListener('data', (chunk: Buffer) => {
    followed += chunk.toString();
  });
  await sees(/\ncart +3\/3/);
  const sawFive = sees(/\ncart +5\/5/);
  t.equal(await kubectl('scale', 'deploy/cart', '--replicas=5'), 'deployment.apps/cart scaled\n');
  t.match(await kubectl('rollout', 'status', 'deploy/cart'), /successfully rolled out/);
  await sawFive;
  t.match(followed, /\ncart +3\/5/);
  follower.kill();

  const described = await kubectl('describe', 'deployment', 'cart');
  t.match(described, /Replicas: +5 desired \| 5 updated \| 5 total \| 5 available \| 0 unavailable/);
  t.match(described, /Available +True +MinimumReplicasAvailable/);
  t.match(described, /ScalingReplicaSet .*Scaled up replica set cart-\w+ from 3 to 5/);

  t.match(await kubectl('get', 'sts'), /\ndb +\d\/2 /);
  t.match(await kubectl('get', 'rs'), /\ncart-\w+ +5 +5 +5 /);
  t.match(await kubectl('get', 'hpa'), /\nweb +Deployment\/web +cpu: .*\/80% +2 +6 /);
  t.match(await kubectl('get', 'events', '--field-selector', 'reason=ScalingReplicaSet'), /deployment\/cart/);
  t.match(await kubectl('get', 'quota', '-A'), /\ntight +pods +pods: \d\/5/);

  await t.rejects(kubectl('scale', 'deploy/cart', '--current-replicas=1', '--replicas=2'), {
    message: /Expected replicas to be 1, was 5/,
  });
  await t.rejects(kubectl('--as=nobody', 'get', 'pods'), {
    message:
      /pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "shop"/,
  });

  const [pod] = (await kubectl('get', 'pods', '-l', 'app=cart', '-o', 'name')).split('\n');
  t.match(await kubectl('delete', pod!), /^pod "cart-\S+" deleted/);
  await client.until(`${DEPLOYMENTS}/cart`, isSettled(5));

  const manifest = join(home, 'deployment.yaml');
  writeFileSync(
    manifest,
    `
apiVersion: apps/v1
kind: Deployment
metadata: { name: applied }
spec:
  selector: { matchLabels: { app: applied } }
  template:
    metadata: { labels: { app: applied } }
    spec: { containers: [{ name: main, image: "registry.example/applied:1.0" }] }
`,
  );
  t.equal(await kubectl('apply', '-f', manifest), 'deployment.apps/applied created\n');
  t.equal(await kubectl('apply', '-f', manifest), 'deployment.apps/applied unchanged\n');
  t.match(await kubectl('apply', '--server-side', '-f', manifest), /serverside-applied/);
  t.match(await kubectl('delete', '-f', manifest), /deleted/);
});
