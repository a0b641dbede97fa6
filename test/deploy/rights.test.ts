/** The gateway in a cluster with exactly the rights of `deploy/base` and of `surfaced rbac`: enough for its work, and no more. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { Attesting, Quarantined } from '../../daemon/attest/trust/types.ts';
import { ownsAll } from '../../daemon/bridge/gateway/ownership.ts';
import { connectCluster } from '../../daemon/bridge/kube/cluster.ts';
import type { Actor } from '../../daemon/bridge/kube/types.ts';
import { systemClock } from '../../daemon/clock.ts';
import { parseAccount, rbacManifest } from '../../daemon/commands/rbac.ts';
import { parseConfig } from '../../daemon/config/load.ts';
import { openRegistry, serveRegistry } from '../../daemon/gateway-registry.ts';
import { silentLog } from '../../daemon/log.ts';
import { type SimWorkload, startSimCluster } from '../../hil/sim/cluster/cluster.ts';
import { loadRecording } from '../../hil/sim/replay/recording.ts';
import { Bench, fastTime, surfaceOf } from '../bridge/gateway/bed.ts';
import { quick } from '../bridge/kube/start.ts';
import { definition, definitions, requests, surface, surfaces } from '../bridge/registry/rig.ts';
import { Client } from '../hil/cluster/support.ts';
import { objectsIn, objectsOf } from './manifests.ts';

const names = { userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' };
const account = 'system:serviceaccount:surfaced:surfaced-gateway';
const recording = new URL('../fixtures/kube/11-custom-resource-scale.json', import.meta.url).pathname;
const workloads: readonly SimWorkload[] = [
  { kind: 'Deployment', namespace: 'shop', name: 'cart', replicas: 2, autoscaler: { min: 1, max: 4 } },
  { kind: 'StatefulSet', namespace: 'shop', name: 'db', replicas: 1 },
  { kind: 'ReplicationController', namespace: 'tight', name: 'old', replicas: 1 },
  { kind: 'Deployment', namespace: 'shop', name: 'foreign', replicas: 1 },
  { kind: 'Deployment', namespace: 'other', name: 'alien', replicas: 1 },
];
const targets = [
  { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace: 'shop', name: 'db' },
  { apiVersion: 'v1', kind: 'ReplicationController', namespace: 'tight', name: 'old' },
  // What only its definition knows: its number is in its scale alone.
  { apiVersion: 'fleet.example.com/v1', kind: 'Broker', namespace: 'shop', name: 'main' },
];
const desk = surfaceOf(
  'desk',
  targets.map((target, index) => ({ control: `fader${index + 1}`, max: 9, target })),
);

const dir = mkdtempSync(path.join(tmpdir(), 'surfaced-rights-'));
const sim = await startSimCluster({ port: 0, dir, log: silentLog, workloads, timing: {}, seed: 1 });
const { exchanges } = await loadRecording(recording);
for (const index of [0, 2])
  sim.control.create(exchanges[index]?.request.body as { apiVersion: string; kind: string });
for (const plural of ['controlsurfaces', 'surfacerequests'])
  sim.control.create(definition(plural) as unknown as { apiVersion: string; kind: string });
sim.control.create(objectsOf('base/namespace.yaml')[0] as { apiVersion: string; kind: string });
for (const object of objectsOf('base/rights.yaml')) sim.control.create(object);
for (const object of objectsIn(rbacManifest(desk, names, parseAccount('surfaced/surfaced-gateway'))))
  sim.control.create(object);
sim.control.addToken('token', account, ['system:serviceaccounts', 'system:serviceaccounts:surfaced']);
const kubeconfig = path.join(dir, 'gateway.json');
writeFileSync(
  kubeconfig,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'sim',
        cluster: { server: sim.url, 'certificate-authority-data': Buffer.from(sim.caPem).toString('base64') },
      },
    ],
    users: [{ name: 'gateway', user: { token: 'token' } }],
    contexts: [{ name: 'sim', context: { cluster: 'sim', user: 'gateway' } }],
    'current-context': 'sim',
  }),
);
const cluster = await connectCluster({
  config: { kubeconfig, ...names },
  log: silentLog,
  clock: systemClock,
  random: Math.random,
  fieldManager: 'surfaced',
  tuning: quick,
});
const bench = new Bench(fastTime, cluster);
t.teardown(async () => {
  await bench.relay.close();
  await cluster.close();
  await sim.close();
  rmSync(dir, { recursive: true });
});

/** Requests that were refused, in the words of RBAC. */
const refused = (): string[] => [
  ...new Set(
    sim.control.requestLog.entries
      .filter(({ status }) => status === 403)
      .map(({ verb, resource, path: where, user }) => `${user} ${verb} ${resource || where}`),
  ),
];

