/** `restart`: every Pod of a workload anew, as `kubectl rollout restart` does it. */
import { verbRights } from '../../kube/rights.ts';
import { patches } from '../../kube/settings.ts';
import { endOf } from '../command.ts';
import { gitopsGuard } from '../guards.ts';
import { type Trouble, troubleOf } from '../trouble.ts';
import { patching } from './patch.ts';
import type { Order, Verb } from './verb.ts';
import { isSettled, leaving, podMark, showWorkload, stalledPods } from './workload.ts';

/** A time, as kubectl writes it, that no other command has: whether it was done can be seen from it. */
export const stampOf = ({ issuedAt, id }: Pick<Order, 'issuedAt' | 'id'>): string => {
  // Two commands of one millisecond would look the same: the fraction goes on with the count in the id.
  const sequence = id
    .slice(id.lastIndexOf('-') + 1)
    .padStart(6, '0')
    .slice(-6);
  return new Date(issuedAt).toISOString().replace('Z', `${sequence}Z`);
};

/** It was paused after the restart was asked for. */
const paused: Trouble = {
  reason: 'Paused',
  message: 'The rollout is paused: no Pod is replaced.',
  settleMs: 3000,
};

export const restart: Verb = {
  name: 'restart',
  number: 'momentary',
  rights: verbRights.restart,
  happened: { reason: 'Restart', done: 'Restarted', words: (target) => `restarted ${target}` },
  patienceMs: 120_000,
  numberOf: ({ target }) => (target === null ? null : 0),
  guards: (snapshot, want) =>
    want === 0
      ? []
      : [
          {
            guard: 'disrupts',
            words: `All ${snapshot.target?.desired ?? 0} Pods are replaced, as fast as its rollout allows.`,
          },
          ...gitopsGuard(snapshot),
        ],
  refuse: ({ target }, want) =>
    want === 1 && target?.settings.isPaused
      ? endOf('denied', 'Paused', 'Its rollout is paused, so nothing would begin; resume it first.')
      : null,
  ...patching({
    numberOf: ({ restartedAt }, order) => Number(restartedAt === stampOf(order)),
    patch: (order) => patches.restart(stampOf(order)),
  }),
  isInForce: ({ target }, order) => target?.settings.restartedAt === stampOf(order),
  progress(snapshot) {
    const { target } = snapshot;
    const isNew = target !== null && target.settings.updated === target.desired;
    const isThere = isNew && isSettled(snapshot) && leaving(snapshot) === 0;
    return {
      done: isThere ? `All ${target.desired} Pods are new and ready.` : null,
      mark: podMark(snapshot),
      trouble: target?.settings.isPaused ? paused : troubleOf(snapshot),
      stalled: stalledPods(snapshot, target?.desired ?? 0),
      hasEvents: true,
    };
  },
  show: showWorkload,
};
