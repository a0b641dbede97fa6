/** Asks the Pods of a Node to go, one after another, and again those whose budget does not allow it yet. */
import { type Actor, KubeError, type PodState } from '../../kube/types.ts';
import { cut } from '../command.ts';
import { graceMs } from '../set-number.ts';
import { sleep, withLimit } from '../timers.ts';
import type { Trouble } from '../trouble.ts';
import type { Company, CompanyTools } from './verb.ts';

/** So long after the end of a round the next one begins, as kubectl waits after a refusal by a budget. */
export const roundMs = 5000;
/** The watch of Pods has this long to show those that were bound while the Node was being cordoned. */
const gatherMs = 1000;
/** One answer is waited for no longer than this. */
const askMs = 10_000;

/** Why a Pod is still there. */
interface Held {
  readonly trouble: Trouble;
  /** Asking again would bring the same answer. */
  readonly isFinal: boolean;
}

export interface Eviction {
  readonly actor: Actor;
  /** The Pods that are still on the Node and have to go. */
  going(): readonly PodState[];
  /** Whether the operator has confirmed what its end would lose. */
  isConfirmed(pod: PodState): boolean;
}

const placeOf = ({ name, eviction }: PodState): string => `Pod ${eviction?.namespace}/${name}`;

/** Pods that come later bear with the cordon: asked to go, they would come back for ever. kubectl leaves them, too. */
const newcomer = (pod: PodState): Held => ({
  isFinal: true,
  trouble: {
    reason: 'CameLater',
    message: `${placeOf(pod)} has come to the Node after the drain began, and is left there.`,
    settleMs: 3000,
  },
});

const unconfirmed = (pod: PodState): Held => ({
  isFinal: true,
  trouble: {
    reason: 'NotConfirmed',
    message: `${placeOf(pod)} would lose data or not come back, and came too late to ask. Ask for 0 and 1 again.`,
    settleMs: 0,
  },
});

/** What the refusal of an eviction means. */
function heldBy(error: unknown, pod: PodState, { user }: Actor): Held {
  const status = error instanceof KubeError ? error.status : 0;
  const words = cut(error instanceof Error ? error.message : String(error), 300);
  const because = (reason: string, message: string, isFinal: boolean): Held => ({
    isFinal,
    trouble: { reason, message, settleMs: 0 },
  });
  // Nothing can be done in a namespace that is being deleted, and nothing has to: its Pods go by themselves.
  if (status === 403 && !/is being terminated/.test(words))
    return /cannot (?:create|impersonate) resource/.test(words)
      ? because(
          'Forbidden',
          `${user} may not evict ${placeOf(pod)}: it needs create on pods/eviction there. ${words}`,
          true,
        )
      : because('AdmissionDenied', `A policy of the cluster keeps ${placeOf(pod)}. ${words}`, true);
  // Two budgets for one Pod are answered with 500 (recorded from Kubernetes 1.36).
  const reason = /disruption ?budget/i.test(words) ? 'DisruptionBudget' : 'EvictionRefused';
  return because(reason, `${placeOf(pod)}: ${words}`, false);
}

/** Runs until the command has its end. */
export function evictAll({ actor, going, isConfirmed }: Eviction, tools: CompanyTools): Company {
  const { cluster, clock, timers, log, signal, changed } = tools;
  /** Uids of the Pods that were there when it began. */
  let own: ReadonlySet<string> | null = null;
  const asked = new Set<string>();
  const refused = new Map<string, Held>();

  const heldOf = (pod: PodState): Held | null => {
    if (own === null || pod.reason === 'Terminating' || asked.has(pod.uid)) return null;
    if (!own.has(pod.uid)) return newcomer(pod);
    return isConfirmed(pod) ? (refused.get(pod.uid) ?? null) : unconfirmed(pod);
  };
  const ask = async (pod: PodState): Promise<void> => {
    const { uid, name, eviction } = pod;
    // What is under way when another gateway may take over must not arrive much later.
    const limitMs = Math.min(askMs, tools.mayActUntil() - clock.monotonic() + graceMs);
    try {
      await withLimit(timers, limitMs, signal, (limited) =>
        cluster.evict({ uid, name, namespace: eviction?.namespace ?? '' }, actor, limited),
      );
      asked.add(uid);
    } catch (error) {
      if (signal.aborted) return;
      log.debug({ err: error, pod: name }, 'Pod cannot be evicted now');
      refused.delete(uid);
      // Gone, or another Pod of its name: the watch will tell.
      const isOther = error instanceof KubeError && (error.status === 404 || error.status === 409);
      if (!isOther) refused.set(uid, heldBy(error, pod, actor));
    }
  };
  /** Nothing more can be done: all that are left are held for good. */
  const trouble = (): Trouble | null => {
    const left = going().map(heldOf);
    return left.every((held) => held?.isFinal === true) ? (left[0]?.trouble ?? null) : null;
  };
  const waitsFor = (): Trouble | null => {
    const held = going().flatMap((pod) => heldOf(pod) ?? []);
    const first = held.find(({ isFinal }) => !isFinal) ?? held[0];
    if (first === undefined) return null;
    return { ...first.trouble, message: `${held.length} Pods may not go yet. ${first.trouble.message}` };
  };
  const run = async (): Promise<void> => {
    await sleep(timers, gatherMs, signal);
    own = new Set(going().map(({ uid }) => uid));
    while (!signal.aborted) {
      for (const pod of going()) {
        // Who may not act now may again later, if nobody else has taken over.
        if (signal.aborted || clock.monotonic() >= tools.mayActUntil()) break;
        const isLeft = pod.reason === 'Terminating' || asked.has(pod.uid) || heldOf(pod)?.isFinal === true;
        if (!isLeft) await ask(pod);
      }
      // Its end has said the last word on displays.
      if (signal.aborted) return;
      changed(waitsFor());
      await sleep(timers, roundMs, signal);
    }
  };
  run().catch((error: unknown) => log.error({ err: error }, 'evicting failed by a defect'));

  return { trouble, waitsFor };
}
