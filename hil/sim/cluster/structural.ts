/**
 * What the API server does to custom resources by their structural schema (kubernetes.io, "Extend the Kubernetes API with
 * CustomResourceDefinitions"): unknown fields are pruned, then defaults are filled in.
 */
import { at, isMap, type JsonMap } from './json.ts';

/** `object` as it would be kept; apiVersion, kind and metadata are left as they are. */
export function structured(schema: unknown, object: JsonMap): JsonMap {
  if (!isMap(at(schema, 'properties'))) return object;
  const { apiVersion, kind, metadata, ...rest } = object;
  const kept = fill(schema, prune(schema, rest)) as JsonMap;
  return { apiVersion, kind, metadata, ...without(kept, ['apiVersion', 'kind', 'metadata']) };
}

function prune(schema: unknown, value: unknown): unknown {
  if (!isMap(schema) || schema['x-kubernetes-preserve-unknown-fields'] === true) return value;
  if (Array.isArray(value)) return value.map((item) => prune(schema.items, item));
  if (!isMap(value)) return value;
  const { properties, additionalProperties } = schema;
  if (!isMap(properties)) {
    if (additionalProperties === undefined) return schema.type === 'object' ? {} : value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, prune(additionalProperties, inner)]),
    );
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) =>
      Object.hasOwn(properties, name) ? [[name, prune(properties[name], inner)]] : [],
    ),
  );
}

function fill(schema: unknown, value: unknown): unknown {
  if (!isMap(schema)) return value;
  if (Array.isArray(value)) return value.map((item) => fill(schema.items, item));
  if (!isMap(value) || !isMap(schema.properties)) return value;
  const result: JsonMap = { ...value };
  for (const [name, inner] of Object.entries(schema.properties)) {
    const fallback = at(inner, 'default');
    // A null stands for "not given" where the schema has a default and does not allow null.
    if ((result[name] === undefined || result[name] === null) && fallback !== undefined)
      result[name] = structuredClone(fallback);
    if (result[name] !== undefined) result[name] = fill(inner, result[name]);
  }
  return result;
}

const without = (value: JsonMap, names: readonly string[]): JsonMap =>
  Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
