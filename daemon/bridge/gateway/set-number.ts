/**
 * Setting the number of any verb: read, compare with what the operator saw, write with the resourceVersion that was read, as
 * kubectl does with a precondition. At most once: after a write without an answer nothing is sent before a look
 * (reference: kubectl pkg/scale; Kubernetes API concepts, "resource versions").
 */
import type { Clock } from '../../clock.ts';
import { type Cluster, KubeError, type Numbered } from '../kube/types.ts';
import { type End, endOf } from './command.ts';
import { refusalOf } from './refusals.ts';
import { sleep, type Timers, withLimit } from './timers.ts';
import type { Order, Verb } from './verbs/verb.ts';

export interface NumberRequest {
  readonly verb: Verb;
  readonly order: Order;
  /** The number that the operator saw; anything else found means that they must look again. */
  readonly saw: number;
  /** uid of the object whose state the operator was shown. */
  readonly uid: string;
  readonly isDryRun: boolean;
  /** Monotonic milliseconds after which no PUT is started. */
  readonly deadlineAt: number;
  /** Looks once more, right before a PUT, whether the command may still act. */
  readonly refuse: (read: Numbered) => End | null;
  /** Fires when the command has ended for another reason. */
  readonly signal: AbortSignal;
}

export interface NumberTools {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
}

export type NumberOutcome = { readonly written: Numbered } | { readonly end: End };

/** 409 is answered this often before the command gives up. */
const maxConflicts = 3;
/** So long after the deadline a PUT under way may still get its answer, and a look after it may find out what it did. */
export const graceMs = 1500;
const firstBackOffMs = 100;
const defaultRetryAfterMs = 1000;

/** Carries out one request to its end. Never throws. */
export async function setNumber(request: NumberRequest, tools: NumberTools): Promise<NumberOutcome> {
  const { cluster, clock, timers, random } = tools;
  const { verb, order, saw, isDryRun, signal } = request;
  /** A PUT was sent and its answer did not come: it may have been carried out. */
  let mayHaveActed = false;
  /** Of the object that it was made for. */
  let sentFor = '';
  let conflicts = 0;
  let failures = 0;
  let lastFailure = 'No answer yet.';

  const remainingMs = (): number => request.deadlineAt - clock.monotonic();
  const limitMs = (): number => remainingMs() + (mayHaveActed ? 2 * graceMs : 0);
  const jitter = (delayMs: number): number => delayMs * (0.5 + random());
  const tooLate = (): End =>
    mayHaveActed
      ? endOf('expired', 'AnswerLost', `Whether it was done is not known. ${lastFailure}`)
      : endOf('expired', 'ApiUnavailable', `The API server did not answer in time. ${lastFailure}`);
  /** The number is neither what was seen nor, after a PUT without an answer, what was wanted. */
  const changed = (now: number): End =>
    mayHaveActed
      ? endOf('expired', 'AnswerLost', `Whether it was done is not known; it is ${now} now.`, now)
      : endOf('stale', 'NumberChanged', `It is ${now} now, not ${saw} any more.`, now);
  /** Waits and says whether there is still time for another try. */
  const wait = async (delayMs: number): Promise<boolean> => {
    if (delayMs >= limitMs()) return false;
    await sleep(timers, delayMs, signal);
    return !signal.aborted;
  };
  /** What a failed call means: an end, or null for another round after the wait. */
  const failed = async (error: unknown): Promise<End | null> => {
    const kube = kubeErrorOf(error);
    lastFailure = kube.message;
    if (kube.status === 429) {
      if (await wait(kube.retryAfterMs ?? defaultRetryAfterMs)) return null;
      if (mayHaveActed) return tooLate();
      return endOf('denied', 'Overloaded', `The API server has too much to do. ${kube.message}`);
    }
    if (kube.status !== 0 && kube.status < 500)
      return mayHaveActed ? tooLate() : refusalOf(kube, order, verb);
    const delayMs = kube.retryAfterMs ?? jitter(firstBackOffMs * 2 ** Math.min(failures++, 5));
    return (await wait(delayMs)) ? null : tooLate();
  };

  for (;;) {
    if (signal.aborted || limitMs() <= 0) return { end: tooLate() };
    let read: Numbered;
    try {
      read = await withLimit(timers, limitMs(), signal, (limited) => verb.read(cluster, order, limited));
    } catch (error) {
      const end = await failed(error);
      if (end) return { end };
      continue;
    }
    if (request.uid !== read.uid)
      return { end: endOf('stale', 'Replaced', 'The target was deleted and made anew.', read.replicas) };
    if (mayHaveActed && read.replicas === order.want) return { written: read };
    if (read.replicas !== saw) return { end: changed(read.replicas) };
    // What is momentary leaves no number that tells: it may have been done, and something else after it.
    if (mayHaveActed && verb.number === 'momentary' && read.resourceVersion !== sentFor)
      return { end: tooLate() };
    const end = request.refuse(read);
    if (end) return { end };
    if (signal.aborted || remainingMs() <= 0) return { end: tooLate() };
    sentFor = read.resourceVersion;
    try {
      return {
        written: await withLimit(timers, remainingMs() + graceMs, signal, (limited) =>
          verb.write(cluster, order, read, isDryRun, limited),
        ),
      };
    } catch (error) {
      const kube = kubeErrorOf(error);
      if (kube.status === 409) {
        // Something else wrote between GET and PUT; mostly the controller's status update, so look again.
        lastFailure = kube.message;
        if (++conflicts > maxConflicts)
          return {
            end: endOf('stale', 'Conflict', 'Something else keeps changing the target.', read.replicas),
          };
        if (!(await wait(jitter(conflicts * 20)))) return { end: tooLate() };
        continue;
      }
      mayHaveActed ||= !isDryRun && kube.isUncertain;
      const failure = await failed(kube);
      if (failure) return { end: failure };
    }
  }
}

/** An error that is not the cluster's own kind has no answer behind it: nothing is known of what it did. */
function kubeErrorOf(error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KubeError(
    message,
    { status: 0, reason: 'Unreachable', retryAfterMs: null, isUncertain: true },
    { cause: error },
  );
}
