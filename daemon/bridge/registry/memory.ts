/** A registry that is kept in memory: for tests and for programs that make their surfaces themselves. */
import type { ControlSurface } from '../../config/schema.ts';
import { changedNames } from './changes.ts';
import type { Registry } from './types.ts';

export interface MemoryRegistry extends Registry {
  /** Replaces all surfaces; listeners hear what is different. */
  set(surfaces: readonly ControlSurface[]): void;
}

/** A registry with these surfaces in it. */
export function createMemoryRegistry(surfaces: readonly ControlSurface[]): MemoryRegistry {
  const byName = (list: readonly ControlSurface[]) =>
    new Map(list.map((surface) => [surface.metadata.name, surface]));
  const listeners: ((names: readonly string[]) => void)[] = [];
  let current = byName(surfaces);
  return {
    list: () => [...current.values()],
    get: (name) => current.get(name) ?? null,
    problems: () => [],
    onChange: (listener) => {
      listeners.push(listener);
    },
    close: async () => {
      listeners.length = 0;
    },
    set: (next) => {
      const before = current;
      current = byName(next);
      const names = changedNames(before, current);
      if (names.length > 0) for (const listener of listeners) listener(names);
    },
  };
}
