/**
 * From a zod schema to the structural schema of a CustomResourceDefinition (kubernetes.io, "Specifying a structural
 * schema"): no `$ref`, no `const`, no `additionalProperties: false`, and types outside of `oneOf` only. What the form
 * cannot say any more is said by CEL rules, and by the gateway, which reads objects with the whole schema.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { kubeTraits } from '../../daemon/config/rules.ts';

/** One node of the schema of a CustomResourceDefinition, as far as it is used here. */
export interface StructuralNode {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralNode>>;
  readonly additionalProperties?: StructuralNode;
  readonly items?: StructuralNode;
  readonly 'x-kubernetes-list-type'?: 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
}

/** One CEL rule as a definition holds it. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Taken over as they are. */
const kept = [
  'type',
  'description',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
] as const;
const bounds = ['minimum', 'maximum', 'minItems', 'maxItems'] as const;
const known = new Set<string>([
  ...kept,
  ...bounds,
  ...[
    'title',
    '$schema',
    'const',
    'required',
    'properties',
    'additionalProperties',
    'items',
    'oneOf',
    'anyOf',
  ],
  ...['x-kubernetes-validations', 'x-kubernetes-list-map-keys'],
]);

/** The structural schema of what a zod schema takes. @throws Error for what Kubernetes has no words for */
export function structuralOf(schema: z.ZodType): StructuralNode {
  const json = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      const traits = kubeTraits.get(zodSchema);
      if (traits?.rules)
        Object.assign(jsonSchema, {
          'x-kubernetes-validations': traits.rules.map(({ cel, message, path }) => ({
            rule: cel,
            message,
            fieldPath: path.map((part) => `.${part}`).join(''),
          })),
        });
      if (traits?.keys) Object.assign(jsonSchema, { 'x-kubernetes-list-map-keys': traits.keys });
    },
  });
  return convert(json as Json, '');
}

function convert(node: Json, at: string): StructuralNode {
  for (const field of Object.keys(node))
    if (!known.has(field)) throw new Error(`${at || 'the schema'}: a definition cannot hold "${field}"`);
  const variants = (node.oneOf ?? node.anyOf) as readonly Json[] | undefined;
  if (variants) {
    const { oneOf: _, anyOf: __, ...rest } = node;
    return {
      ...merge(
        variants.map((variant) => convert(variant, at)),
        at,
      ),
      ...convert(rest, at),
    };
  }
  if (Array.isArray(node.type)) throw new Error(`${at}: one type only`);
  const result: Record<string, unknown> = {};
  for (const field of kept) if (node[field] !== undefined) result[field] = node[field];
  // What every whole number of JavaScript keeps to anyway.
  for (const field of bounds)
    if (node[field] !== undefined && Math.abs(node[field] as number) !== Number.MAX_SAFE_INTEGER)
      result[field] = node[field];
  if (node.const !== undefined) result.enum = [node.const];
  if (node.type === 'integer') result.format = 'int64';
  if (node.properties)
    result.properties = Object.fromEntries(
      Object.entries(node.properties as Readonly<Record<string, Json>>).map(([name, inner]) => [
        name,
        convert(inner, `${at}.${name}`),
      ]),
    );
  if (Array.isArray(node.required) && node.required.length > 0) result.required = node.required;
  if (typeof node.additionalProperties === 'object' && !node.properties)
    result.additionalProperties = convert(node.additionalProperties as Json, `${at}.*`);
  if (node.items) result.items = convert(node.items as Json, `${at}[]`);
  const keys = node['x-kubernetes-list-map-keys'];
  if (keys) Object.assign(result, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });
  if (node['x-kubernetes-validations']) result['x-kubernetes-validations'] = node['x-kubernetes-validations'];
  return result as StructuralNode;
}

/** Variants of an object that one field tells apart, as one object: each has its own fields by rules. */
function merge(variants: readonly StructuralNode[], at: string): StructuralNode {
  const shapes = variants.map(({ properties }) => properties ?? {});
  if (variants.some(({ type }) => type !== 'object')) return mergeValues(variants, at);
  const names = [...new Set(shapes.flatMap((shape) => Object.keys(shape)))];
  const isCommon = (name: string): boolean => shapes.every((shape) => shape[name]);
  const kind = names.find((name) => isCommon(name) && isApart(shapes.map((shape) => shape[name]?.enum)));
  if (kind === undefined) throw new Error(`${at}: nothing tells the variants apart`);
  const properties: Record<string, StructuralNode> = {};
  const rules: CelRule[] = variants.flatMap((variant) => variant['x-kubernetes-validations'] ?? []);
  for (const name of names) {
    const forms = shapes.flatMap((shape) => shape[name] ?? []);
    properties[name] = forms.length === 1 ? forms[0]! : mergeValues(forms, `${at}.${name}`);
    if (isCommon(name)) continue;
    // A default would give the field to the variants that do not have it.
    const { default: _, ...rest } = properties[name];
    properties[name] = rest;
    const values = shapes.flatMap((shape) => (shape[name] ? (shape[kind]?.enum ?? []) : []));
    const list = values.map((value) => `'${String(value)}'`).join(', ');
    rules.push({
      rule: `!has(self.${name}) || self.${kind} in [${list}]`,
      message: `belongs to ${kind} ${values.join(', ')} only`,
      fieldPath: `.${name}`,
    });
  }
  const required = names.filter((name) => variants.every((variant) => variant.required?.includes(name)));
  for (const variant of variants)
    for (const name of variant.required ?? []) {
      if (required.includes(name)) continue;
      const list = (variant.properties?.[kind]?.enum ?? []).map((value) => `'${String(value)}'`).join(', ');
      rules.push({
        rule: `!(self.${kind} in [${list}]) || has(self.${name})`,
        message: `is needed here`,
        fieldPath: `.${name}`,
      });
    }
  return {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

/** One field of several variants: the same everywhere, or different values of one type. */
function mergeValues(forms: readonly StructuralNode[], at: string): StructuralNode {
  const [first, ...others] = forms;
  if (first === undefined) throw new Error(`${at}: no variants`);
  if (others.every((other) => isDeepStrictEqual(other, first))) return first;
  if (forms.every((form) => form.enum && form.type === first.type))
    return { ...first, enum: [...new Set(forms.flatMap((form) => form.enum ?? []))] };
  throw new Error(`${at}: a definition cannot hold variants that differ so`);
}

const isApart = (enums: readonly (readonly unknown[] | undefined)[]): boolean => {
  const all = enums.flatMap((values) => values ?? []);
  return enums.every((values) => values !== undefined) && new Set(all).size === all.length;
};
