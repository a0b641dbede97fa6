import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import type { ClusterRegistry } from '../../../daemon/bridge/registry/cluster/cluster.ts';
import {
  binding,
  connected,
  definition,
  definitions,
  install,
  namespace,
  registry,
  site,
  surface,
  surfaces,
  until,
} from './rig.ts';

const names = (opened: ClusterRegistry) => opened.list().map(({ metadata }) => metadata.name);
const problem = (opened: ClusterRegistry, pattern: RegExp) =>
  opened.problems().some(({ message }) => pattern.test(message));

t.test('objects are listed and followed; a fault keeps the last good version', async (t) => {
  const bed = await site(t);
  await bed.client.post(surfaces, surface('desk', { bindings: [binding('fader1')] }));
  const opened = await registry(t, await connected(t, bed), bed.folder);
  t.same(names(opened), ['desk']);
  t.match(opened.get('desk')?.spec.bindings[0], { min: 1, bank: 0, zero: 'never' });
  t.same(opened.problems(), []);
  const changes: (readonly string[])[] = [];
  opened.onChange((changed) => changes.push(changed));

  await bed.client.post(surfaces, surface('lab'));
  await until(() => opened.get('lab') !== null);
  await bed.client.merge(`${surfaces}/lab`, { spec: { isRevoked: true } });
  await until(() => opened.get('lab')?.spec.isRevoked === true);
  // The simulated cluster knows no CEL, as a cluster whose definition was loosened.
  await bed.client.merge(`${surfaces}/desk`, { spec: { bindings: [binding('fader1', { min: 12 })] } });
  await until(() => opened.problems().length > 0);
  t.match(opened.problems(), [
    {
      source: 'ControlSurface surfaced/desk',
      message: /^spec\.bindings\.0\.min: must not be above max; the last good version stays/,
    },
  ]);
  t.equal(opened.get('desk')?.spec.bindings[0]?.min, 1, 'what was good stays');
  t.equal(opened.records().get('desk')?.generation, 2);
  await bed.client.merge(`${surfaces}/desk`, { spec: { bindings: [binding('fader1', { min: 2 })] } });
  await until(() => opened.get('desk')?.spec.bindings[0]?.min === 2);
  t.same(opened.problems(), []);
  await bed.client.send(`${surfaces}/lab`, { method: 'DELETE' });
  await until(() => opened.get('lab') === null);
  t.same(changes, [['lab'], ['lab'], ['desk'], ['lab']]);

  await bed.client.post(surfaces, surface('odd', { bindings: [binding('a'), binding('a')] }));
  await until(() => opened.problems().length > 0);
  t.match(opened.problems()[0]?.message, /spec\.bindings\.1\.control: a in bank 0 is already bound/);
  t.equal(opened.get('odd'), null, 'what was never good is not there');
});

t.test('an API server that is away, watches that are cut: what is known stays', async (t) => {
  const bed = await site(t);
  await bed.client.post(surfaces, surface('desk'));
  const opened = await registry(t, await connected(t, bed), bed.folder);
  bed.cluster.control.failNext(100_000, 503, null);
  bed.cluster.control.cutWatches();
  await until(() => problem(opened, /does not give them: .*; what was read last stays in force/));
  t.same(names(opened), ['desk']);
  bed.cluster.control.failNext(0, 503, null);
  await bed.client.post(surfaces, surface('lab'));
  await until(() => names(opened).length === 2 && opened.problems().length === 0);
  bed.cluster.control.compactHistory();
  bed.cluster.control.cutWatches();
  await bed.client.send(`${surfaces}/desk`, { method: 'DELETE' });
  await until(() => opened.get('desk') === null);
  t.same(names(opened), ['lab']);
});

