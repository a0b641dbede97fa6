/** Asks the Pods of a Node to go, one after another, and again those whose budget does not allow it yet. */
import { type Actor, KubeError, type PodState } from '../../kube/types.ts';
import { cut } from '../command.ts';
import { sleep } from '../timers.ts';
import type { Trouble } from '../trouble.ts';
import type { Company, CompanyTools } from './verb.ts';

/** So long after the end of a round the next one begins, as kubectl waits after a refusal by a budget. */
export const roundMs = 5000;

/**
 * Runs until the command has its end.
 * @param going the Pods that are still on the Node and have to go
 */
export function evictAll(actor: Actor, going: () => readonly PodState[], tools: CompanyTools): Company {
  const { cluster, clock, timers, log, signal, changed } = tools;
  const asked = new Set<string>();
  /** Why each Pod that was refused may not go yet, by uid. */
  const waiting = new Map<string, string>();
  let refusal: Trouble | null = null;

  const ask = async ({ uid, name, eviction }: PodState): Promise<void> => {
    try {
      await cluster.evict({ uid, name, namespace: eviction?.namespace ?? '' }, actor, signal);
      asked.add(uid);
      waiting.delete(uid);
    } catch (error) {
      if (signal.aborted) return;
      const status = error instanceof KubeError ? error.status : 0;
      const words = cut(error instanceof Error ? error.message : String(error), 300);
      // Gone, or another Pod of its name: the watch will tell.
      if (status === 404 || status === 409) asked.add(uid);
      else if (status === 401 || status === 403)
        refusal = {
          reason: 'Forbidden',
          message: `${actor.user} may not evict Pod ${eviction?.namespace}/${name}: it needs create on pods/eviction there. ${words}`,
          settleMs: 0,
        };
      else waiting.set(uid, `Pod ${name}: ${words}`);
      log.debug({ err: error, pod: name }, 'Pod cannot be evicted now');
    }
  };
  const waitsFor = (): Trouble | null => {
    const held = going().flatMap(({ uid }) => waiting.get(uid) ?? []);
    if (held[0] === undefined) return null;
    const message = `${held.length} Pods may not go yet. ${held[0]}`;
    return { reason: 'DisruptionBudget', message, settleMs: 0 };
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted && refusal === null) {
      for (const pod of going()) {
        if (signal.aborted || clock.monotonic() >= tools.mayActUntil()) return;
        if (pod.reason === 'Terminating' || asked.has(pod.uid)) continue;
        await ask(pod);
        if (refusal !== null) break;
      }
      changed(waitsFor());
      await sleep(timers, roundMs, signal);
    }
  };
  run().catch((error: unknown) => log.error({ err: error }, 'evicting failed by a defect'));

  return { trouble: () => refusal, waitsFor };
}
