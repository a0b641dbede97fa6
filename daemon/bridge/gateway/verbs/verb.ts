/**
 * A verb: what a binding does with its target, as one row of the table. The pipeline (commands.ts) is the same for all of
 * them: freshness, guards, impersonation, at most one write, exactly one end.
 */

import type { Clock } from '../../../clock.ts';
import type { TargetRef } from '../../../config/schema.ts';
import type { NumberKind, VerbName } from '../../../config/verbs.ts';
import type { Log } from '../../../log.ts';
import type { Guard, PodLight, SlotCondition } from '../../../surface/types.ts';
import type { VerbRights } from '../../kube/rights.ts';
import type { Actor, Cluster, Numbered, TargetSnapshot } from '../../kube/types.ts';
import type { End } from '../command.ts';
import type { Timers } from '../timers.ts';
import type { Trouble } from '../trouble.ts';

/** A guard that applies, with one sentence that says why. */
export interface GuardNeed {
  readonly guard: Guard;
  readonly words: string;
}

/** One command for one object. */
export interface Order {
  /** The object that is written. */
  readonly ref: TargetRef;
  readonly actor: Actor;
  readonly want: number;
  /** What the operator has confirmed. */
  readonly arm: readonly Guard[];
  /** Id of the command. */
  readonly id: string;
  /** When it was asked for, Unix milliseconds. */
  readonly issuedAt: number;
}

/** How far the target has come on the way to the number. */
export interface Progress {
  /** The words of the end when it is there; null: it is not. */
  readonly done: string | null;
  /** Differs whenever something has moved on. */
  readonly mark: string;
  /** What holds it up. */
  readonly trouble: Trouble | null;
  /** What is said when it has stopped and nothing tells why. */
  readonly stalled: Trouble;
  /** Warning events of the target may tell why it does not go on. */
  readonly hasEvents: boolean;
}

/** Why the last command for a target ended as blocked, or what it waits for, where its status does not tell. */
export interface BlockedNote {
  readonly state: 'blocked' | 'progressing';
  readonly desired: number;
  /** Pods that were ready then; when more are, it goes on and the reason is of the past. */
  readonly ready: number;
  readonly reason: string;
  readonly message: string;
}

/** What displays show of the target. */
export interface Shown {
  readonly observed: number;
  readonly ready: number;
  /** In the order of their places. */
  readonly lights: readonly (readonly [key: string, light: PodLight])[];
  readonly condition: SlotCondition;
}

/** How the end of an accepted command is told as an Event. */
export interface Happened {
  /** CamelCase, as in `ScaleRefused`. */
  readonly reason: string;
  /** CamelCase, as in `ScaledBySurface`. */
  readonly done: string;
  /** What it did, in words that follow the name of the surface. */
  words(target: string, from: number | null, want: number | null): string;
}

export interface Verb {
  readonly name: VerbName;
  readonly number: NumberKind;
  readonly rights: VerbRights;
  readonly happened: Happened;
  /** No progress for so long counts as stuck, milliseconds. */
  readonly patienceMs: number;
  /** The number in force as the watch has it; null: not known. */
  numberOf(snapshot: TargetSnapshot): number | null;
  /** Everything that must be armed for setting the number from `current` to `want`. */
  guards(snapshot: TargetSnapshot, want: number, current: number): readonly GuardNeed[];
  /** What the target itself does not allow; null: nothing. */
  refuse(snapshot: TargetSnapshot, want: number): End | null;
  /** The number now, with the rights of the surface. @throws KubeError */
  read(cluster: Cluster, order: Order, signal: AbortSignal): Promise<Numbered>;
  /** One write, fenced by what was read. @throws KubeError */
  write(
    cluster: Cluster,
    order: Order,
    read: Numbered,
    isDryRun: boolean,
    signal: AbortSignal,
  ): Promise<Numbered>;
  /** Whether what the order asked for still stands. */
  isInForce(snapshot: TargetSnapshot, order: Order): boolean;
  progress(snapshot: TargetSnapshot, order: Order): Progress;
  /** @param kind of the target */
  show(snapshot: TargetSnapshot, note: BlockedNote | null, kind: string): Shown;
  /** What is done after the write, for as long as the command has no end; left out: nothing. */
  accompany?(order: Order, snapshot: () => TargetSnapshot, tools: CompanyTools): Company;
}

/** Work that goes along with an accepted command. */
export interface Company {
  /** What has stopped it for good. */
  trouble(): Trouble | null;
  /** What it waits for, and goes on when that has come. */
  waitsFor(): Trouble | null;
}

export interface CompanyTools {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** Monotonic milliseconds after which nothing may be started, asked each time. */
  readonly mayActUntil: () => number;
  /** Ends with the command. */
  readonly signal: AbortSignal;
  /** Something is to be looked at again; the words are for displays while it goes on, null: none. */
  readonly changed: (waitsFor: Trouble | null) => void;
}

/** The number that is in force once a command has taken effect: a momentary verb goes back to 0 by itself. */
export const numberAfter = ({ number }: Pick<Verb, 'number'>, want: number): number =>
  number === 'momentary' ? 0 : want;