t.test('rights withdrawn in mid-work are told with what to do, and nothing is forgotten', async (t) => {
  const bed = await site(t);
  bed.cluster.control.addToken('secret', 'system:serviceaccount:surfaced:gateway', []);
  const text = await readFile(bed.cluster.kubeconfigPath, 'utf8');
  const kubeconfig = path.join(bed.folder, 'kubeconfig');
  await writeFile(
    kubeconfig,
    text.replace(/ client-certificate-data: .*\n\s+client-key-data: .*\n/, ' token: secret\n'),
  );
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/surfaced';
  const rule = {
    apiGroups: ['surfaced.dev'],
    resources: ['controlsurfaces'],
    verbs: ['get', 'list', 'watch'],
  };
  const role = { metadata: { name: 'gateway' }, rules: [rule] };
  await bed.client.post(`${rbac}/roles`, role);
  await bed.client.post(`${rbac}/rolebindings`, {
    metadata: { name: 'gateway' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'gateway' },
    subjects: [{ kind: 'ServiceAccount', name: 'gateway', namespace: 'surfaced' }],
  });
  await bed.client.post(surfaces, surface('desk'));
  const opened = await registry(t, await connected(t, bed, kubeconfig), bed.folder);
  t.same(names(opened), ['desk']);
  t.same(opened.problems(), [], 'definitions that may not be read are no problem');

  await bed.client.send(`${rbac}/roles/gateway`, { method: 'DELETE' });
  bed.cluster.control.cutWatches();
  await until(() => problem(opened, /lacks rights in namespace surfaced .*kubectl auth can-i --list/));
  t.same(names(opened), ['desk']);
  await bed.client.post(`${rbac}/roles`, role);
  await until(() => opened.problems().length === 0);
});

t.test('a definition that is missing or of another version', async (t) => {
  const bed = await site(t, { isBare: true });
  const connection = await connected(t, bed);
  await t.rejects(registry(t, connection, bed.folder), {
    code: 'E_REGISTRY',
    message: /controlsurfaces\.surfaced\.dev is not installed: kubectl apply -k deploy\/crd/,
  });
  await install(bed.client);
  await bed.client.post(surfaces, surface('desk'));
  const opened = await registry(t, connection, bed.folder, { definitionsMs: 20 });
  t.same(opened.problems(), []);
  const other = { metadata: { annotations: { 'surfaced.dev/schema': 'other' } } };
  await bed.client.merge(`${definitions}/controlsurfaces.surfaced.dev`, other);
  await until(() => problem(opened, /not that of this version .*kubectl apply -k deploy\/crd/));
  const { metadata } = definition('controlsurfaces');
  await bed.client.merge(`${definitions}/controlsurfaces.surfaced.dev`, { metadata });
  await until(() => opened.problems().length === 0);
});

t.test('a start while the API server is away goes by what was known last', async (t) => {
  const bed = await site(t);
  await bed.client.post(surfaces, surface('desk', { bindings: [binding('fader1')] }));
  const connection = await connected(t, bed);
  const first = await registry(t, connection, bed.folder);
  await bed.client.post(surfaces, surface('lab'));
  await until(() => names(first).length === 2);
  await first.close();

  bed.cluster.control.failNext(100_000, 503, null);
  const second = await registry(t, connection, bed.folder, { startMs: 50 });
  t.same(names(second).toSorted(), ['desk', 'lab']);
  t.equal(second.get('desk')?.spec.bindings[0]?.control, 'fader1');
  t.ok(second.problems().length > 0);
  t.equal(second.isSynced(), false);
  t.equal(second.records().size, 0);
  const changes: (readonly string[])[] = [];
  second.onChange((changed) => changes.push(changed));
  bed.cluster.control.failNext(0, 503, null);
  await bed.client.send(`${surfaces}/lab`, { method: 'DELETE' });
  await until(() => second.isSynced());
  await until(() => second.get('lab') === null);
  t.same(changes.flat(), ['lab'], 'the rest was never gone');
  t.same(second.problems(), []);
  await second.close();

  await writeFile(path.join(bed.folder, 'state', 'registry.json'), '{"namespace":"surfaced","surf');
  bed.cluster.control.failNext(100_000, 503, null);
  await t.rejects(registry(t, connection, bed.folder, { startMs: 50 }), { code: 'E_REGISTRY' });
});

t.test('five thousand surfaces', async (t) => {
  const bed = await site(t);
  for (let number = 0; number < 5001; number++) {
    const spec = { bindings: [binding('fader1')] };
    const object = { ...surface(`s${number}`, spec), metadata: { name: `s${number}`, namespace } };
    bed.cluster.control.create(object as never as { apiVersion: string; kind: string });
  }
  const opened = await registry(t, await connected(t, bed), bed.folder);
  t.equal(opened.list().length, 5000);
  t.match(opened.problems(), [{ message: 'more than 5000; 1 are left out' }]);
  await bed.client.merge(`${surfaces}/s4000`, { spec: { isRevoked: true } });
  await until(() => opened.get('s4000')?.spec.isRevoked === true);
});
