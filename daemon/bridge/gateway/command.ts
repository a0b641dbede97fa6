/**
 * The life of one command. Its stages are a table, so that a second end cannot happen: the first end wins
 * and every later one is told that it came too late.
 */
import type { BindingConfig } from '../../config/schema.ts';
import type { VerbName } from '../../config/verbs.ts';
import type { AckPhase, Guard } from '../../surface/types.ts';
import type { AckMessage, CommandMessage } from '../wire/messages.ts';
import { wireVersion } from '../wire/topics.ts';

export type EndPhase = Exclude<AckPhase, 'received' | 'accepted'>;

/** How a command ends. */
export interface End {
  readonly phase: EndPhase;
  /** CamelCase word that says which rule or reason; docs/bind.md lists them. */
  readonly code: string;
  /** One sentence for people. */
  readonly detail: string;
  /** spec.replicas now, null when not known. */
  readonly now: number | null;
  readonly guards: readonly Guard[];
}

/** An end without guards, which is every end but `needs-arm`. */
export const endOf = (phase: EndPhase, code: string, detail: string, now: number | null = null): End => ({
  phase,
  code,
  detail,
  now,
  guards: [],
});

/** What became of a command, for the log and the audit trail. Fields of a message that was not readable are null. */
export interface CommandRecord {
  readonly surface: string;
  readonly id: string;
  readonly slot: number | null;
  readonly target: BindingConfig['target'] | null;
  /** What was asked of it; a binding that moves the floor of an autoscaler instead of the number has `floor` here. */
  readonly verb: VerbName | null;
  readonly want: number | null;
  readonly saw: number | null;
  readonly arm: readonly Guard[];
  readonly issuedAt: number | null;
  /** Gateway time, Unix milliseconds. */
  readonly receivedAt: number;
  readonly endedAt: number;
  /** Kubernetes user that the gateway acted as, or would have. */
  readonly user: string;
  readonly wasAccepted: boolean;
  readonly phase: EndPhase;
  readonly code: string;
  readonly now: number | null;
  readonly detail: string;
}

export type Stage = 'new' | 'received' | 'accepted' | 'ended';

const followers: Readonly<Record<Stage, readonly Stage[]>> = {
  new: ['received', 'ended'],
  received: ['accepted', 'ended'],
  accepted: ['ended'],
  ended: [],
};

/** An ack message from its parts, cut to the limits of the wire. */
export function ackOf(
  id: string,
  phase: AckPhase,
  fields: { code?: string; detail?: string; now?: number | null; guards?: readonly Guard[] },
): AckMessage {
  return {
    v: wireVersion,
    id,
    phase,
    code: (fields.code ?? '').slice(0, 64),
    now: fields.now ?? null,
    detail: cut(fields.detail ?? '', 512),
    guards: [...(fields.guards ?? [])],
  };
}

/** Cuts a text for people to `limit` characters and shows that it did. */
export const cut = (text: string, limit: number): string =>
  text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;

export interface CommandParts {
  readonly surface: string;
  readonly message: CommandMessage;
  /** Null when no binding was found for it. */
  readonly binding: BindingConfig | null;
  /** Unix milliseconds. */
  readonly receivedAt: number;
  /** Monotonic milliseconds after which nothing may be started for it. */
  readonly deadlineAt: number;
  /** Called with every ack, in order. */
  readonly onAck: (ack: AckMessage) => void;
  /** Called exactly once. */
  readonly onEnd: (command: Command, end: End) => void;
}

/** One command on its way from `received` to its only end. */
export class Command {
  readonly surface: string;
  readonly message: CommandMessage;
  readonly binding: BindingConfig | null;
  readonly receivedAt: number;
  readonly deadlineAt: number;
  /** A PUT has been sent for it, or is just being sent. */
  hasPut = false;
  /** What it does, as far as known; `floor` once it turns out to move that in the place of the number. */
  verb: VerbName | null;
  /** Id of the trace that it belongs to, for logs; null: none. */
  traceId: string | null = null;
  readonly #onAck: CommandParts['onAck'];
  readonly #onEnd: CommandParts['onEnd'];
  readonly #abort = new AbortController();
  #stage: Stage = 'new';
  #wasAccepted = false;

  constructor(parts: CommandParts) {
    this.surface = parts.surface;
    this.message = parts.message;
    this.binding = parts.binding;
    this.verb = parts.binding?.verb ?? null;
    this.receivedAt = parts.receivedAt;
    this.deadlineAt = parts.deadlineAt;
    this.#onAck = parts.onAck;
    this.#onEnd = parts.onEnd;
  }

  get stage(): Stage {
    return this.#stage;
  }

  get wasAccepted(): boolean {
    return this.#wasAccepted;
  }

  /** What log lines about it carry. */
  get logFields(): { readonly id: string; readonly traceId?: string } {
    return { id: this.message.id, ...(this.traceId !== null && { traceId: this.traceId }) };
  }

  /** Fires with the end; whatever still runs for the command stops. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Tells the surface that the gateway has it and works on it. */
  receive(): void {
    if (this.#step('received')) this.#onAck(ackOf(this.message.id, 'received', {}));
  }

  /** The API server has taken the number; from here on the command is followed. */
  accept(now: number): void {
    if (!this.#step('accepted')) return;
    this.#wasAccepted = true;
    this.#onAck(ackOf(this.message.id, 'accepted', { now }));
  }

  /** Ends the command; false when it had ended before, and then nothing is told to anybody. */
  end(end: End): boolean {
    if (!this.#step('ended')) return false;
    this.#onAck(ackOf(this.message.id, end.phase, end));
    this.#onEnd(this, end);
    this.#abort.abort(new Error(`command ended: ${end.code}`));
    return true;
  }

  #step(next: Stage): boolean {
    if (!followers[this.#stage].includes(next)) return false;
    this.#stage = next;
    return true;
  }
}