t.test('all of its work is allowed: not one request is refused', async (t) => {
  bench.registry.set('desk', desk);
  bench.start();
  bench.birth('desk');
  const replicas = [2, 1, 1, 3];
  for (const [slot, now] of replicas.entries())
    await bench.bus.until(() => bench.slots(slot).at(-1)?.desired === now);
  t.match(bench.slots(0).at(-1), { owner: { kind: 'autoscaler' } }, 'autoscalers are seen');
  for (const [slot, saw] of replicas.entries()) {
    await bench.bus.until(() => slot === 3 || bench.slots(slot).at(-1)?.condition.state === 'ok');
    const arm = slot === 0 ? { arm: ['autoscaler' as const] } : {};
    const id = bench.send({ slot, want: saw + 1, saw, ttlMs: 30_000, ...arm });
    await bench.bus.until(() => bench.phases(id).includes('accepted'));
    t.match(bench.phases(id), /^received accepted/, `slot ${slot}`);
  }
  const signal = new AbortController().signal;
  for (const target of targets) {
    await cluster.warnings(target, signal);
    await cluster.replicasManager(target, signal);
  }
  t.same(refused(), [], 'requests that were refused');
  const done = new Set(sim.control.requestLog.entries.map(({ verb, resource }) => `${verb} ${resource}`));
  for (const needed of [
    'watch pods',
    'watch horizontalpodautoscalers',
    'list events',
    'update brokers/scale',
  ])
    t.ok(done.has(needed), `${needed} was asked for`);
});

t.test('the registry in the cluster, too: status, requests, approvals and Events', async (t) => {
  const admin = new Client(sim);
  t.teardown(() => admin.close());
  await admin.post(surfaces, surface('desk', { bindings: desk.spec.bindings }));
  const waiting: Quarantined[] = [];
  const listeners = new Set<() => void>();
  const nothing = { of: () => null, list: () => [], onChange: () => {} };
  const attesting = {
    ...nothing,
    quarantine: () => waiting,
    onQuarantine: (listener: () => void) => listeners.add(listener),
  } as unknown as Attesting;
  const knock = (...now: Quarantined[]): void => {
    waiting.splice(0, waiting.length, ...now);
    for (const listener of listeners) listener();
  };
  const config = parseConfig(
    'Gateway',
    JSON.stringify({
      apiVersion: 'surfaced.dev/v1alpha1',
      kind: 'Gateway',
      stateDir: path.join(dir, 'state'),
      registry: { cluster: { namespace: 'surfaced' } },
    }),
    'test',
  );
  const parts = { config, cluster, clock: systemClock, log: silentLog };
  const { objects } = await openRegistry(parts);
  if (!objects) throw new Error('The registry is not in the cluster.');
  const served = serveRegistry({
    ...{ ...parts, objects, attesting },
    ...{ trustOf: (surface) => attesting.of(surface), ownership: ownsAll },
  });
  t.teardown(async () => {
    await served.close();
    await objects.close();
  });
  await admin.until(`${surfaces}/desk`, ({ status }) => Array.isArray(status?.conditions));
  const ekSha256 = 'ab'.repeat(32);
  const tpm: Quarantined = {
    ...{ ekSha256, pairingCode: '1234-5678', firstSeenAt: Date.now(), lastSeenAt: Date.now() },
    ...{ address: '192.0.2.7', firmware: '0.1.0', hasTrustedCertificate: false, certificate: 'none' },
  };
  knock(tpm);
  const request = `${requests}/tpm-${ekSha256.slice(0, 16)}`;
  await admin.until(request, ({ status }) => status?.pairingCode === '1234-5678');
  await admin.merge(request, { spec: { decision: 'Approve', surface: 'rack' } });
  await admin.until(`${surfaces}/rack`, ({ spec }) => spec?.tpm !== undefined);
  // One that nobody decides on, and that goes away.
  const other = 'cd'.repeat(32);
  knock({ ...tpm, ekSha256: other });
  await admin.until(`${requests}/tpm-${other.slice(0, 16)}`, ({ status }) => status?.ekSha256 === other);
  const gone = await admin.watch(`${requests}?watch=1`);
  knock();
  await gone.until((events) => events.some(({ type }) => type === 'DELETED'));
  gone.close();
  const lookups = sim.control.requestLog.entries.filter(({ resource }) => /definitions/.test(resource));
  t.ok(
    lookups.some(({ status }) => status === 200),
    'it has looked at the definitions',
  );
  t.same(refused(), [], 'requests that were refused');
});

