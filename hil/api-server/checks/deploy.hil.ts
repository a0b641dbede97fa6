/** Real API servers take what is in deploy/, and let the gateway do with its rights what it does, and no more. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { connectCluster } from '../../../daemon/bridge/kube/cluster.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { parseAccount, rbacManifest } from '../../../daemon/commands/rbac.ts';
import { parseConfig } from '../../../daemon/config/load.ts';
import { silentLog } from '../../../daemon/log.ts';
import { type Manifest, objectsIn, objectsOf, overlays, rendered } from '../../../test/deploy/manifests.ts';
import { root } from '../../../test/structure/source-files.ts';
import { ensurePrograms } from '../build.ts';
import { startServers } from '../servers.ts';

/** What kube-apiserver 1.20 does not know, or not whole; each is looked at otherwise below. */
const unknown = /^(?:CustomResourceDefinition|ValidatingAdmissionPolicy(?:Binding)?|PodDisruptionBudget)$/;
const names = { userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' };
const target = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };
const desk = parseConfig(
  'ControlSurface',
  stringify({
    apiVersion: 'surfaced.dev/v1alpha1',
    kind: 'ControlSurface',
    metadata: { name: 'desk' },
    spec: { bindings: [{ control: 'fader1', target, min: 1, max: 9 }] },
  }),
  'desk',
);

