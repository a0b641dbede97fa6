/**
 * Rules that go beyond single fields, each in two languages side by side: for the gateway, and in CEL for the API server,
 * which then refuses `kubectl apply` at once. The CustomResourceDefinitions are generated from the same schemas.
 */
import { z } from 'zod';

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

/** What a binding must hold to beside its fields. */
export const bindingRules: readonly Rule<{ min: number; max: number; zero: 'never' | 'arm' }>[] = [
  {
    message: 'must not be above max',
    path: ['min'],
    cel: 'self.min <= self.max',
    holds: ({ min, max }) => min <= max,
  },
  {
    message: 'zero replicas need `zero: arm`',
    path: ['min'],
    cel: "self.min > 0 || self.zero == 'arm'",
    holds: ({ min, zero }) => min > 0 || zero === 'arm',
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
