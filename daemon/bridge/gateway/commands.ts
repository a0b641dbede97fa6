/** The command pipeline: from a message of a surface to the one end of its command. */
import type { Clock } from '../../clock.ts';
import type { BindingConfig, GatewayConfig } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import type { Actor, Cluster, Numbered, TargetSnapshot } from '../kube/types.ts';
import type { CommandTracer, Observe } from '../observer.ts';
import type { Registry } from '../registry/types.ts';
import { type AckMessage, type CommandMessage, maxTtlMs } from '../wire/messages.ts';
import { parseTraceparent } from '../wire/traceparent.ts';
import {
  type AdmitFacts,
  allowedAheadMs,
  readCommand,
  refusal,
  refuseOutOfRange,
  refuseStranger,
  refuseUnbound,
} from './admit.ts';
import { ackOf, Command, type CommandRecord, type End, endOf } from './command.ts';
import { Confirmations } from './confirmations.ts';
import { type FollowTools, follow } from './following.ts';
import { refuseOwned } from './guards.ts';
import { superseded, TargetLine } from './line.ts';
import { OnceWindow } from './once.ts';
import { handedOver, type Ownership, release } from './ownership.ts';
import { TokenBucket } from './rate.ts';
import { unseen } from './refusals.ts';
import { setNumber } from './set-number.ts';
import { bindingKey } from './slots.ts';
import type { Timers } from './timers.ts';
import { type Acting, actingOn } from './verbs/table.ts';
import { numberAfter, type Order } from './verbs/verb.ts';

/** Commands a second of one surface, and at once; a panel of sixteen faders in motion sends 32 a second. */
const ratePerSecond = 40;
const rateBurst = 80;

/** So long after the start whatever was asked for before it is late; a clock set back must not prolong that. */
const fenceMs = maxTtlMs + allowedAheadMs;

/** Ends are said again for so long: surfaces do not wait longer for one after a lost connection. */
const remindMs = 60_000;

/** A slot of a surface as the pipeline needs it. */
export interface CommandSlot {
  readonly binding: BindingConfig;
  /** When the slot came to mean this target, Unix milliseconds. */
  readonly since: number;
  snapshot(): TargetSnapshot;
}

export interface CommandTools {
  readonly cluster: Cluster;
  readonly registry: Registry;
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
  readonly ownership: Ownership;
  /** Name of the gateway's writes in managedFields. */
  readonly fieldManager: string;
  readonly slotOf: (surface: string, slot: number) => CommandSlot | null;
  readonly sendAck: (surface: string, ack: AckMessage) => void;
  readonly record: (entry: CommandRecord, traceId: string | null) => void;
  /** Told of every end of a command that had a binding. */
  readonly onEnd: (binding: BindingConfig, end: End) => void;
  readonly note: FollowTools['note'];
  readonly observe: Observe;
  readonly tracer: CommandTracer;
}

interface Sender {
  readonly window: OnceWindow;
  readonly bucket: TokenBucket;
}

export class Commands {
  readonly #tools: CommandTools;
  readonly #startedAt: number;
  /** Monotonic milliseconds. */
  readonly #fenceEndsAt: number;
  readonly #senders = new Map<string, Sender>();
  readonly #lines = new Map<string, TargetLine>();
  readonly #inFlight = new Set<Command>();
  readonly #confirmations: Confirmations;
  #isClosed = false;

  constructor(tools: CommandTools) {
    this.#tools = tools;
    this.#confirmations = new Confirmations(() => tools.clock.monotonic());
    this.#startedAt = tools.clock.now();
    this.#fenceEndsAt = tools.clock.monotonic() + fenceMs;
  }

