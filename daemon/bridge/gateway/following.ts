/** Follows accepted commands to their end: feeds the follower with snapshots and names who set a number back. */
import type { Clock } from '../../clock.ts';
import type { BindingConfig } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import type { Cluster, Numbered, TargetSnapshot, TargetWatch } from '../kube/types.ts';
import { type Command, endOf } from './command.ts';
import { type Changer, changerOf, Follower } from './follow.ts';
import { type Timers, withLimit } from './timers.ts';
import { actingOn } from './verbs/table.ts';
import type { BlockedNote, Order, Verb } from './verbs/verb.ts';

export interface FollowTools {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly fieldManager: string;
  /** Shows on all displays of the binding what it waits for; null: nothing any more. */
  readonly note: (binding: BindingConfig, note: Omit<BlockedNote, 'ready'> | null) => void;
}

/** What was accepted. */
export interface Accepted {
  readonly verb: Verb;
  readonly order: Order;
  readonly written: Numbered;
  readonly binding: BindingConfig;
  /** Monotonic milliseconds after which nothing may be started for it, asked each time. */
  readonly mayActUntil: () => number;
}

/** Changes come in bursts; one look serves those of so many milliseconds. */
const burstMs = 20;
const askLimitMs = 3000;
/** Events carry whole seconds, by the API server's clock. */
const eventSlackMs = 3000;
const betweenAsksMs = 5000;

/**
 * Follows one accepted command until it ends, by this or by anything else.
 * @param setBy names a command of this gateway that set the number, if one did
 */
export function follow(
  command: Command,
  { verb, order, written, binding, mayActUntil }: Accepted,
  setBy: (now: number) => Changer | null,
  tools: FollowTools,
): void {
  const { cluster, clock, timers, log, note } = tools;
  const ref = binding.target;
  const eventsSince = clock.now() - eventSlackMs;
  let cancelLook: (() => void) | null = null;
  let lookAt = Number.POSITIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let isNaming = false;

  const lookIn = (delayMs: number): void => {
    const at = clock.monotonic() + delayMs;
    if (command.signal.aborted || at >= lookAt) return;
    cancelLook?.();
    lookAt = at;
    cancelLook = timers.after(delayMs, look);
  };
  const watch: TargetWatch = cluster.watchTarget(ref, () => lookIn(burstMs), binding.show);
  const seen = (): TargetSnapshot => {
    const now = actingOn(binding, watch.snapshot());
    // While the autoscaler that was written is not seen, nor is anything of it.
    return now.verb === verb ? now.snapshot : { ...now.snapshot, target: null };
  };
  const company =
    verb.accompany?.(order, seen, {
      ...{ cluster, clock, timers, log, mayActUntil },
      signal: command.signal,
      changed: (waitsFor) => {
        const said = waitsFor && { reason: waitsFor.reason, message: waitsFor.message };
        note(binding, said && { ...said, state: 'progressing', desired: order.want });
        lookIn(burstMs);
      },
    }) ?? null;
  const { uid, resourceVersion } = written;
  const facts = { verb, order, uid, resourceVersion, acceptedAt: clock.monotonic(), company };
  const follower = new Follower(facts);
  command.signal.addEventListener('abort', () => {
    cancelLook?.();
    watch.close();
  });

  function look(): void {
    cancelLook = null;
    lookAt = Number.POSITIVE_INFINITY;
    const verdict = follower.look(seen(), clock.monotonic());
    switch (verdict.type) {
      case 'end':
        command.end(verdict.end);
        return;
      case 'changed':
        void nameChanger(verdict.now);
        return;
      case 'wait':
        lookIn(Math.max(verdict.inMs, burstMs));
        if (verdict.asksEvents) void askEvents();
    }
  }

  /** The watch says who set the number; where it does not, the API server is asked once. */
  async function nameChanger(now: number): Promise<void> {
    if (isNaming) return;
    isNaming = true;
    const snapshot = watch.snapshot();
    let changer = setBy(now);
    if (!changer) {
      const known = verb.name === 'scale' ? (snapshot.target?.replicasManager ?? null) : null;
      const manager =
        known ??
        (verb.name === 'scale' ? await ask((signal) => cluster.replicasManager(ref, signal)) : null) ??
        null;
      // An autoscaler sets replicas and nothing else.
      const suspects = verb.name === 'scale' ? snapshot : { ...snapshot, autoscaler: null };
      changer = changerOf(manager, suspects, tools.fieldManager);
    }
    command.end(endOf('reverted', changer.code, `Set to ${now} by ${changer.words}.`, now));
  }

  async function askEvents(): Promise<void> {
    if (clock.monotonic() - askedAt < betweenAsksMs) return;
    askedAt = clock.monotonic();
    const events = await ask((signal) => cluster.warnings(ref, signal));
    if (!events) return;
    follower.learn(events, eventsSince);
    lookIn(burstMs);
  }

  /** Asks what only helps to name a reason; without an answer the command ends with fewer words. */
  async function ask<T>(question: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    try {
      return await withLimit(timers, askLimitMs, command.signal, question);
    } catch (error) {
      log.debug({ err: error, ...command.logFields }, 'reason could not be asked for');
      return null;
    }
  }

  look();
}
