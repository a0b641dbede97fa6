/**
 * Who owns which field (metadata.managedFields), kept the way the API server keeps it for updates: fields that a
 * write changes go to the writer, everybody else loses them (recordings 02, 05, 07; structured-merge-diff).
 */
import { isMap, type JsonMap } from './json.ts';
import type { FieldSet, KubeObject, ManagedFields } from './objects.ts';

/** Who writes, and through which door. */
export interface Writer {
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly subresource: string;
  /** Empty for writes through `scale`: the recorded entries carry no time. */
  readonly time: string;
}

const SYSTEM_FIELDS = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'finalizers',
]);

/** Lists that are merged by a key instead of being replaced as a whole (x-kubernetes-list-map-keys). */
export const LIST_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  env: 'name',
  imagePullSecrets: 'name',
  conditions: 'type',
  addresses: 'type',
  ownerReferences: 'uid',
};

const ATOMIC = new Set(['selector', 'involvedObject', 'roleRef']);
/** Structs by value: they get no `.` member, unlike maps and pointers. */
const STRUCTS = new Set([
  'metadata',
  'spec',
  'status',
  'template',
  'strategy',
  'updateStrategy',
  'scaleTargetRef',
  'names',
  'source',
]);

/** Separates path elements; it cannot occur in a field name. */
const SEPARATOR = '\u0000';

/** The leaves of an object by path, each with its value as JSON. */
export type Leaves = Map<string, string>;

/** Lists every field that can be owned. */
export function leavesOf(object: JsonMap, options: { isApply: boolean; isCustom: boolean }): Leaves {
  const leaves: Leaves = new Map();
  const visit = (path: string, name: string, value: unknown): void => {
    const listKey = Array.isArray(value) && value.length > 0 ? LIST_KEYS[name] : undefined;
    if (Array.isArray(value) && listKey !== undefined && value.every(isMap)) {
      // Containers are a required list, which has no `.` member.
      if (!options.isApply && name !== 'containers') leaves.set(`${path}${SEPARATOR}.`, '');
      for (const item of value as JsonMap[]) {
        const key = `k:${JSON.stringify({ [listKey]: item[listKey] })}`;
        const itemPath = `${path}${SEPARATOR}${key}`;
        if (name === 'ownerReferences') {
          leaves.set(itemPath, JSON.stringify(item));
          continue;
        }
        leaves.set(`${itemPath}${SEPARATOR}.`, '');
        for (const [field, inner] of Object.entries(item)) {
          if (inner !== undefined) visit(`${itemPath}${SEPARATOR}f:${field}`, field, inner);
        }
      }
      return;
    }
    if (!isMap(value) || Object.keys(value).length === 0 || ATOMIC.has(name)) {
      leaves.set(path, JSON.stringify(value) ?? '');
      return;
    }
    const hasDot = !options.isApply && (options.isCustom ? name !== 'metadata' : !STRUCTS.has(name));
    if (hasDot) leaves.set(`${path}${SEPARATOR}.`, '');
    for (const [field, inner] of Object.entries(value)) {
      if (inner !== undefined) visit(`${path}${SEPARATOR}f:${field}`, field, inner);
    }
  };
  for (const [field, value] of Object.entries(object)) {
    if (field === 'kind' || field === 'apiVersion' || value === undefined) continue;
    if (field === 'metadata' && isMap(value)) {
      for (const [name, inner] of Object.entries(value)) {
        if (!SYSTEM_FIELDS.has(name) && inner !== undefined) {
          visit(`f:metadata${SEPARATOR}f:${name}`, name, inner);
        }
      }
      continue;
    }
    if (isMap(value) && Object.keys(value).length === 0) continue;
    visit(`f:${field}`, field, value);
  }
  return leaves;
}

/** The paths of a FieldSet. */
export function pathsOf(set: FieldSet): Set<string> {
  const paths = new Set<string>();
  const visit = (prefix: string, inner: FieldSet): void => {
    for (const [name, next] of Object.entries(inner)) {
      const path = prefix === '' ? name : `${prefix}${SEPARATOR}${name}`;
      if (Object.keys(next).length === 0) paths.add(path);
      else visit(path, next);
    }
  };
  visit('', set);
  return paths;
}

