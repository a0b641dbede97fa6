/** Reading and copying plain JSON values whose shape is not known in advance. */

/** A JSON object whose fields are not known. */
export type JsonMap = Record<string, unknown>;

/** Whether a value is a JSON object, which an array is not. */
export function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a path of field names, or undefined when anything on the way is missing. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const name of path) {
    if (!isMap(here)) return undefined;
    here = here[name];
  }
  return here;
}

/** The string at a path, or an empty one. */
export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** The number at a path, or 0: Go leaves out fields that are 0. */
export function numberAt(value: unknown, ...path: readonly string[]): number {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : 0;
}

/** The array at a path, or an empty one. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** A copy in which the value at a path is another one; everything beside the path is shared. */
export function withAt<T extends JsonMap>(value: T, path: readonly string[], next: unknown): T {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  const inner = value[name];
  const replacement = rest.length === 0 ? next : withAt(isMap(inner) ? inner : {}, rest, next);
  return { ...value, [name]: replacement };
}

/** Deep equality of JSON values; a field that is undefined counts as absent. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  }
  if (!isMap(a) || !isMap(b)) return false;
  for (const name of Object.keys(a)) if (!isEqual(a[name], b[name])) return false;
  for (const name of Object.keys(b)) if (b[name] !== undefined && !(name in a)) return false;
  return true;
}
