/**
 * What becomes of an accepted number: looks at snapshots until the target is there, is stuck, or is set back.
 * No I/O and no timers: the caller shows it snapshots and asks again when told to.
 */
import type { TargetSnapshot, WarningEvent } from '../kube/types.ts';
import { type End, endOf } from './command.ts';
import { isOwned } from './guards.ts';
import { type Trouble, troubleOfEvents } from './trouble.ts';
import { type Company, numberAfter, type Order, type Progress, type Verb } from './verbs/verb.ts';

/** Times of following, milliseconds. */
export const followTimes = {
  /**
   * Where an autoscaler or GitOps tool owns the number, it must hold this long to count: the autoscaler's
   * controller looks every 15 s, Argo CD's self-heal every 5 s.
   */
  ownerHoldMs: 20_000,
  /** So long the watch may be behind an accepted write. */
  unseenMs: 120_000,
  /** Nothing is followed longer than this. */
  longestMs: 900_000,
  /** Without progress for so long, the events are asked. */
  askEventsAfterMs: 3000,
} as const;

/** Who changed the number, with code and words for the end. */
export interface Changer {
  readonly code: string;
  readonly words: string;
}

export type Verdict =
  | { readonly type: 'end'; readonly end: End }
  /** The number is another one; the caller finds out who changed it. */
  | { readonly type: 'changed'; readonly now: number }
  /** Look again after `inMs` unless a change comes first; `asksEvents`: the events may tell what the status does not. */
  | { readonly type: 'wait'; readonly inMs: number; readonly asksEvents: boolean };

export interface FollowFacts {
  readonly verb: Verb;
  readonly order: Order;
  readonly uid: string;
  /** resourceVersion that the PUT returned: what is older than it does not know the number yet. */
  readonly resourceVersion: string;
  /** Monotonic milliseconds. */
  readonly acceptedAt: number;
  /** Work that goes along with it; null: none. */
  readonly company: Company | null;
}

/** Follows one accepted number. */
export class Follower {
  readonly #facts: FollowFacts;
  #hasSeen = false;
  #progress = '';
  #progressAt: number;
  /** Since when something has been wrong without a break; what it is may change, as between two crashes. */
  #troubleSince: number | null = null;
  #events: readonly WarningEvent[] = [];
  #eventsSince = 0;

  constructor(facts: FollowFacts) {
    this.#facts = facts;
    this.#progressAt = facts.acceptedAt;
  }

  /**
   * Takes warning events into account from the next look on.
   * @param since Unix milliseconds: older events are about something else
   */
  learn(events: readonly WarningEvent[], since: number): void {
    this.#events = events;
    this.#eventsSince = since;
  }

