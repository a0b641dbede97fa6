/** What makes a command risky, and the words for it (ARCHITECTURE.md, rule 6). Pure; which guards apply a verb says. */
import type { BindingConfig } from '../../config/schema.ts';
import type { Guard } from '../../surface/types.ts';
import type { TargetSnapshot } from '../kube/types.ts';
import { type End, endOf } from './command.ts';
import type { GuardNeed } from './verbs/verb.ts';

/** How a GitOps tool is called on displays. */
export const gitopsName = (gitops: { readonly tool: string; readonly name: string }): string =>
  gitops.name ? `${gitops.tool} ${gitops.name}` : gitops.tool;

/** The guard of what a GitOps tool keeps, whatever is done to it. */
export const gitopsGuard = ({ target }: TargetSnapshot): readonly GuardNeed[] =>
  target?.gitops
    ? [
        {
          guard: 'gitops',
          words: `${gitopsName(target.gitops)} keeps it as it is in Git and may set it back.`,
        },
      ]
    : [];

const isOwner = ({ guard }: GuardNeed): boolean => guard === 'autoscaler' || guard === 'gitops';

/** Whether something else decides about the number too, so that it must hold for a while to count. */
export const isOwned = (needs: readonly GuardNeed[]): boolean => needs.some(isOwner);

/** With `autoscaler: refuse` in the binding, a number that something else owns is not touched at all. */
export function refuseOwned(
  binding: BindingConfig,
  needs: readonly GuardNeed[],
  now: number | null,
): End | null {
  if (binding.autoscaler !== 'refuse') return null;
  const owned = needs.find(isOwner);
  if (!owned) return null;
  return endOf(
    'denied',
    owned.guard === 'gitops' ? 'OwnedByGitOps' : 'OwnedByAutoscaler',
    `The binding refuses this (autoscaler: refuse). ${owned.words}`,
    now,
  );
}

/** Whether every guard that applies was armed for this very command. */
export const isArmed = (needs: readonly GuardNeed[], arm: readonly Guard[]): boolean =>
  needs.every(({ guard }) => arm.includes(guard));

/** The end that asks for arming: all guards at once, so that one hold is enough. */
export const needsArm = (needs: readonly GuardNeed[], now: number): End => ({
  phase: 'needs-arm',
  code: needs.length === 1 ? guardCode[needs[0]?.guard ?? 'zero'] : 'SeveralGuards',
  detail: needs.map(({ words }) => words).join(' '),
  now,
  guards: needs.map(({ guard }) => guard),
});

const guardCode: Readonly<Record<Guard, string>> = {
  zero: 'Zero',
  autoscaler: 'OwnedByAutoscaler',
  gitops: 'OwnedByGitOps',
  claims: 'DeletesClaims',
  disrupts: 'Disrupts',
  loses: 'LosesData',
};
