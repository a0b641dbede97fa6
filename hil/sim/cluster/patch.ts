/** The patch formats of the API: RFC 7386 merge patch, RFC 6902 JSON patch, strategic merge patch. */
import { isEqual, isMap, type JsonMap } from './json.ts';
import { LIST_KEYS } from './managed-fields.ts';
import { badRequest, StatusError } from './status.ts';

/** RFC 7386: null removes, maps merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: JsonMap = isMap(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

/**
 * Strategic merge patch (kubernetes.io, "Update API objects in place using kubectl patch"): as a merge patch, but
 * lists of named things are merged by their key and `$patch` can delete or replace.
 */
export function strategicMerge(target: unknown, patch: unknown): unknown {
  return strategic(target, patch, '');
}

function strategic(target: unknown, patch: unknown, name: string): unknown {
  const listKey = LIST_KEYS[name];
  if (Array.isArray(patch) && listKey !== undefined && patch.every(isMap)) {
    return strategicList(Array.isArray(target) ? target : [], patch as JsonMap[], listKey);
  }
  if (!isMap(patch)) return patch;
  if (patch.$patch === 'replace') return without(patch, '$patch');
  const result: JsonMap = isMap(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    // Directives about order and retained keys change nothing that this cluster keeps.
    if (field.startsWith('$')) continue;
    if (value === null) delete result[field];
    else result[field] = strategic(result[field], value, field);
  }
  return result;
}

function strategicList(target: readonly unknown[], patch: readonly JsonMap[], key: string): unknown[] {
  if (patch.some((item) => item.$patch === 'replace')) {
    return patch.filter((item) => item.$patch !== 'replace');
  }
  let result = [...target];
  for (const item of patch) {
    const index = result.findIndex((one) => isMap(one) && one[key] === item[key]);
    if (item.$patch === 'delete') result = result.filter((_, at) => at !== index);
    else if (index < 0) result.push(strategic({}, item, ''));
    else result[index] = strategic(result[index], item, '');
  }
  return result;
}

function without(value: JsonMap, name: string): JsonMap {
  const { [name]: _, ...rest } = value;
  return rest;
}

/** RFC 6902; a failing operation is refused as a whole. */
export function jsonPatch(target: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) {
    throw badRequest(
      'error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    );
  }
  let document: unknown = structuredClone(target);
  for (const operation of operations) document = applyOperation(document, operation);
  return document;
}

function applyOperation(document: unknown, operation: unknown): unknown {
  if (!isMap(operation) || typeof operation.op !== 'string' || typeof operation.path !== 'string') {
    throw badRequest('error decoding patch: operation without op or path');
  }
  const { op, path, value } = operation;
  const from = typeof operation.from === 'string' ? operation.from : '';
  switch (op) {
    case 'add':
    case 'replace':
      return write(document, path, value, op);
    case 'remove':
      return write(document, path, undefined, op);
    case 'copy':
      return write(document, path, structuredClone(read(document, from)), 'add');
    case 'move': {
      const moved = read(document, from);
      return write(write(document, from, undefined, 'remove'), path, moved, 'add');
    }
    case 'test':
      if (!isEqual(read(document, path), value))
        throw unprocessable(`testing path ${path} failed: test failed`);
      return document;
    default:
      throw unprocessable(`Unexpected kind: ${op}`);
  }
}

function unprocessable(why: string): StatusError {
  const message = `the server rejected our request due to an error in our request: ${why}`;
  return new StatusError(422, 'Invalid', message, { details: {} });
}

function segments(path: string): string[] {
  if (path === '') return [];
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(document: unknown, path: string): unknown {
  let here = document;
  for (const part of segments(path)) {
    here = Array.isArray(here) ? here[Number(part)] : isMap(here) ? here[part] : undefined;
    if (here === undefined) throw unprocessable(`${path}: missing path`);
  }
  return here;
}

function write(document: unknown, path: string, value: unknown, op: 'add' | 'replace' | 'remove'): unknown {
  const parts = segments(path);
  const last = parts.pop();
  if (last === undefined) return value;
  let parent = document;
  for (const part of parts) {
    parent = Array.isArray(parent) ? parent[Number(part)] : isMap(parent) ? parent[part] : undefined;
  }
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    if (!Number.isInteger(index) || index < 0 || index > parent.length) {
      throw unprocessable(`${path}: index out of range`);
    }
    if (op === 'add') parent.splice(index, 0, value);
    else if (op === 'replace') parent[index] = value;
    else parent.splice(index, 1);
  } else if (isMap(parent)) {
    if (op !== 'add' && !(last in parent)) throw unprocessable(`${op} operation does not apply: ${path}`);
    if (op === 'remove') delete parent[last];
    else parent[last] = value;
  } else {
    throw unprocessable(`${op} operation does not apply: doc is missing path: "${path}": missing value`);
  }
  return document;
}
