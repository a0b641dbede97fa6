/** Verbs that set one field and are done when the object has it: floor, ceiling, pause, suspend, cordon. */
import type { Fields } from '../../kube/read.ts';
import { verbRights } from '../../kube/rights.ts';
import { patches } from '../../kube/settings.ts';
import type { Settings, TargetSnapshot, TargetState } from '../../kube/types.ts';
import { endOf } from '../command.ts';
import { gitopsGuard } from '../guards.ts';
import type { Trouble } from '../trouble.ts';
import { patching } from './patch.ts';
import type { GuardNeed, Order, Shown, Verb } from './verb.ts';
import { plainCondition } from './workload.ts';

/** What tells one of these verbs from another. */
interface Setting extends Pick<Verb, 'name' | 'number' | 'refuse' | 'happened'> {
  readonly numberOf: (settings: Settings) => number | null;
  readonly patch: (order: Order) => Fields;
  /** Beside that of GitOps, which all of them have. */
  readonly guards: (snapshot: TargetSnapshot, want: number) => readonly GuardNeed[];
  /** The words of the end once the controllers have followed; null: they have not. */
  readonly done: (target: TargetState, want: number) => string | null;
  readonly lights: (snapshot: TargetSnapshot) => Pick<Shown, 'observed' | 'ready' | 'lights'>;
}

const nothing: Pick<Shown, 'observed' | 'ready' | 'lights'> = { observed: 0, ready: 0, lights: [] };

/** A controller that says why it does not do its work. */
function troubleOfConditions({ target }: TargetSnapshot): Trouble | null {
  const failed = target?.conditions.find(
    ({ type, status }) => (type === 'ScalingActive' || type === 'AbleToScale') && status === 'False',
  );
  return failed ? { reason: failed.reason, message: failed.message, settleMs: 20_000 } : null;
}

function setting(parts: Setting): Verb {
  const { name, number, happened, refuse } = parts;
  const numberOf = ({ target }: TargetSnapshot): number | null =>
    target === null ? null : parts.numberOf(target.settings);
  return {
    name,
    number,
    happened,
    refuse,
    rights: verbRights[name],
    patienceMs: 120_000,
    numberOf,
    guards: (snapshot, want) => [...parts.guards(snapshot, want), ...gitopsGuard(snapshot)],
    ...patching(parts),
    isInForce: (snapshot, { want }) => numberOf(snapshot) === want,
    progress(snapshot, { want }) {
      const { target } = snapshot;
      return {
        done: target === null ? null : parts.done(target, want),
        mark: `${target?.settings.counted}/${target?.observed}/${target?.ready}`,
        trouble: troubleOfConditions(snapshot),
        stalled: {
          reason: 'NotFollowedYet',
          message: 'It is set, but its controller has not done what it asks for.',
          settleMs: 0,
        },
        hasEvents: false,
      };
    },
    show: (snapshot) => ({ ...parts.lights(snapshot), condition: plainCondition(snapshot) }),
  };
}

const noGuards = (): readonly GuardNeed[] => [];
const isSeen = ({ generation, observedGeneration }: TargetState): boolean => observedGeneration >= generation;

/** The Pods that there are. */
const podLights = ({ pods }: TargetSnapshot): Pick<Shown, 'observed' | 'ready' | 'lights'> => ({
  observed: pods.length,
  ready: pods.filter(({ light }) => light === 'ready').length,
  lights: pods.map(({ key, light }) => [key.slice(0, 16), light]),
});

/** Pods that an autoscaler counts, as lights without names. */
function countedLights(snapshot: TargetSnapshot): Pick<Shown, 'observed' | 'ready' | 'lights'> {
  const { target, pods } = snapshot;
  if (pods.length > 0) return podLights(snapshot);
  const count = target?.settings.counted ?? 0;
  return {
    observed: count,
    ready: count,
    lights: Array.from({ length: Math.min(count, 512) }, (_, index) => [`${index}`, 'ready'] as const),
  };
}

