/**
 * Rules that go beyond single fields, each in two languages side by side: for the gateway, and in CEL for the API server,
 * which then refuses `kubectl apply` at once. The CustomResourceDefinitions are generated from the same schemas.
 */
import { z } from 'zod';
import { takes, type VerbName, verbNames, verbShapes } from './verbs.ts';

/** One rule of an object. */
export interface Rule<Value> {
  /** What must be, in words that follow the name of the field. */
  readonly message: string;
  /** The field that is to be changed, from the object. */
  readonly path: readonly string[];
  /** The same as `holds`, over `self` (kubernetes.io, "Common Expression Language in Kubernetes"). Defaults are filled in before. */
  readonly cel: string;
  /** Over a value whose fields are right each by itself. */
  holds(value: Value): boolean;
}

/** What the generator of the CustomResourceDefinitions finds at a schema. */
interface KubeTraits {
  readonly rules?: readonly Rule<never>[];
  /** Fields that tell the entries of a list apart (x-kubernetes-list-map-keys). */
  readonly keys?: readonly string[];
}

/** By schema, as zod's registries are: also of what was made from it by `describe` and `optional`. */
export const kubeTraits = z.registry<KubeTraits>();

/** The schema with its rules. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  let checked: S = schema;
  for (const { holds, message, path } of rules)
    checked = checked.refine(holds, { message, path: [...path] }) as S;
  kubeTraits.add(checked, { rules: rules as readonly Rule<never>[] });
  return checked;
}

/** A list whose entries differ in these fields; that they do is checked where the whole list is looked at. */
export function keyedBy<S extends z.ZodType>(schema: S, keys: readonly string[]): S {
  const list = schema.describe(schema.description ?? '') as S;
  kubeTraits.add(list, { keys });
  return list;
}

/** What a target must hold to beside its fields: only Nodes are in no namespace. */
export const targetRules: readonly Rule<{ apiVersion: string; kind: string; namespace: string }>[] = [
  {
    message: 'must be given, but for a Node',
    path: ['namespace'],
    cel: "(self.apiVersion == 'v1' && self.kind == 'Node') == (self.__namespace__ == '')",
    holds: ({ apiVersion, kind, namespace }) =>
      (apiVersion === 'v1' && kind === 'Node') === (namespace === ''),
  },
];

/** A binding as far as its rules look at it. */
interface BoundFields {
  readonly verb: VerbName;
  readonly target: { readonly apiVersion: string; readonly kind: string };
  readonly min: number;
  readonly max?: number | undefined;
  readonly zero: 'never' | 'arm';
  readonly autoscaler: 'arm' | 'refuse' | 'minReplicas';
  readonly show: 'pods' | 'claims';
}

const countVerbs = verbNames.filter((verb) => verbShapes[verb].number === 'count');
const celList = (words: readonly string[]): string => `[${words.map((word) => `'${word}'`).join(', ')}]`;

/** One rule a verb that does not take every kind. */
const kindRules: readonly Rule<BoundFields>[] = verbNames.flatMap((verb) => {
  const { targets } = verbShapes[verb];
  if (targets === null) return [];
  const isOne = targets.map(([group, kind]) =>
    group === ''
      ? `(self.target.apiVersion == 'v1' && self.target.kind == '${kind}')`
      : `(self.target.apiVersion.startsWith('${group}/') && self.target.kind == '${kind}')`,
  );
  return {
    message: `${verb} takes a ${targets.map(([, kind]) => kind).join(' or ')}`,
    path: ['verb'],
    cel: `self.verb != '${verb}' || ${isOne.join(' || ')}`,
    holds: (binding) => binding.verb !== verb || takes(verb, binding.target),
  };
});

/** What a binding must hold to beside its fields. */
export const bindingRules: readonly Rule<BoundFields>[] = [
  {
    message: 'must be given where the verb takes a number, and nowhere else',
    path: ['max'],
    cel: `(self.verb in ${celList(countVerbs)}) == has(self.max)`,
    holds: ({ verb, max }) => (verbShapes[verb].number === 'count') === (max !== undefined),
  },
  {
    message: 'must not be above max',
    path: ['min'],
    cel: '!has(self.max) || self.min <= self.max',
    holds: ({ min, max }) => max === undefined || min <= max,
  },
  {
    message: 'zero replicas need `zero: arm`',
    path: ['min'],
    cel: "self.min > 0 || self.zero == 'arm'",
    holds: ({ min, zero }) => min > 0 || zero === 'arm',
  },
  ...kindRules,
  {
    message: 'minReplicas is for the verb scale',
    path: ['autoscaler'],
    cel: "self.autoscaler != 'minReplicas' || self.verb == 'scale'",
    holds: ({ autoscaler, verb }) => autoscaler !== 'minReplicas' || verb === 'scale',
  },
  {
    message: 'claims are those of a StatefulSet that is scaled',
    path: ['show'],
    cel: "self.show != 'claims' || (self.verb == 'scale' && self.target.kind == 'StatefulSet')",
    holds: ({ show, verb, target }) =>
      show !== 'claims' || (verb === 'scale' && target.kind === 'StatefulSet'),
  },
];

/** What a decision about a TPM must hold to. */
export const decisionRules: readonly Rule<{
  decision?: 'Approve' | 'Deny' | undefined;
  surface?: string | undefined;
}>[] = [
  {
    message: 'must name the surface that this TPM is to be',
    path: ['surface'],
    cel: "!has(self.decision) || self.decision != 'Approve' || has(self.surface)",
    holds: ({ decision, surface }) => decision !== 'Approve' || surface !== undefined,
  },
];
