import fc from 'fast-check';
import t from 'tap';
import { afterUpdate, pathsOf, setOf } from '../../../hil/sim/cluster/managed-fields.ts';
import type { KubeObject } from '../../../hil/sim/cluster/objects.ts';
import { jsonPatch, mergePatch, strategicMerge } from '../../../hil/sim/cluster/patch.ts';
import { builtin } from '../../../hil/sim/cluster/resources.ts';
import { fieldMatcher, labelMatcher } from '../../../hil/sim/cluster/selectors.ts';
import { since } from '../../../hil/sim/cluster/table.ts';
import { Timers } from '../../../hil/sim/cluster/timers.ts';

t.test('merge patch: the examples of RFC 7386', (t) => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) t.same(mergePatch(target, patch), result);
  t.end();
});

t.test('JSON patch: what RFC 6902 says, and a whole refusal', (t) => {
  const target = { a: [1, 2], 'b/c': { d: 1 } };
  const operations = [
    { op: 'add', path: '/a/-', value: 3 },
    { op: 'remove', path: '/a/0' },
    { op: 'move', from: '/b~1c/d', path: '/e' },
    { op: 'test', path: '/e', value: 1 },
    { op: 'copy', from: '/a', path: '/f' },
  ];
  t.same(jsonPatch(target, operations), { a: [2, 3], 'b/c': {}, e: 1, f: [2, 3] });
  t.same(target, { a: [1, 2], 'b/c': { d: 1 } }, 'the target is left alone');
  t.throws(() => jsonPatch(target, [{ op: 'test', path: '/a/0', value: 9 }]), { code: 422 });
  t.throws(() => jsonPatch(target, [{ op: 'replace', path: '/x/y', value: 9 }]), { code: 422 });
  t.throws(() => jsonPatch(target, {}), { code: 400 });
  t.end();
});

t.test('strategic merge patch goes by the keys of lists', (t) => {
  const target = {
    containers: [
      { name: 'a', image: '1' },
      { name: 'b', image: '1' },
    ],
    other: [1],
  };
  const patch = {
    containers: [
      { name: 'b', image: '2' },
      { name: 'a', $patch: 'delete' },
      { name: 'c', image: '3' },
    ],
    other: [2],
    '$setElementOrder/containers': [],
  };
  t.same(strategicMerge(target, patch), {
    containers: [
      { name: 'b', image: '2' },
      { name: 'c', image: '3' },
    ],
    other: [2],
  });
  t.end();
});

function object(labels: Record<string, string>, more: Record<string, unknown> = {}): KubeObject {
  const metadata = {
    name: 'x',
    namespace: 'shop',
    uid: '',
    resourceVersion: '',
    creationTimestamp: '',
    labels,
  };
  return { kind: 'Pod', apiVersion: 'v1', metadata, ...more };
}

t.test('label selectors', (t) => {
  const cart = object({ app: 'cart', tier: 'front' });
  const yes = [
    '',
    'app=cart',
    'app==cart,tier',
    'app!=web',
    '!size',
    'app in (web, cart)',
    'size notin (big)',
    'app in (cart),tier=front',
  ];
  const no = ['app=web', '!app', 'app notin (cart)', 'app=cart,size', 'app='];
  for (const selector of yes) t.equal(labelMatcher(selector)(cart), true, selector);
  for (const selector of no) t.equal(labelMatcher(selector)(cart), false, selector);
  for (const selector of ['app===', '=', 'app in cart', 'app in (', 'a b']) {
    t.throws(() => labelMatcher(selector), { code: 400 }, selector);
  }
  t.end();
});

t.test('whatever a selector holds, it is a matcher or a refusal', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'b', '=', '!', ',', '(', ')', ' ', 'in', 'notin') }),
      (selector) => {
        try {
          return typeof labelMatcher(selector)(object({ a: 'b' })) === 'boolean';
        } catch (error) {
          return (error as { code?: number }).code === 400;
        }
      },
    ),
  );
  t.pass('none of them broke it');
  t.end();
});

t.test('field selectors know the fields of a kind', (t) => {
  const pod = object({}, { status: { phase: 'Running' } });
  t.equal(fieldMatcher('metadata.name=x,status.phase!=Pending', builtin.pods)(pod), true);
  t.equal(fieldMatcher('metadata.namespace=other', builtin.pods)(pod), false);
  t.throws(() => fieldMatcher('spec.color=red', builtin.pods), {
    message: 'field label not supported: spec.color',
  });
  t.end();
});

t.test('every field has the owners that wrote it last, and no path is lost', (t) => {
  const values = fc.record({ a: fc.nat(2), b: fc.nat(2), c: fc.nat(2) }, { requiredKeys: [] });
  const writes = fc.array(fc.tuple(fc.constantFrom('x', 'y'), values), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(writes, (all) => {
      let before: KubeObject | null = null;
      for (const [manager, spec] of all) {
        const next: KubeObject = object({}, { spec });
        const writer = { manager, operation: 'Update', subresource: '', time: 'now' } as const;
        const managedFields: KubeObject['metadata']['managedFields'] = afterUpdate(
          before,
          next,
          writer,
          false,
        );
        before = { ...next, metadata: { ...next.metadata, managedFields: managedFields ?? [] } };
      }
      const owned = (before?.metadata.managedFields ?? []).flatMap((entry) => [...pathsOf(entry.fieldsV1)]);
      const fields = Object.keys(all.at(-1)![1]).map((name) => `f:spec\u0000f:${name}`);
      const inSpec = owned.filter((path) => path.startsWith('f:spec\u0000'));
      return (
        new Set(owned).size === owned.length &&
        JSON.stringify(inSpec.sort()) === JSON.stringify(fields.sort())
      );
    }),
  );
  const set = { 'f:spec': { 'f:a': {}, 'k:{"name":"x"}': { '.': {} } } };
  t.same(setOf(pathsOf(set)), set);
  t.end();
});

t.test('ages are printed as kubectl prints them', (t) => {
  const ages: [number, string][] = [
    [5, '5s'],
    [119, '119s'],
    [120, '2m'],
    [150, '2m30s'],
    [3600 * 2, '120m'],
    [3600 * 5 + 60, '5h1m'],
    [3600 * 30, '30h'],
    [3600 * 50, '2d2h'],
    [86400 * 9, '9d'],
  ];
  for (const [seconds, text] of ages)
    t.equal(since('2026-01-01T00:00:00Z', Date.UTC(2026, 0, 1) + seconds * 1000), text);
  t.end();
});

t.test('timers run in the order of their times, unless cancelled or closed', async (t) => {
  const timers = new Timers();
  const ran: string[] = [];
  timers.after(30, () => ran.push('late'));
  timers.after(1, () => ran.push('soon'));
  timers.after(1, () => ran.push('soon after'));
  timers.after(2, () => ran.push('never'))();
  await new Promise<void>((resolve) => timers.after(40, resolve));
  t.same(ran, ['soon', 'soon after', 'late']);
  timers.after(0, () => ran.push('closed'));
  timers.close();
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.notOk(ran.includes('closed'));
});