const zeroGuard = (_: TargetSnapshot, want: number): readonly GuardNeed[] =>
  want === 0 ? [{ guard: 'zero', words: 'Zero replicas may take the service away.' }] : [];

export const floor = setting({
  name: 'floor',
  number: 'count',
  happened: {
    reason: 'Floor',
    done: 'FloorSet',
    words: (target, from, want) =>
      `set the least replicas of ${target}${from === null ? '' : ` from ${from}`} to ${want}`,
  },
  numberOf: ({ floor: least }) => least,
  patch: ({ ref, want }) => patches.floor(ref.kind, want),
  guards: zeroGuard,
  refuse: ({ target }, want) => {
    const most = target?.settings.ceiling ?? null;
    return most === null || want <= most
      ? null
      : endOf('denied', 'AboveCeiling', `${want} is above its most, ${most}.`);
  },
  done: ({ settings: { counted } }, want) =>
    counted === null || counted >= want ? `It keeps at least ${want} replicas.` : null,
  lights: countedLights,
});

export const ceiling = setting({
  name: 'ceiling',
  number: 'count',
  happened: {
    reason: 'Ceiling',
    done: 'CeilingSet',
    words: (target, from, want) =>
      `set the most replicas of ${target}${from === null ? '' : ` from ${from}`} to ${want}`,
  },
  numberOf: ({ ceiling: most }) => most,
  patch: ({ ref, want }) => patches.ceiling(ref.kind, want),
  guards: zeroGuard,
  refuse: ({ target }, want) => {
    const least = target?.settings.floor ?? null;
    return least === null || want >= least
      ? null
      : endOf('denied', 'BelowFloor', `${want} is below its least, ${least}.`);
  },
  done: ({ settings: { counted } }, want) =>
    counted === null || counted <= want ? `It makes at most ${want} replicas.` : null,
  lights: countedLights,
});

export const pause = setting({
  name: 'pause',
  number: 'switch',
  happened: {
    reason: 'Pause',
    done: 'Paused',
    words: (target, _, want) => `${want === 1 ? 'paused' : 'resumed'} ${target}`,
  },
  numberOf: ({ isPaused }) => Number(isPaused),
  patch: ({ ref, want }) => patches.pause(ref.kind, want === 1),
  guards: noGuards,
  refuse: () => null,
  done: (target, want) => (isSeen(target) ? (want === 1 ? 'It is paused.' : 'It goes on.') : null),
  lights: () => nothing,
});

export const suspend = setting({
  name: 'suspend',
  number: 'switch',
  happened: {
    reason: 'Suspend',
    done: 'Suspended',
    words: (target, _, want) => `${want === 1 ? 'suspended' : 'resumed'} ${target}`,
  },
  numberOf: ({ isSuspended }) => Number(isSuspended),
  patch: ({ want }) => patches.suspend(want === 1),
  // A CronJob only begins nothing new; the Pods of a Job are ended (Kubernetes documentation, "Suspending a Job").
  guards: ({ pods }, want) =>
    want === 1 && pods.some(({ light }) => light !== 'terminating')
      ? [{ guard: 'disrupts', words: `${pods.length} Pods of the Job are ended.` }]
      : [],
  refuse: () => null,
  done({ conditions }, want) {
    // Only Jobs say so; a CronJob has nothing to say.
    const said = conditions.find(({ type }) => type === 'Suspended');
    if (said !== undefined && (said.status === 'True') !== (want === 1)) return null;
    return want === 1 ? 'It is suspended.' : 'It goes on.';
  },
  lights: podLights,
});

export const cordon = setting({
  name: 'cordon',
  number: 'switch',
  happened: {
    reason: 'Cordon',
    done: 'Cordoned',
    words: (target, _, want) => `${want === 1 ? 'cordoned' : 'uncordoned'} ${target}`,
  },
  numberOf: ({ isCordoned }) => Number(isCordoned),
  patch: ({ want }) => patches.cordon(want === 1),
  guards: noGuards,
  refuse: () => null,
  done: (_, want) => (want === 1 ? 'It takes no new Pods; those on it stay.' : 'It takes Pods again.'),
  lights: () => nothing,
});
