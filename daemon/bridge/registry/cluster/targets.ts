/** How the targets of each surface stand, from the watches that the gateway has of them anyway. */
import type { ControlSurface } from '../../../config/schema.ts';
import { nameOf } from '../../kube/scales.ts';
import type { Cluster, TargetRef, TargetWatch } from '../../kube/types.ts';
import type { TargetFact } from './conditions.ts';

/** The targets of all surfaces. */
export interface Targets {
  /** Takes over what the surface is bound to now; null: it is gone. */
  follow(name: string, surface: ControlSurface | null): void;
  factsOf(name: string): readonly TargetFact[];
  /** Of the object that a surface is bound to; null: not known. */
  uidOf(surface: string, target: TargetRef): string | null;
  close(): void;
}

const keyOf = (target: TargetRef): string =>
  JSON.stringify([target.apiVersion, target.kind, target.namespace, target.name]);

/** @param onChange called with a surface when one of its targets may be different; it may be called often */
export function followTargets(
  cluster: Pick<Cluster, 'watchTarget'>,
  onChange: (surface: string) => void,
): Targets {
  const watches = new Map<string, Map<string, { readonly ref: TargetRef; readonly watch: TargetWatch }>>();

  const follow = (name: string, surface: ControlSurface | null): void => {
    const before = watches.get(name) ?? new Map();
    const after = new Map<string, { readonly ref: TargetRef; readonly watch: TargetWatch }>();
    for (const { target, show } of surface === null || surface.spec.isRevoked ? [] : surface.spec.bindings) {
      const key = keyOf(target);
      if (after.has(key)) continue;
      const watch = before.get(key)?.watch ?? cluster.watchTarget(target, () => onChange(name), show);
      after.set(key, { ref: target, watch });
    }
    for (const [key, { watch }] of before) if (!after.has(key)) watch.close();
    if (after.size === 0) watches.delete(name);
    else watches.set(name, after);
  };
  return {
    follow,
    factsOf: (name) =>
      [...(watches.get(name)?.values() ?? [])].map(({ ref, watch }): TargetFact => {
        const { target, problem } = watch.snapshot();
        const state = problem?.state ?? (target === null ? 'unknown' : 'found');
        return {
          name: nameOf(ref),
          state: state === 'unreachable' ? 'unknown' : state,
          message: problem?.message ?? '',
        };
      }),
    uidOf: (surface, target) =>
      watches.get(surface)?.get(keyOf(target))?.watch.snapshot().target?.uid ?? null,
    close: () => {
      for (const name of [...watches.keys()]) follow(name, null);
    },
  };
}
