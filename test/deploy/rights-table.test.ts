/** The table of rights in docs/deploy.md is that of the manifests and of `surfaced rbac`. */
import t from 'tap';
import { gatewayRbacFor, type RbacRule } from '../../daemon/bridge/kube/rbac.ts';
import { surfaceOf } from '../bridge/gateway/bed.ts';
import { textOf } from '../structure/source-files.ts';
import { objectsOf } from './manifests.ts';

const names = { userPrefix: 'surfaced:surface:', group: 'surfaced:surfaces' };
const desk = surfaceOf(
  'desk',
  [
    { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' },
    { apiVersion: 'fleet.example.com/v1', kind: 'Broker', namespace: 'shop', name: 'main' },
  ].map((target, index) => ({ control: `fader${index + 1}`, max: 9, target })),
);
const account = { namespace: 'surfaced', name: 'surfaced-gateway' };

/** One line for each resource: where, resource with its group, verbs. */
function linesOf(
  objects: readonly { kind: string; metadata: { namespace?: string }; rules?: unknown }[],
): string[] {
  return objects.flatMap(({ kind, metadata: { namespace }, rules }) =>
    ((rules ?? []) as RbacRule[]).flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
      resources.flatMap((resource) =>
        apiGroups.map((group) => {
          const where =
            kind === 'ClusterRole'
              ? 'cluster'
              : namespace === 'surfaced'
                ? 'namespace `surfaced`'
                : 'namespace of a target';
          const full = group === '' ? resource : `${resource}.${group}`;
          return `${where}${resourceNames ? ', by name' : ''} | ${wordsFor(full)} | ${verbs.join(', ')}`;
        }),
      ),
    ),
  );
}

/** What the table calls resources that bindings name. */
function wordsFor(resource: string): string {
  if (resource === 'deployments.apps' || resource === 'brokers.fleet.example.com')
    return 'the target, such as `deployments.apps`';
  if (resource === 'brokers/scale.fleet.example.com') return 'the scale of a custom resource';
  return `\`${resource}\``;
}

t.test('docs/deploy.md has every right of the gateway, and no other', async (t) => {
  const [, section = ''] = textOf('docs/deploy.md').split('## What it may do, and why');
  const rows = [...section.matchAll(/^\| ((?:namespace|cluster)[^|]*) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)];
  const told = rows.flatMap(([, where, what = '', verbs]) =>
    (what.startsWith('`') ? what.split(', ') : [what]).map((each) => `${where} | ${each} | ${verbs}`),
  );
  const held = linesOf([...objectsOf('base/rights.yaml'), ...gatewayRbacFor(desk, names, account)]);
  t.same(told.toSorted(), [...new Set(held)].toSorted());
  t.ok(told.length > 12);
});
