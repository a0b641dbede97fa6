import { isDeepStrictEqual } from 'node:util';
import type { ControlSurface } from '../../config/schema.ts';

type Surfaces = ReadonlyMap<string, ControlSurface>;

/** Names that were added, removed, or whose content is different. */
export function changedNames(before: Surfaces, after: Surfaces): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => !isDeepStrictEqual(before.get(name), after.get(name))).sort();
}
