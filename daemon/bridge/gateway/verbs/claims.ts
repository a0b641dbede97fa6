/** The volumes page: lights that are claims in the place of Pods. */
import type { TargetSnapshot } from '../../kube/types.ts';
import type { Shown } from './verb.ts';

/** One template makes a claim an ordinal, whose place is its number; several stand side by side. */
function keyOf(name: string, isOneTemplate: boolean): string {
  return isOneTemplate ? name.slice(name.lastIndexOf('-') + 1) : name.slice(-16);
}

/** What is shown of a StatefulSet, with its claims. */
export function withClaims(shown: Shown, { claims = [] }: TargetSnapshot): Shown {
  const heads = new Set(claims.map(({ name }) => name.slice(0, name.lastIndexOf('-'))));
  const lost = claims.find(({ light }) => light === 'crashed');
  const isFine = shown.condition.state === 'ok' || shown.condition.state === 'progressing';
  return {
    ...shown,
    lights: claims.map(({ name, light }) => [keyOf(name, heads.size <= 1), light]),
    condition:
      lost !== undefined && isFine
        ? { state: 'blocked', reason: 'ClaimLost', message: `The volume of claim ${lost.name} is lost.` }
        : shown.condition,
  };
}