/** The FieldSet of paths. */
export function setOf(paths: Iterable<string>): FieldSet {
  const root: FieldSet = {};
  for (const path of [...paths].sort()) {
    let here = root;
    for (const name of path.split(SEPARATOR)) {
      here[name] ??= {};
      here = here[name];
    }
  }
  return root;
}

/** `.spec.replicas`, as conflicts name a field. */
export function dotted(path: string): string {
  return path
    .split(SEPARATOR)
    .map((name) => {
      if (name.startsWith('k:')) {
        const [[key, value] = ['', '']] = Object.entries(JSON.parse(name.slice(2)) as Record<string, string>);
        return `[${key}="${value}"]`;
      }
      return name === '.' ? '' : `.${name.slice(2)}`;
    })
    .join('');
}

/** Whether an entry belongs to this writer. */
export function isEntryOf(entry: ManagedFields, writer: Writer): boolean {
  return (
    entry.manager === writer.manager &&
    entry.operation === writer.operation &&
    (entry.subresource ?? '') === writer.subresource
  );
}

/** One entry. */
export function entryOf(writer: Writer, apiVersion: string, fieldsV1: FieldSet): ManagedFields {
  return {
    manager: writer.manager,
    operation: writer.operation,
    apiVersion,
    ...(writer.time === '' ? {} : { time: writer.time }),
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(writer.subresource === '' ? {} : { subresource: writer.subresource }),
  };
}

/** Entries in the order in which the API server lists them: Apply first, then by time, then by manager. */
export function inOrder(entries: readonly ManagedFields[]): ManagedFields[] {
  const rank = (entry: ManagedFields): string =>
    `${entry.operation === 'Apply' ? 0 : 1}${entry.time ?? ''} ${entry.manager}`;
  return [...entries].sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0));
}

/** The entries after `writer` turned `before` into `after`. */
export function afterUpdate(
  before: KubeObject | null,
  after: JsonMap & { readonly apiVersion: string },
  writer: Writer,
  isCustom: boolean,
): readonly ManagedFields[] {
  const style = { isApply: false, isCustom };
  const old: Leaves = before === null ? new Map() : leavesOf(before, style);
  // A status that comes with a write of the main resource is not taken from the writer.
  const { status, ...rest } = after;
  const next = leavesOf(before === null && writer.subresource === '' ? rest : { ...rest, status }, style);
  const changed = new Set<string>();
  for (const [path, value] of next) if (old.get(path) !== value) changed.add(path);
  const gone = new Set<string>();
  for (const path of old.keys()) if (!next.has(path)) gone.add(path);
  const entries = before?.metadata.managedFields ?? [];
  if (changed.size === 0 && gone.size === 0) return entries;

  const result: ManagedFields[] = [];
  let hasOwn = false;
  for (const entry of entries) {
    const paths = pathsOf(entry.fieldsV1);
    const isOwn = isEntryOf(entry, writer);
    const sizeBefore = paths.size;
    for (const path of gone) paths.delete(path);
    for (const path of changed) {
      if (isOwn) paths.add(path);
      else paths.delete(path);
    }
    hasOwn ||= isOwn;
    if (isOwn) result.push(entryOf(writer, after.apiVersion, setOf(paths)));
    else if (paths.size === sizeBefore) result.push(entry);
    else if (paths.size > 0) result.push({ ...entry, fieldsV1: setOf(paths) });
  }
  if (!hasOwn && changed.size > 0) result.push(entryOf(writer, after.apiVersion, setOf(changed)));
  return inOrder(result);
}

/** The entries when nobody owns a field any more; entries that owned nothing else go. */
export function unowned(entries: readonly ManagedFields[], fields: readonly string[]): ManagedFields[] {
  const path = fields.map((name) => `f:${name}`).join(SEPARATOR);
  return entries.flatMap((entry) => {
    const paths = pathsOf(entry.fieldsV1);
    if (!paths.delete(path)) return [entry];
    return paths.size === 0 ? [] : [{ ...entry, fieldsV1: setOf(paths) }];
  });
}
