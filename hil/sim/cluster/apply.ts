/** Server-side apply: ownership, conflicts and forcing (recording 05; kubernetes.io, "Server-Side Apply"). */
import { type JsonMap, withAt } from './json.ts';
import {
  dotted,
  entryOf,
  inOrder,
  isEntryOf,
  leavesOf,
  pathsOf,
  setOf,
  type Writer,
} from './managed-fields.ts';
import type { KubeObject, ManagedFields } from './objects.ts';
import { strategicMerge } from './patch.ts';
import type { Resource } from './resources.ts';
import { StatusError } from './status.ts';

/** What applying a configuration to a live object gives. @throws StatusError 409 with one cause a field */
export function applied(
  resource: Resource,
  live: KubeObject,
  config: JsonMap,
  writer: Writer,
  isForced: boolean,
): KubeObject {
  const isCustom = resource.custom !== null;
  const wanted = leavesOf(config, { isApply: true, isCustom });
  const current = leavesOf(live, { isApply: true, isCustom });
  const entries = live.metadata.managedFields ?? [];
  const conflicts: { path: string; entry: ManagedFields }[] = [];
  for (const [path, value] of wanted) {
    if (path.endsWith('.') || current.get(path) === value) continue;
    for (const entry of entries) {
      if (!isEntryOf(entry, writer) && pathsOf(entry.fieldsV1).has(path)) conflicts.push({ path, entry });
    }
  }
  if (conflicts.length > 0 && !isForced) throw conflictOf(conflicts);

  let next = strategicMerge(live, config) as KubeObject;
  const mine = entries.find((entry) => isEntryOf(entry, writer));
  const others = entries.filter((entry) => entry !== mine);
  for (const path of mine === undefined ? [] : pathsOf(mine.fieldsV1)) {
    const isDropped = !wanted.has(path) && !others.some((entry) => pathsOf(entry.fieldsV1).has(path));
    // Only plain fields are taken back: list items need their key, and stay.
    if (isDropped && !path.includes('k:')) {
      next = withAt(
        next,
        path.split('\u0000').map((part) => part.slice(2)),
        undefined,
      );
    }
  }
  const taken = new Set(conflicts.map(({ path }) => path));
  const kept = others.flatMap((entry) => {
    const paths = pathsOf(entry.fieldsV1);
    const left = [...paths].filter((path) => !taken.has(path));
    if (left.length === paths.size) return [entry];
    return left.length === 0 ? [] : [{ ...entry, fieldsV1: setOf(left) }];
  });
  const own = entryOf(writer, live.apiVersion, setOf(wanted.keys()));
  const managedFields = inOrder([own, ...kept]);
  return { ...next, metadata: { ...next.metadata, managedFields } };
}

/** The managedFields of an object that an apply creates. */
export function firstEntries(resource: Resource, config: JsonMap, writer: Writer): ManagedFields[] {
  const leaves = leavesOf(config, { isApply: true, isCustom: resource.custom !== null });
  return [entryOf(writer, String(config.apiVersion), setOf(leaves.keys()))];
}

function conflictOf(conflicts: readonly { path: string; entry: ManagedFields }[]): StatusError {
  const causes = conflicts.map(({ path, entry }) => {
    const through = entry.subresource === undefined ? '' : ` with subresource "${entry.subresource}"`;
    return {
      reason: 'FieldManagerConflict',
      message: `conflict with "${entry.manager}"${through} using ${entry.apiVersion}`,
      field: dotted(path),
    };
  });
  const [only] = causes;
  const text =
    causes.length === 1
      ? `${only?.message}: ${only?.field}`
      : causes.map((cause) => `${cause.message}: ${cause.field}`).join('\n');
  const message = `Apply failed with ${causes.length} conflict${causes.length === 1 ? '' : 's'}: ${text}`;
  return new StatusError(409, 'Conflict', message, { details: { causes } });
}
