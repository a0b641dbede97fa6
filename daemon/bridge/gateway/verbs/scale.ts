/** `scale`: the replicas of whatever has a scale subresource. */
import { verbRights } from '../../kube/rights.ts';
import type { TargetSnapshot } from '../../kube/types.ts';
import { gitopsGuard } from '../guards.ts';
import { troubleOf } from '../trouble.ts';
import type { GuardNeed, Verb } from './verb.ts';
import { isSettled, leaving, podMark, showWorkload, stalledPods } from './workload.ts';

export const scale: Verb = {
  name: 'scale',
  number: 'count',
  rights: verbRights.scale,
  happened: {
    reason: 'Scale',
    done: 'Scaled',
    words: (target, from, want) => `scaled ${target}${from === null ? '' : ` from ${from}`} to ${want}`,
  },
  patienceMs: 120_000,
  numberOf: ({ target }) => target?.desired ?? null,
  guards: scaleGuards,
  refuse: () => null,
  read: (cluster, { ref, actor }, signal) => cluster.getScale(ref, actor, signal),
  write: (cluster, { ref, actor, want }, read, isDryRun, signal) =>
    cluster.putScale(ref, read, want, actor, { isDryRun }, signal),
  isInForce: ({ target }, { want }) => target?.desired === want,
  progress(snapshot, { want }) {
    const isThere = snapshot.target?.desired === want && isSettled(snapshot) && leaving(snapshot) === 0;
    return {
      done: isThere ? (want === 1 ? '1 Pod is ready.' : `${want} Pods are ready.`) : null,
      mark: podMark(snapshot),
      trouble: troubleOf(snapshot),
      stalled: stalledPods(snapshot, want),
      hasEvents: true,
    };
  },
  show: showWorkload,
};

/** All guards that apply to setting the replicas to `want`. */
function scaleGuards(snapshot: TargetSnapshot, want: number, current: number): readonly GuardNeed[] {
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
  needs.push(...gitopsGuard(snapshot));
  if (target?.deletesClaims && want < current)
    needs.push({
      guard: 'claims',
      words: `The volume claims of the ${current - want} removed Pods are deleted with their data.`,
    });
  return needs;
}