t.test('nothing beyond it is', async (t) => {
  const admin: Record<string, string> = { authorization: 'Bearer token' };
  const { Agent, request } = await import('undici');
  const dispatcher = new Agent({ connect: { ca: sim.caPem } });
  t.teardown(() => dispatcher.close());
  const as = (actor: Actor | null): string[] => [
    ...Object.entries(admin).flat(),
    ...(actor ? ['impersonate-user', actor.user] : []),
    ...(actor?.groups.flatMap((group) => ['impersonate-group', group]) ?? []),
  ];
  const ask = async (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    where: string,
    actor: Actor | null = null,
  ): Promise<number> => {
    const body = method === 'GET' || method === 'DELETE' ? null : '{}';
    const headers = [...as(actor), 'content-type', 'application/json'];
    const answer = await request(`${sim.url}${where}`, { method, headers, body, dispatcher });
    await answer.body.dump();
    return answer.statusCode;
  };
  const surface = (name: string, ...groups: string[]): Actor => ({
    user: `${names.userPrefix}${name}`,
    groups,
    extra: {},
  });
  const apps = '/apis/apps/v1/namespaces/shop';
  const cases: readonly [status: number, name: string, answer: Promise<number>][] = [
    [200, 'its target', ask('GET', `${apps}/deployments/cart`)],
    [200, 'its target, as a list', ask('GET', `${apps}/deployments?fieldSelector=metadata.name%3Dcart`)],
    [403, 'another object of the namespace', ask('GET', `${apps}/deployments/foreign`)],
    [403, 'all objects of the namespace', ask('GET', `${apps}/deployments`)],
    [403, 'a namespace without targets', ask('GET', '/apis/apps/v1/namespaces/other/deployments')],
    [403, 'all Pods', ask('GET', '/api/v1/pods')],
    [403, 'secrets of a target', ask('GET', '/api/v1/namespaces/shop/secrets')],
    [403, 'secrets of its own namespace', ask('GET', '/api/v1/namespaces/surfaced/secrets')],
    [403, 'nodes', ask('GET', '/api/v1/nodes')],
    [403, 'a scale by its own rights', ask('PUT', `${apps}/deployments/cart/scale`)],
    [403, 'the object itself', ask('PUT', `${apps}/deployments/cart`)],
    [403, 'a Pod', ask('DELETE', '/api/v1/namespaces/shop/pods/any')],
    [403, 'another definition', ask('GET', `${definitions}/brokers.fleet.example.com`)],
    [403, 'all definitions', ask('GET', definitions)],
    [403, 'a surface away', ask('DELETE', `${surfaces}/desk`)],
    [403, 'a role', ask('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/surfaced/roles')],
    [200, 'as the surface', ask('GET', `${apps}/deployments/cart/scale`, surface('desk', names.group))],
    [403, 'as it, another object', ask('GET', `${apps}/deployments/foreign/scale`, surface('desk'))],
    [403, 'as it, the object itself', ask('GET', `${apps}/deployments/cart`, surface('desk'))],
    [403, 'as another surface', ask('GET', `${apps}/deployments/cart/scale`, surface('rack'))],
    [403, 'as it in another group', ask('GET', '/version', surface('desk', 'system:masters'))],
    [403, 'as an administrator', ask('GET', '/version', { user: 'admin', groups: [], extra: {} })],
  ];
  for (const [status, name, answer] of cases) t.equal(await answer, status, name);
});