  /** Judges a snapshot; `now` is monotonic milliseconds. */
  look(snapshot: TargetSnapshot, now: number): Verdict {
    const { verb, order, uid, acceptedAt } = this.#facts;
    const { want } = order;
    const { target, problem } = snapshot;
    const number = verb.numberOf(snapshot);
    const lastsMs = now - acceptedAt;
    if (!target && problem?.state === 'missing')
      return ended('reverted', 'TargetDeleted', 'The target was deleted.', null);
    if (!target || problem?.state === 'unreachable') {
      if (lastsMs >= followTimes.longestMs)
        return ended(
          'expired',
          'NotFollowed',
          `It was accepted, but nothing is seen of it. ${problem?.message ?? ''}`,
          null,
        );
      this.#progressAt = now;
      return { type: 'wait', inMs: followTimes.longestMs - lastsMs, asksEvents: false };
    }
    if (target.uid !== uid)
      return ended('reverted', 'Replaced', 'The target was deleted and made anew.', number);
    if (target.isDeleting) return ended('reverted', 'TargetDeleted', 'The target is being deleted.', number);
    this.#hasSeen ||=
      isAtLeast(target.resourceVersion, this.#facts.resourceVersion) ?? verb.isInForce(snapshot, order);
    if (!this.#hasSeen) {
      const leftMs = acceptedAt + followTimes.unseenMs - now;
      if (leftMs > 0) return { type: 'wait', inMs: leftMs, asksEvents: false };
      return ended('expired', 'NotFollowed', 'It was accepted, but nothing is seen of it.', null);
    }
    if (!verb.isInForce(snapshot, order)) return { type: 'changed', now: number ?? 0 };

    const progress = verb.progress(snapshot, order);
    if (progress.done === null) return this.#stuck(progress, now);
    const holdMs = isOwned(verb.guards(snapshot, want, want)) ? followTimes.ownerHoldMs - lastsMs : 0;
    if (holdMs > 0) return { type: 'wait', inMs: holdMs, asksEvents: false };
    return ended('converged', '', progress.done, numberAfter(verb, want));
  }

  #stuck(progress: Progress, now: number): Verdict {
    const { verb, order, company } = this.#facts;
    const number = numberAfter(verb, order.want);
    if (progress.mark !== this.#progress) {
      this.#progress = progress.mark;
      this.#progressAt = now;
    }
    const eventTrouble = progress.hasEvents ? troubleOfEvents(this.#events, this.#eventsSince) : null;
    const trouble = progress.trouble ?? company?.trouble() ?? eventTrouble;
    this.#troubleSince = trouble ? (this.#troubleSince ?? now) : null;
    if (trouble && this.#troubleSince !== null) {
      const leftMs = this.#troubleSince + trouble.settleMs - now;
      if (leftMs <= 0) return blocked(trouble, number);
      return { type: 'wait', inMs: leftMs, asksEvents: false };
    }
    const quietMs = now - this.#progressAt;
    const leftMs = this.#leftMs(now);
    if (leftMs <= 0) return blocked(company?.waitsFor() ?? this.#explained(progress.stalled), number);
    if (!progress.hasEvents) return { type: 'wait', inMs: leftMs, asksEvents: false };
    if (quietMs < followTimes.askEventsAfterMs)
      return { type: 'wait', inMs: followTimes.askEventsAfterMs - quietMs, asksEvents: false };
    return { type: 'wait', inMs: Math.min(leftMs, 5 * followTimes.askEventsAfterMs), asksEvents: true };
  }

  #leftMs(now: number): number {
    return Math.min(
      this.#progressAt + this.#facts.verb.patienceMs - now,
      this.#facts.acceptedAt + followTimes.longestMs - now,
    );
  }

  /** With the newest warning, which is the likeliest reason. */
  #explained(stalled: Trouble): Trouble {
    const newest = this.#events.find(({ at }) => at >= this.#eventsSince);
    if (!newest) return stalled;
    return { ...stalled, message: `${stalled.message} ${newest.reason}: ${newest.message}` };
  }
}

/**
 * Whether a version of an object is another one or came after it: resourceVersions of one object are decimal
 * numbers that grow (Kubernetes API concepts, "resource versions"). Null when they are not such numbers.
 */
export function isAtLeast(version: string, other: string): boolean | null {
  if (!/^\d{1,40}$/.test(version) || !/^\d{1,40}$/.test(other)) return null;
  return BigInt(version) >= BigInt(other);
}

const ended = (phase: End['phase'], code: string, detail: string, now: number | null): Verdict => ({
  type: 'end',
  end: endOf(phase, code, detail, now),
});

const blocked = (trouble: Trouble, now: number): Verdict =>
  ended('blocked', trouble.reason, trouble.message, now);

/** Field managers by which controllers that own numbers write. */
const autoscalerManagers = /kube-controller-manager|horizontal|autoscal|keda/i;

/** Field managers of Argo CD (`argocd-controller`) and Flux (`kustomize-controller`, `helm-controller`, `flux`). */
const gitopsManagers = /argocd|kustomize-controller|helm-controller|^flux/i;

/** Names who set the number, from the field manager and what is known to own the target. */
export function changerOf(
  manager: { readonly name: string; readonly subresource: string } | null,
  snapshot: TargetSnapshot,
  fieldManager: string,
): Changer {
  const { autoscaler } = snapshot;
  if (autoscaler && (!manager || autoscalerManagers.test(manager.name)))
    return { code: 'ByAutoscaler', words: `${spoken(autoscaler.kind)} ${autoscaler.name}` };
  if (!manager) return { code: 'ByOther', words: 'something that left no name' };
  if (manager.name === fieldManager) return { code: 'ByOtherSurface', words: 'another control surface' };
  if (gitopsManagers.test(manager.name)) return { code: 'ByGitOps', words: manager.name };
  return { code: 'ByOther', words: manager.name };
}

/** `HorizontalPodAutoscaler` as `horizontal-pod-autoscaler`. */
const spoken = (kind: string): string => kind.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
