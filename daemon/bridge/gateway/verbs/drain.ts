/** `drain`: a Node takes no new Pods, and those on it are asked to go, as `kubectl drain` does it. */
import type { SlotCondition } from '../../../surface/types.ts';
import { verbRights } from '../../kube/rights.ts';
import { patches } from '../../kube/settings.ts';
import type { PodState, TargetSnapshot } from '../../kube/types.ts';
import { unseen } from '../refusals.ts';
import { evictAll } from './evict.ts';
import { patching } from './patch.ts';
import type { GuardNeed, Verb } from './verb.ts';
import { inOrder, plainCondition } from './workload.ts';

/** Pods that a drain makes go; those of DaemonSets and of the Node itself stay. */
export const podsToGo = ({ pods }: TargetSnapshot): readonly PodState[] =>
  pods.filter(({ eviction }) => eviction?.stays === false);

const isLone = ({ eviction }: PodState): boolean => !eviction?.isFinished && !eviction?.hasController;
const hasData = ({ eviction }: PodState): boolean => !eviction?.isFinished && eviction?.hasLocalData === true;

const podWords = (count: number): string => (count === 1 ? '1 Pod' : `${count} Pods`);

function drainGuards(snapshot: TargetSnapshot, want: number): readonly GuardNeed[] {
  if (want === 0) return [];
  const going = podsToGo(snapshot);
  const local = going.filter(hasData).length;
  const lone = going.filter(isLone).length;
  const needs: GuardNeed[] = [
    { guard: 'disrupts', words: `${podWords(going.length)} on it are ended and made anew elsewhere.` },
  ];
  const lost = [
    ...(local > 0 ? [`${podWords(local)} lose the data in their emptyDir volumes`] : []),
    ...(lone > 0 ? [`${podWords(lone)} have no controller and do not come back`] : []),
  ];
  if (lost.length > 0) needs.push({ guard: 'loses', words: `${lost.join(', and ')}.` });
  return needs;
}

const leftOn = (count: number): SlotCondition => ({
  state: 'progressing',
  reason: 'Draining',
  message: `${podWords(count)} are left on it.`,
});

export const drain: Verb = {
  name: 'drain',
  number: 'switch',
  rights: verbRights.drain,
  happened: {
    reason: 'Drain',
    done: 'Drained',
    words: (target, _, want) =>
      want === 1 ? `drained ${target}` : `stopped to drain ${target}, which stays cordoned,`,
  },
  // Budgets make one wait for as long as an application takes to come up elsewhere.
  patienceMs: 600_000,
  numberOf: ({ target }) => (target === null ? null : Number(target.settings.isDraining)),
  guards: drainGuards,
  // Whose Pods are not seen must not be drained; that it is to stop can be asked for always.
  refuse: (snapshot, want) => (want === 1 && snapshot.problem !== null ? unseen(snapshot) : null),
  ...patching({
    numberOf: ({ isDraining }) => Number(isDraining),
    patch: ({ want, id }) => patches.drain(want === 1 ? id : null),
  }),
  isInForce: ({ target }, { want }) => Number(target?.settings.isDraining) === want,
  progress(snapshot, { want }) {
    const left = podsToGo(snapshot).length;
    const done =
      want === 0
        ? 'Nothing more is evicted; the Node stays cordoned.'
        : left === 0
          ? 'No Pod is left that has to go; the Node stays cordoned.'
          : null;
    return {
      done,
      mark: `${left}`,
      trouble: null,
      stalled: { reason: 'StillTerminating', message: `${podWords(left)} do not go away.`, settleMs: 0 },
      hasEvents: false,
    };
  },
  show(snapshot, note, kind) {
    const going = inOrder(podsToGo(snapshot), kind);
    const condition = plainCondition(snapshot);
    const isGoing = condition.state === 'ok' && snapshot.target?.settings.isDraining && going.length > 0;
    return {
      observed: going.length,
      ready: going.filter(({ light }) => light === 'ready').length,
      // Pods of several workloads may end in the same letters.
      lights: going.map(({ uid, light }) => [uid.slice(0, 16), light]),
      condition: isGoing ? (note ?? leftOn(going.length)) : condition,
    };
  },
  accompany: (order, snapshot, tools) =>
    order.want === 1
      ? evictAll(
          {
            actor: order.actor,
            going: () => podsToGo(snapshot()),
            isConfirmed: (pod) => order.arm.includes('loses') || !(hasData(pod) || isLone(pod)),
          },
          tools,
        )
      : idle,
};

const idle = { trouble: () => null, waitsFor: () => null };