const programs = await ensurePrograms();
const folder = mkdtempSync(path.join(tmpdir(), 'surfaced-api-'));
const { core, extensions, stop } = await startServers(programs, folder);
t.teardown(async () => {
  await stop();
  rmSync(folder, { recursive: true });
});
const admin = await core.kubeconfig('administrator');
/** Applies objects with kubectl. @returns what it says; throws when one is refused */
function apply(objects: readonly Manifest[], ...more: string[]): string {
  const file = path.join(folder, 'apply.yaml');
  writeFileSync(
    file,
    objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n'),
  );
  return execFileSync('kubectl', ['apply', '-f', file, ...more], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', HOME: folder, KUBECONFIG: admin },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

for (const namespace of ['surfaced', 'shop', 'other'])
  await core.ask('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });

for (const overlay of overlays)
  t.test(`overlay ${overlay}: a dry run is accepted, with the fields checked`, async (t) => {
    const known = rendered(overlay).filter(({ kind }) => !unknown.test(kind));
    const lines = apply(known, '--dry-run=server').trim().split('\n');
    t.equal(lines.length, known.length, lines.join('\n'));
    t.ok(lines.every((line) => / \(server dry run\)$/.test(line)));
  });

t.test('the PodDisruptionBudget, as the version of its time', async (t) => {
  const [budget] = objectsOf('base/disruption-budget.yaml');
  const { unhealthyPodEvictionPolicy, ...spec } = budget?.spec ?? {};
  t.equal(unhealthyPodEvictionPolicy, 'AlwaysAllow');
  apply([{ ...budget, apiVersion: 'policy/v1beta1', spec } as Manifest], '--dry-run=server');
});

t.test('the definitions with their rules, and what those refuse', async (t) => {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const plural of ['controlsurfaces', 'surfacerequests']) {
    const [body] = objectsOf(`crd/${plural}.yaml`);
    const made = await extensions.ask('POST', `${definitions}?fieldValidation=Strict`, { body });
    t.equal(made.status, 201, made.body.message ?? plural);
    const isEstablished = async (): Promise<boolean> => {
      const { body: now } = await extensions.ask('GET', `${definitions}/${plural}.surfaced.dev`);
      return now.status.conditions?.some(
        (each: Record<string, string>) => each.type === 'Established' && each.status === 'True',
      );
    };
    while (!(await isEstablished())) await new Promise((resolve) => setTimeout(resolve, 100));
    const { body: now } = await extensions.ask('GET', `${definitions}/${plural}.surfaced.dev`);
    t.notOk(now.status.conditions.some(({ type }: { type: string }) => type === 'NonStructuralSchema'));
  }
  const where = '/apis/surfaced.dev/v1alpha1/namespaces/surfaced/controlsurfaces?fieldValidation=Strict';
  const post = async (name: string, binding: Record<string, unknown>) =>
    extensions.ask('POST', where, {
      body: {
        ...{ apiVersion: 'surfaced.dev/v1alpha1', kind: 'ControlSurface', metadata: { name } },
        spec: { bindings: [{ control: 'fader1', target, min: 1, max: 9, ...binding }] },
      },
    });
  // A definition is served a moment after it is established.
  let first = await post('good', {});
  while (first.status === 404) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    first = await post('good', {});
  }
  t.equal(first.status, 201, first.body.message);
  for (const [name, binding] of Object.entries({
    'min above max': { min: 10 },
    'zero without arming': { min: 0 },
    'a field that there is not': { speed: 3 },
    'an unknown colour': { colour: 'grey' },
  })) {
    const { status, body } = await post('bad', binding);
    t.ok(status === 422 || status === 400, `${name}: ${body.message}`);
  }
});

t.test('the gateway with its rights', async (t) => {
  const known = rendered('embedded').filter(({ kind }) => !unknown.test(kind));
  apply(known);
  const deployment = { selector: { matchLabels: { app: 'cart' } }, replicas: 3 };
  const template = {
    metadata: { labels: { app: 'cart' } },
    spec: { containers: [{ name: 'main', image: 'x' }] },
  };
  for (const name of ['cart', 'foreign'])
    apply([
      {
        apiVersion: target.apiVersion,
        kind: target.kind,
        metadata: { name, namespace: 'shop' },
        spec: { ...deployment, template },
      },
    ]);
  apply(objectsIn(rbacManifest(desk, names, parseAccount('surfaced/surfaced-gateway'))));
  const asked = await core.ask('POST', '/api/v1/namespaces/surfaced/serviceaccounts/surfaced-gateway/token', {
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  const bearer: string = asked.body.status.token;

  await t.test('reads its target and scales it as the surface', async (t) => {
    const cluster = await connectCluster({
      config: { kubeconfig: await core.kubeconfig(bearer), ...names },
      ...{ log: silentLog, clock: systemClock, random: Math.random, fieldManager: 'surfaced' },
    });
    t.teardown(() => cluster.close());
    let changed = (): void => {};
    const watch = cluster.watchTarget(target, () => changed(), 'pods');
    const until = (isSo: () => boolean): Promise<void> =>
      new Promise((resolve) => {
        changed = () => isSo() && resolve();
        changed();
      });
    await until(() => watch.snapshot().target?.desired === 3);
    t.equal(watch.snapshot().problem, null);
    const actor = {
      user: 'surfaced:surface:desk',
      groups: [names.group],
      extra: { 'surfaced.dev/surface': 'desk' },
    };
    const { signal } = new AbortController();
    const scale = await cluster.getScale(target, actor, signal);
    await cluster.putScale(target, scale, 5, actor, { isDryRun: false }, signal);
    await until(() => watch.snapshot().target?.desired === 5);
    t.same(await cluster.warnings(target, signal), []);
    watch.close();
  });

  await t.test('nothing else', async (t) => {
    const as = (user: string, ...groups: string[]): string[] => [
      ...['impersonate-user', user],
      ...groups.flatMap((group) => ['impersonate-group', group]),
    ];
    const apps = '/apis/apps/v1/namespaces/shop/deployments';
    const cases: readonly [
      status: number,
      method: 'GET' | 'PUT' | 'DELETE',
      where: string,
      headers: string[],
    ][] = [
      [200, 'GET', `${apps}/cart`, []],
      [200, 'GET', `${apps}?fieldSelector=metadata.name%3Dcart`, []],
      [403, 'GET', `${apps}/foreign`, []],
      [403, 'GET', apps, []],
      [403, 'PUT', `${apps}/cart/scale`, []],
      [403, 'GET', '/api/v1/namespaces/shop/secrets', []],
      [403, 'GET', '/api/v1/namespaces/surfaced/secrets', []],
      [403, 'GET', '/api/v1/nodes', []],
      [403, 'GET', '/api/v1/pods', []],
      [403, 'DELETE', '/api/v1/namespaces/shop/pods/any', []],
      [200, 'GET', `${apps}/cart/scale`, as('surfaced:surface:desk', names.group)],
      [403, 'GET', `${apps}/foreign/scale`, as('surfaced:surface:desk', names.group)],
      [403, 'GET', `${apps}/cart/scale`, as('surfaced:surface:rack', names.group)],
      [403, 'GET', '/version', as('surfaced:surface:desk', 'system:masters')],
      [403, 'GET', '/version', as('admin')],
    ];
    for (const [status, method, where, headers] of cases) {
      const body = method === 'PUT' ? {} : undefined;
      const answer = await core.ask(method, where, { bearer, headers, ...(body && { body }) });
      t.equal(answer.status, status, `${method} ${where} ${headers.join(' ')}`);
    }
  });
});

t.test('the policy, by the plug-in of the API server', async (t) => {
  const user = 'surfaced:surface:desk';
  const deployment = { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment' };
  const autoscaler = {
    group: 'autoscaling',
    version: 'v2',
    resource: 'horizontalpodautoscalers',
    kind: 'HorizontalPodAutoscaler',
  };
  const broker = { group: 'fleet.example.com', version: 'v1', resource: 'brokers', kind: 'Broker' };
  const controller = {
    group: '',
    version: 'v1',
    resource: 'replicationcontrollers',
    kind: 'ReplicationController',
  };
  const cronJob = { group: 'batch', version: 'v1', resource: 'cronjobs', kind: 'CronJob' };
  const eviction = { group: '', version: 'v1', resource: 'pods', kind: 'Eviction', operation: 'CREATE' };
  const cases: readonly [expected: RegExp | null, request: Record<string, unknown>][] = [
    [/kube-system belongs to the cluster/, { user, namespace: 'kube-system', ...deployment, replicas: 3 }],
    [null, { user, namespace: 'shop', ...deployment, replicas: 3 }],
    [null, { user, namespace: 'shop', ...deployment, replicas: 0 }],
    [null, { user, namespace: 'shop', ...deployment, replicas: 100 }],
    [/101 replicas are more than the 100/, { user, namespace: 'shop', ...deployment, replicas: 101 }],
    [/101 replicas are more than the 100/, { user, namespace: 'shop', ...broker, replicas: 101 }],
    [/101 replicas are more than the 100/, { user, namespace: 'shop', ...controller, replicas: 101 }],
    [
      /more than the 100/,
      { user: 'any', groups: [names.group], namespace: 'shop', ...deployment, replicas: 101 },
    ],
    [null, { user: 'admin', namespace: 'shop', ...deployment, replicas: 101 }],
    [null, { user: 'admin', namespace: 'kube-system', ...deployment, operation: 'DELETE' }],
    [/6 replicas are more than the 5/, { user, namespace: 'small', ...deployment, replicas: 6 }],
    [/1 replicas are fewer than the 2/, { user, namespace: 'small', ...deployment, replicas: 1 }],
    [/0 replicas are fewer than the 2/, { user, namespace: 'small', ...deployment, replicas: 0 }],
    [/type conversion error/, { user, namespace: 'broken', ...deployment, replicas: 3 }],
    [/is frozen/, { user, namespace: 'frozen', ...deployment, replicas: 3 }],
    [/is frozen/, { user, namespace: 'frozen', ...deployment }],
    [/is frozen/, { user, namespace: 'frozen', ...cronJob }],
    [null, { user, namespace: 'shop', ...cronJob }],
    [/kube-system belongs to the cluster/, { user, namespace: 'kube-system', ...eviction }],
    [/surfaced belongs to the cluster/, { user, namespace: 'surfaced', ...eviction }],
    [/is frozen/, { user, namespace: 'frozen', ...eviction }],
    [null, { user, namespace: 'shop', ...eviction }],
    [null, { user: 'admin', namespace: 'kube-system', ...eviction }],
    [/belongs to the cluster/, { user, namespace: 'surfaced', ...deployment, replicas: 3 }],
    [/belongs to the cluster/, { user, namespace: 'keda', ...deployment, replicas: 3 }],
    [null, { user, namespace: 'shop', ...autoscaler, spec: { maxReplicas: 100 } }],
    [
      /an autoscaler up to more than 100/,
      { user, namespace: 'shop', ...autoscaler, spec: { maxReplicas: 101 } },
    ],
  ];
  const component = path.join(root, 'deploy/components/scale-policy');
  // Of subresources the program knows the scale alone: an eviction comes to it as a Pod.
  const policy = path.join(folder, 'policy.yaml');
  const text = readFileSync(path.join(component, 'policy.yaml'), 'utf8');
  t.equal(text.match(/\[pods\/eviction\]/g)?.length, 1);
  writeFileSync(policy, text.replace('[pods/eviction]', '[pods]'));
  const input = {
    files: [policy, path.join(component, 'bounds.yaml')],
    namespaces: {
      ...{ 'kube-system': {}, surfaced: {}, shop: {}, keda: {} },
      frozen: { 'surfaced.dev/frozen': 'true' },
      small: { 'surfaced.dev/max-replicas': '5', 'surfaced.dev/min-replicas': '2' },
      broken: { 'surfaced.dev/max-replicas': 'many' },
    },
    requests: cases.map(([, request]) => request),
  };
  const output = execFileSync(programs.policy, {
    input: JSON.stringify(input),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const answers = parse(output) as { allowed: boolean; message: string }[];
  for (const [index, [expected, request]] of cases.entries()) {
    const answer = answers[index] ?? { allowed: false, message: 'no answer' };
    const words = JSON.stringify(request);
    if (expected === null) t.ok(answer.allowed, `${words}: ${answer.message}`);
    else t.match(answer.message, expected, words);
  }
});
