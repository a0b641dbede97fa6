/** The rights that `surfaced rbac` prints for each verb: by name wherever Kubernetes allows it. That they are enough, the other tests show. */
import t from 'tap';
import { gatewayRbacFor, type RbacRule, rbacFor } from '../../../../daemon/bridge/kube/rbac.ts';
import { rbacManifest } from '../../../../daemon/commands/rbac.ts';
import { type BindingInput, surfaceOf } from '../bed.ts';

const names = { userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' };
const account = { namespace: 'surfaced', name: 'surfaced-gateway' };
const node = { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'n1' };
const hpa = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', name: 'web' };
const patched = (resource: string, name: string) => `${resource} ${name}: get, patch`;

const lines = (
  objects: readonly { kind: string; metadata: { namespace?: string }; rules?: unknown }[],
): string[] =>
  objects.flatMap(({ kind, metadata: { namespace = '-' }, rules = [] }) =>
    (rules as RbacRule[]).map(
      ({ resources, resourceNames = ['any'], verbs }) =>
        `${kind} ${namespace} ${resources.join()} ${resourceNames.join()}: ${verbs.join(', ')}`,
    ),
  );
const acting = (binding: BindingInput): string[] => lines(rbacFor(surfaceOf('desk', [binding]), names));

t.test('the surface: its object by name, and what has no name is said', async (t) => {
  const cases: readonly (readonly [BindingInput, readonly string[]])[] = [
    [{}, ['Role shop deployments/scale cart: get, update']],
    [
      { autoscaler: 'minReplicas' },
      [
        'Role shop deployments/scale cart: get, update',
        `Role shop ${patched('horizontalpodautoscalers', 'any')}`,
        `Role shop ${patched('scaledobjects', 'any')}`,
      ],
    ],
    [{ verb: 'floor', target: hpa }, [`Role shop ${patched('horizontalpodautoscalers', 'web')}`]],
    [{ verb: 'ceiling', target: hpa }, [`Role shop ${patched('horizontalpodautoscalers', 'web')}`]],
    [{ verb: 'restart', max: undefined }, [`Role shop ${patched('deployments', 'cart')}`]],
    [{ verb: 'pause', max: undefined }, [`Role shop ${patched('deployments', 'cart')}`]],
    [
      {
        verb: 'suspend',
        max: undefined,
        target: { apiVersion: 'batch/v1', kind: 'CronJob', name: 'nightly' },
      },
      [`Role shop ${patched('cronjobs', 'nightly')}`],
    ],
    [{ verb: 'cordon', max: undefined, target: node }, [`ClusterRole - ${patched('nodes', 'n1')}`]],
    [
      { verb: 'drain', max: undefined, target: node },
      [`ClusterRole - ${patched('nodes', 'n1')}`, 'ClusterRole - pods/eviction any: create'],
    ],
  ];
  for (const [binding, rights] of cases) t.same(acting(binding), rights, binding.verb ?? 'scale');
});

t.test('what is allowed beyond what is meant is said where it is printed', async (t) => {
  const desk = surfaceOf('desk', [
    { verb: 'drain', max: undefined, target: node },
    { control: 'fader2' },
    { control: 'fader3', autoscaler: 'minReplicas' },
    { control: 'fader4', verb: 'pause', max: undefined },
  ]);
  const text = rbacManifest(desk, names, account);
  t.match(
    text,
    /^# drain: which Pods will be on Node n1 is not known, so any Pod of the cluster may be evicted/,
  );
  t.match(text, /^# scale: the name of the autoscaler is not known, .* in namespace shop\.$/m);
  t.match(text, /^# pause: patch is to all fields of Deployment cart/m);
  t.equal(text.match(/^#/gm)?.length, 3, 'nothing to say of a plain scale');
});

t.test('the gateway only looks, and never evicts or patches', async (t) => {
  const desk = surfaceOf('desk', [
    { verb: 'drain', max: undefined, target: node },
    { control: 'fader2', show: 'claims', target: { kind: 'StatefulSet', name: 'db' } },
    { control: 'fader3', verb: 'floor', target: hpa },
  ]);
  const told = lines(gatewayRbacFor(desk, names, account)).filter((line) => !line.endsWith('impersonate'));
  t.ok(told.includes('ClusterRole - nodes n1: get, list, watch'));
  t.ok(told.includes('ClusterRole - pods any: list, watch'));
  t.ok(told.includes('Role default events any: create, patch'), 'Events on a Node');
  t.ok(told.includes('Role shop persistentvolumeclaims any: list, watch'));
  t.ok(told.includes('Role shop horizontalpodautoscalers web: get, list, watch'));
  for (const line of told.filter((one) => !/events/.test(one)))
    t.match(line, /: (?:get, list, watch|list, watch|get)$/, line);
  t.notOk(told.some((line) => line.startsWith('ClusterRole') && /events|claims/.test(line)));
});
