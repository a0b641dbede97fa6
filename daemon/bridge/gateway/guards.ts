/** What makes a command risky, and the words for it (DESIGN.md rule 6). Pure. */
import type { BindingConfig } from '../../config/schema.ts';
import type { Guard } from '../../surface/types.ts';
import type { TargetSnapshot } from '../kube/types.ts';
import { type End, endOf } from './command.ts';

/** A guard that applies, with one sentence that says why. */
export interface GuardNeed {
  readonly guard: Guard;
  readonly words: string;
}

/**
 * All guards that apply to setting the target to `want`.
 * @param current spec.replicas now
 */
export function guardsFor(snapshot: TargetSnapshot, want: number, current: number): readonly GuardNeed[] {
  const needs: GuardNeed[] = [];
  const { autoscaler, target } = snapshot;
  if (want === 0) needs.push({ guard: 'zero', words: 'Zero replicas take the service away.' });
  if (autoscaler) {
    const after =
      want === 0
        ? 'zero switches it off until somebody sets a number again'
        : want < autoscaler.min || want > autoscaler.max
          ? `it will set it back within its ${autoscaler.min} to ${autoscaler.max}`
          : `it may set another number of its ${autoscaler.min} to ${autoscaler.max}`;
    needs.push({
      guard: 'autoscaler',
      words: `${autoscaler.kind} ${autoscaler.name} decides about the number: ${after}.`,
    });
  }
  if (target?.gitops)
    needs.push({
      guard: 'gitops',
      words: `${gitopsName(target.gitops)} keeps it as it is in Git and may set it back.`,
    });
  if (target?.deletesClaims && want < current)
    needs.push({
      guard: 'claims',
      words: `The volume claims of the ${current - want} removed Pods are deleted with their data.`,
    });
  return needs;
}

/** How a GitOps tool is called on displays. */
export const gitopsName = (gitops: { readonly tool: string; readonly name: string }): string =>
  gitops.name ? `${gitops.tool} ${gitops.name}` : gitops.tool;

/** With `autoscaler: refuse` in the binding, a number that something else owns is not touched at all. */
export function refuseOwned(
  binding: BindingConfig,
  needs: readonly GuardNeed[],
  now: number | null,
): End | null {
  if (binding.autoscaler !== 'refuse') return null;
  const owned = needs.find(({ guard }) => guard === 'autoscaler' || guard === 'gitops');
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
};