  /** Commands without an end. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Takes one message of up/cmd. Never throws. */
  take(surface: string, payload: Uint8Array, isRetained: boolean): void {
    // Another gateway answers it.
    if (this.#isClosed || !this.#tools.ownership.isMine(surface)) return;
    const { clock, log, registry, observe } = this.#tools;
    const read = readCommand(payload);
    const repeated = read.id === null ? undefined : this.#senders.get(surface)?.window.recall(read.id);
    if (repeated !== undefined) {
      observe({ type: 'command-repeated' });
      if (repeated) this.#tools.sendAck(surface, repeated);
      return;
    }
    // Without a place in the registry there is nothing to remember: the answer is the same each time.
    const sender = registry.get(surface) ? this.#senderOf(surface) : null;
    const isWithinRate = sender?.bucket.take(clock.monotonic()) ?? false;
    if (!read.ok) {
      observe({ type: 'message-unreadable', leaf: 'cmd' });
      if (!isWithinRate) return;
      log.warn({ surface, id: read.id, problem: read.problem }, 'command is not readable');
      if (read.id !== null) this.#refuseUnread(surface, read.id, read.problem);
      return;
    }
    const { message } = read;
    const isRemembered = sender?.window.remember(message.id, clock.monotonic()) ?? false;
    const slot = this.#tools.slotOf(surface, message.slot);
    const command = this.#commandOf(surface, message, slot?.binding ?? null);
    const end = refusal({
      ...this.#facts(command, slot),
      isRetained,
      isWithinRate: isWithinRate && isRemembered,
    });
    if (end) {
      command.end(end);
      return;
    }
    command.receive();
    this.#lineOf(command).add(command);
  }

  /** Says again how its latest commands stand: a surface that comes back may have missed it. */
  remind(surface: string): void {
    const since = this.#tools.clock.monotonic() - remindMs;
    for (const ack of this.#senders.get(surface)?.window.latest(since) ?? [])
      this.#tools.sendAck(surface, ack);
  }

  /** What is under way for surfaces that are not this gateway's any more comes to its end; resolves when it has. */
  release(): Promise<void> {
    const { ownership } = this.#tools;
    return release([...this.#inFlight].filter(({ surface }) => !ownership.isMine(surface)));
  }

  /** Ends every command that has none yet; nothing is taken after it. */
  close(): void {
    this.#isClosed = true;
    for (const command of [...this.#inFlight]) {
      const what = command.wasAccepted
        ? 'It was accepted; the gateway stopped before its end was seen.'
        : command.hasPut
          ? 'The gateway stopped; whether it was done is not known.'
          : 'The gateway stopped before it was done.';
      command.end(endOf('expired', 'GatewayStopped', what));
    }
  }

  #senderOf(surface: string): Sender {
    const known = this.#senders.get(surface);
    if (known) return known;
    const bucket = new TokenBucket(ratePerSecond, rateBurst, this.#tools.clock.monotonic());
    const sender = { window: new OnceWindow(), bucket };
    this.#senders.set(surface, sender);
    return sender;
  }

  #lineOf(command: Command): TargetLine {
    const key = command.binding ? bindingKey(command.binding) : '';
    const known = this.#lines.get(key);
    if (known) return known;
    const line = new TargetLine(
      (next, itsLine) => this.#perform(next, itsLine),
      () => this.#lines.delete(key),
    );
    this.#lines.set(key, line);
    return line;
  }

  #commandOf(surface: string, message: CommandMessage, binding: BindingConfig | null): Command {
    const { clock, sendAck, record, onEnd, observe, tracer } = this.#tools;
    const now = clock.now();
    const leftMs = Math.min(message.issuedAt + message.ttlMs - now, message.ttlMs);
    const command = new Command({
      surface,
      message,
      binding,
      receivedAt: now,
      deadlineAt: clock.monotonic() + leftMs,
      onAck: (ack) => {
        this.#senders.get(surface)?.window.answered(ack, clock.monotonic());
        if (ack.phase === 'accepted') observe({ type: 'command-accepted', command, at: clock.now() });
        sendAck(surface, ack);
      },
      onEnd: (ended, end) => {
        this.#inFlight.delete(ended);
        observe({ type: 'command-ended', command: ended, end, at: clock.now() });
        record(this.#recordOf(ended, end), ended.traceId);
        if (binding) onEnd(binding, end);
      },
    });
    command.traceId = tracer.begin(command) ?? parseTraceparent(message.traceparent)?.traceId ?? null;
    this.#inFlight.add(command);
    return command;
  }

  #facts(command: Command, slot: CommandSlot | null): AdmitFacts {
    const { clock, registry, ownership } = this.#tools;
    const startedAt = clock.monotonic() < this.#fenceEndsAt ? this.#startedAt : 0;
    return {
      message: command.message,
      isRetained: false,
      surface: registry.get(command.surface),
      binding: slot?.binding ?? null,
      slotSince: slot?.since ?? 0,
      now: clock.now(),
      startedAt: Math.max(startedAt, ownership.fencedUntil(command.surface)),
      isWithinRate: true,
    };
  }

  /** Trust and bindings may have been withdrawn since the command came in, and the surface given to another gateway. */
  #refusedMeanwhile(command: Command, slot: CommandSlot | null): End | null {
    if (!this.#tools.ownership.isMine(command.surface)) return handedOver(command);
    const facts = this.#facts(command, slot);
    return refuseStranger(facts) ?? refuseUnbound(facts) ?? refuseOutOfRange(facts);
  }

  #actorOf(surface: string): Actor {
    const { userPrefix, group } = this.#tools.config.cluster;
    return { user: `${userPrefix}${surface}`, groups: [group], extra: { 'surfaced.dev/surface': surface } };
  }

  /** One command up to `accepted` or its end. */
  async #perform(command: Command, line: TargetLine): Promise<void> {
    try {
      await this.#tools.tracer.within(command, () => this.#act(command, line));
    } catch (error) {
      this.#tools.log.error({ err: error, ...command.logFields }, 'command failed by a defect');
      command.end(endOf('expired', 'Defect', 'The gateway failed while it worked on this; see its log.'));
    }
  }

  async #act(command: Command, line: TargetLine): Promise<void> {
    const { message, surface } = command;
    if (command.stage === 'ended') return;
    if (this.#tools.clock.monotonic() >= command.deadlineAt) {
      command.end(endOf('expired', 'Late', 'It waited too long behind other commands for the same target.'));
      return;
    }
    const slotNow = (): CommandSlot | null => this.#tools.slotOf(surface, message.slot);
    const slot = slotNow();
    const refused = this.#refusedMeanwhile(command, slot);
    if (refused || !slot) {
      command.end(
        refused ?? endOf('denied', 'UnknownSlot', `Nothing is bound to slot ${message.slot} any more.`),
      );
      return;
    }
    const acting = actingOn(slot.binding, slot.snapshot());
    const { verb, snapshot } = acting;
    command.verb = verb.name;
    if (!snapshot.target) {
      command.end(unseen(snapshot));
      return;
    }
    const { want, saw } = message;
    const needs = verb.guards(snapshot, want, saw);
    const owned = refuseOwned(slot.binding, needs, verb.numberOf(snapshot)) ?? verb.refuse(snapshot, want);
    if (owned) {
      command.end(owned);
      return;
    }
    const order: Order = {
      ref: acting.ref,
      actor: this.#actorOf(surface),
      want,
      arm: message.arm ?? [],
      id: message.id,
      issuedAt: message.issuedAt,
    };
    const question = this.#confirmations.question(command, snapshot.target.uid, needs, saw);
    const isDryRun = question !== null;
    /** Everything that may have changed while the API server was asked. */
    const refuse = (read: Numbered): End | null => {
      const current = slotNow();
      const meanwhile = this.#refusedMeanwhile(command, current);
      if (meanwhile) return meanwhile;
      if (line.isOutdated(command)) return superseded(read.replicas);
      if (isDryRun) return null;
      const now = current ? actingOn(current.binding, current.snapshot()) : acting;
      if (!isSameObject(now, acting))
        return endOf('stale', 'OwnerChanged', 'It is another object now that decides about the number.');
      const needed = verb.guards(now.snapshot, want, read.replicas);
      const taken = refuseOwned(slot.binding, needed, read.replicas);
      if (taken) return taken;
      const open = this.#confirmations.question(command, read.uid, needed, read.replicas);
      if (open) return open;
      command.hasPut = true;
      return null;
    };
    const mayActUntil = (): number => this.#tools.ownership.mayActUntil(surface);
    const outcome = await setNumber(
      {
        ...{ verb, order, saw, isDryRun, refuse },
        uid: snapshot.target.uid,
        deadlineAt: Math.min(command.deadlineAt, mayActUntil()),
        signal: command.signal,
      },
      this.#tools,
    );
    if ('end' in outcome) {
      command.end(outcome.end);
    } else if (question) {
      this.#confirmations.asked(command, snapshot.target.uid, question);
      command.end(question);
    } else if (command.stage === 'received') {
      const { written } = outcome;
      command.accept(numberAfter(verb, written.replicas));
      line.accepted(command);
      this.#confirmations.done(command);
      if (!this.#tools.ownership.isMine(surface)) command.end(handedOver(command));
      else {
        const accepted = { verb, order, written, binding: slot.binding, mayActUntil };
        follow(command, accepted, (now) => line.setBy(command, now), this.#tools);
      }
    }
  }

  #refuseUnread(surface: string, id: string, problem: string): void {
    const end = endOf('denied', 'BadMessage', `The command is not readable: ${problem}.`);
    const now = this.#tools.clock.now();
    this.#tools.sendAck(surface, ackOf(id, end.phase, end));
    this.#tools.record(
      {
        surface,
        id,
        slot: null,
        target: null,
        verb: null,
        want: null,
        saw: null,
        arm: [],
        issuedAt: null,
        receivedAt: now,
        endedAt: now,
        user: this.#actorOf(surface).user,
        wasAccepted: false,
        phase: end.phase,
        code: end.code,
        now: null,
        detail: end.detail,
      },
      null,
    );
  }

  #recordOf(command: Command, end: End): CommandRecord {
    const { message, binding, surface } = command;
    return {
      surface,
      id: message.id,
      slot: message.slot,
      target: binding?.target ?? null,
      verb: command.verb,
      want: message.want,
      saw: message.saw,
      arm: message.arm ?? [],
      issuedAt: message.issuedAt,
      receivedAt: command.receivedAt,
      endedAt: this.#tools.clock.now(),
      user: this.#actorOf(surface).user,
      wasAccepted: command.wasAccepted,
      phase: end.phase,
      code: end.code,
      now: end.now,
      detail: end.detail,
    };
  }
}

const isSameObject = (one: Acting, other: Acting): boolean =>
  one.verb === other.verb && one.snapshot.target?.uid === other.snapshot.target?.uid;
