import fc from 'fast-check';
import t from 'tap';
import { bindingRules, decisionRules, type Rule, targetRules } from '../../daemon/config/rules.ts';
import { bindingSchema } from '../../daemon/config/schema.ts';
import { verbNames } from '../../daemon/config/verbs.ts';

type Evaluate = (cel: string, context: { self: unknown }) => unknown;

/** CEL as a library evaluates it; null where it is not installed. */
async function celLibrary(): Promise<Evaluate | null> {
  const name: string = '@marcbachmann/cel-js';
  try {
    return ((await import(name)) as { evaluate: Evaluate }).evaluate;
  } catch {
    return null;
  }
}
const evaluate = await celLibrary();
const skip = evaluate === null ? '@marcbachmann/cel-js is not installed' : false;

const kinds = [
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['batch/v1', 'CronJob'],
  ['autoscaling/v2', 'HorizontalPodAutoscaler'],
  ['keda.sh/v1alpha1', 'ScaledObject'],
  ['v1', 'Node'],
  ['example.com/v1', 'Node'],
] as const;
const target = fc
  .tuple(fc.constantFrom(...kinds), fc.constantFrom('', 'shop'))
  .map(([[apiVersion, kind], namespace]) => ({ apiVersion, kind, namespace }));
const binding = fc.record(
  {
    verb: fc.constantFrom(...verbNames),
    target,
    min: fc.integer({ min: 0, max: 6 }),
    max: fc.integer({ min: 1, max: 6 }),
    zero: fc.constantFrom('never' as const, 'arm' as const),
    autoscaler: fc.constantFrom('arm' as const, 'refuse' as const, 'minReplicas' as const),
    show: fc.constantFrom('pods' as const, 'claims' as const),
  },
  { requiredKeys: ['verb', 'target', 'min', 'zero', 'autoscaler', 'show'] },
);
/** A binding that every rule allows. */
const plain = {
  verb: 'scale',
  target: { apiVersion: 'apps/v1', kind: 'Deployment' },
  autoscaler: 'arm',
  show: 'pods',
} as const;
const decision = fc.record(
  { decision: fc.constantFrom('Approve' as const, 'Deny' as const), surface: fc.constant('desk') },
  { requiredKeys: [] },
);

t.test('each rule means the same to the gateway and to the API server', { skip }, async (t) => {
  const agree = <V>(rules: readonly Rule<V>[], values: fc.Arbitrary<V>): void => {
    for (const { cel, holds } of rules)
      fc.assert(
        fc.property(values, (value) => {
          // Whole numbers are `int` in CEL, which this library writes as bigint.
          const self = Object.fromEntries(
            Object.entries(value as object).map(([name, field]) => [
              // What is a reserved word in CEL has another name there (kubernetes.io, "Common Expression Language").
              name === 'namespace' ? '__namespace__' : name,
              typeof field === 'number' ? BigInt(field) : field,
            ]),
          );
          return evaluate?.(cel, { self }) === holds(value);
        }),
      );
    t.pass(`${rules.length} rules`);
  };
  agree(bindingRules, binding);
  agree(targetRules, target);
  agree(decisionRules, decision);
});

t.test('what each rule says, by examples', async (t) => {
  const [, order, zero] = bindingRules;
  t.match(order?.cel, 'self.min <= self.max');
  for (const [min, max, is] of [
    [1, 1, true],
    [1, 2, true],
    [3, 2, false],
  ] as const)
    t.equal(order?.holds({ ...plain, min, max, zero: 'never' }), is, `${min} to ${max}`);
  t.match(zero?.cel, "self.min > 0 || self.zero == 'arm'");
  t.equal(zero?.holds({ ...plain, min: 0, max: 1, zero: 'never' }), false);
  t.equal(zero?.holds({ ...plain, min: 0, max: 1, zero: 'arm' }), true);
  t.equal(zero?.holds({ ...plain, min: 1, max: 1, zero: 'never' }), true);
  const [named] = decisionRules;
  t.match(named?.cel, "!has(self.decision) || self.decision != 'Approve' || has(self.surface)");
  t.equal(named?.holds({}), true);
  t.equal(named?.holds({ decision: 'Deny' }), true);
  t.equal(named?.holds({ decision: 'Approve' }), false);
  t.equal(named?.holds({ decision: 'Approve', surface: 'desk' }), true);
});

t.test('the schemas hold to their rules and name the field', async (t) => {
  const bound = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'a', name: 'b' };
  const read = (more: object) =>
    bindingSchema.safeParse({ control: 'fader1', target: bound, max: 5, ...more });
  t.match(read({ min: 9 }).error?.issues, [{ path: ['min'], message: 'must not be above max' }]);
  t.match(read({ min: 0 }).error?.issues, [{ path: ['min'], message: 'zero replicas need `zero: arm`' }]);
  t.ok(read({ min: 0, zero: 'arm' }).success);
  fc.assert(
    fc.property(binding, (value) => {
      const named = { max: undefined, ...value, target: { ...value.target, name: 'b' } };
      const isRight =
        targetRules.every(({ holds }) => holds(value.target)) &&
        bindingRules.every(({ holds }) => holds(value));
      return read(named).success === isRight;
    }),
  );
  t.match(read({ verb: 'drain', max: undefined }).error?.issues, [
    { path: ['verb'], message: 'drain takes a Node' },
  ]);
  t.match(read({ target: { ...bound, namespace: undefined } }).error?.issues, [
    { path: ['target', 'namespace'], message: 'must be given, but for a Node' },
  ]);
});
