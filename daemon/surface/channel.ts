/**
 * One binding: readings of its control become a number that is due, and answers and views come back. It sends
 * nothing itself; the surface takes what is due and sends it.
 */
import { Desired } from './desired.ts';
import { Detents } from './encoder.ts';
import { Hand } from './hand.ts';
import { noArmControl, notice, noticeOf, type TimedNotice } from './notice.ts';
import { Outbox } from './outbox.ts';
import { countOfPad, PadHold } from './pads.ts';
import { amountAt, clamp, type Limits, limitsOf, quantise, turned } from './scale.ts';
import { Move, type Purpose, type SettleTimes } from './settle.ts';
import { type Mode, type Style, styleOf } from './style.ts';
import { Pickup } from './takeover.ts';
import { earliest } from './timers.ts';
import type { Ack, AckPhase, Binding, ControlSpec, Guard, Millis, SlotView } from './types.ts';
import { isSameMeaning, numberOf, pressedNumber } from './verbs.ts';

/** Ranges wider than this are turned faster by fast turns. */
const widestWithoutAcceleration = 20;

/** A number that is due to be sent. */
export interface Due {
  readonly want: number;
  readonly saw: number;
  readonly purpose: Purpose;
}

/** What the surface has to do after an answer. */
export type Answer =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'done'; readonly before: number; readonly isUndo: boolean }
  | { readonly kind: 'needs-arm'; readonly due: Due; readonly guards: readonly Guard[] };

const nothing: Answer = { kind: 'nothing' };

/** One binding and everything that is under way for it. */
export class Channel {
  readonly binding: Binding;
  readonly limits: Limits;
  readonly style: Style;
  readonly desired = new Desired();
  readonly outbox = new Outbox();
  readonly #times: SettleTimes;
  readonly #pickup = new Pickup();
  readonly #hand: Hand;
  readonly #detents: Detents;
  readonly #pads = new PadHold();
  #view: SlotView | null = null;
  #isAnyViewNew = true;
  /** The number that the fader stands for; null before its first reading. */
  #number: number | null = null;
  #move: Move | null = null;
  #awaitsArm: number | null = null;
  #notice: TimedNotice | null = null;

  constructor(binding: Binding, control: ControlSpec | null, times: SettleTimes) {
    this.binding = binding;
    this.limits = limitsOf(binding);
    this.style = styleOf(binding, control);
    this.#times = times;
    this.#hand = new Hand(control?.hasTouch === true);
    const isWide = this.limits.max - this.limits.min > widestWithoutAcceleration;
    this.#detents = new Detents(control?.pulsesPerDetent ?? 1, isWide && this.style === 'turns');
  }

  get view(): SlotView | null {
    return this.#view;
  }

  get notice(): TimedNotice | null {
    return this.#notice;
  }

  /** What waits for the operator's confirmation; the surface keeps the request itself. */
  get awaitsArm(): number | null {
    return this.#awaitsArm;
  }

  /** The number that the operator is setting or has sent, until it is confirmed or over. */
  get wanted(): number | null {
    return this.#pads.count ?? this.#move?.want ?? this.#awaitsArm ?? this.outbox.wanted;
  }

  /** The motor may move: no hand is on the fader and none has just moved it. */
  get isMotorFree(): boolean {
    return this.style === 'motor' && !this.#hand.isTouched && this.#move === null;
  }

  /** Which way to move the control to pick the value up. */
  get hint(): 'up' | 'down' | null {
    if ((this.style !== 'pickup' && this.style !== 'jump') || this.desired.value === null) return null;
    const direction = this.#pickup.direction(clamp(this.limits, this.desired.value));
    if (direction === null || !this.binding.isInverted) return direction;
    return direction === 'up' ? 'down' : 'up';
  }

  // ---------------------------------------------------------------- readings

  /** A fader's position. */
  readPosition(position: number, mode: Mode, at: Millis): void {
    if (mode === 'ignore' || (this.style !== 'pickup' && this.style !== 'jump' && this.style !== 'motor'))
      return;
    const before = this.#number;
    const isRehearsal = mode === 'rehearse';
    const travel = Math.min(1, Math.max(0, this.binding.isInverted ? 1 - position : position));
    if (this.style === 'motor' && before !== null && !this.#hand.owns(at)) {
      this.#number = this.#motorNumber();
      return;
    }
    this.#number = quantise(this.limits, travel, before);
    const amount = amountAt(this.limits, travel);
    if (this.desired.value === null) {
      this.#pickup.note(amount);
      return;
    }
    if (this.style === 'motor') {
      if (before === null || this.#number === before) return;
      this.#hand.move(at);
      this.#want(this.#number, 'set', isRehearsal, at);
      return;
    }
    const target = clamp(this.limits, this.desired.value);
    const tolerance = this.limits.step / 2;
    const wasLatched = this.#pickup.isLatched;
    this.#pickup.read(amount, target, tolerance);
    if (!wasLatched && this.#pickup.isLatched && Math.abs(amount - target) <= tolerance) {
      // Met: from here on the fader stands for the value in force, so that nothing is sent for meeting it.
      this.#number = target;
      if (this.#move?.purpose === 'jump') this.#move = null;
      return;
    }
    if (before === null || this.#number === before) return;
    if (this.#pickup.isLatched) this.#want(this.#number, 'set', isRehearsal, at);
    else if (this.style === 'jump') this.#want(this.#number, 'jump', isRehearsal, at);
  }

  /** A finger on a fader, or off it. */
  readTouch(isTouched: boolean, mode: Mode, at: Millis): void {
    if (this.style !== 'motor') return;
    this.#hand.touch(isTouched, mode !== 'ignore', at);
    if (!isTouched) {
      this.#move?.release(at);
      return;
    }
    this.#move?.hold();
    if (this.#number !== null) this.#number = this.#motorNumber();
  }

  /** Turns of an encoder, or of the +1 and -1 of pads. */
  readTurn(pulses: number, mode: Mode, at: Millis): void {
    if (mode === 'ignore' || (this.style !== 'turns' && this.style !== 'pads')) return;
    const detents = this.#detents.turn(this.binding.isInverted ? -pulses : pulses, at);
    const from = this.#move?.want ?? this.#standing();
    if (detents === 0 || from === null) return;
    this.#pads.forget();
    const want = turned(this.limits, from, detents * this.limits.step);
    if (want !== from) this.#want(want, 'set', mode === 'rehearse', at);
  }

  /** A pad goes down, or without an index a button, which asks for the other position or once more. */
  readPress(index: number | undefined, mode: Mode, at: Millis): void {
    const standing = this.#standing();
    if (mode === 'ignore' || standing === null) return;
    const other = pressedNumber(this.binding, standing);
    if (this.style === 'press' && index === undefined && mode === 'act') this.#commit(other, 'set', at);
    if (this.style !== 'pads' || index === undefined) return;
    this.#move = null;
    const isCount = numberOf(this.binding) === 'count';
    this.#pads.press(index, isCount ? countOfPad(this.limits, index) : other, mode === 'rehearse', at);
  }

  /** A pad comes up. */
  readRelease(index: number): void {
    this.#pads.release(index);
  }

  /** The next reading is a first reading, and what was not sent is dropped. */
  forget(isTouched: boolean, at: Millis): void {
    this.#drop();
    this.#pickup.forget();
    this.#detents.forget();
    this.#number = null;
    this.#hand.touch(isTouched && this.style === 'motor', false, at);
    this.#hand.drive(at);
  }

  // ---------------------------------------------------------------- from the gateway

  /** What the cluster does now; an old view is left out. */
  observe(view: SlotView, at: Millis): void {
    const shown = this.#view;
    // A gateway that was started anew may count from the start, but its clock goes on.
    if (!this.#isAnyViewNew && shown !== null && view.rev < shown.rev && view.at <= shown.at) return;
    this.#isAnyViewNew = false;
    this.#view = view;
    const inFlight = this.outbox.inFlight?.want ?? null;
    const change = this.desired.observe(view.desired, inFlight, at);
    if (view.desired !== null && view.desired === inFlight) this.outbox.see();
    if (change === 'own' && this.#move !== null && view.desired !== null) this.#move.saw = view.desired;
    if (change === 'elsewhere') this.#changedElsewhere(at);
  }

  /** What was known before the same slot was bound anew. */
  inherit(from: Channel, at: Millis): void {
    // Another name is likely another target: its numbers have to be seen first. Numbers of another verb mean nothing here.
    if (from.#view !== null && isSameMeaning(from.binding, this.binding)) this.observe(from.#view, at);
    if ((from.binding.verb ?? 'scale') !== (this.binding.verb ?? 'scale')) return;
    const { inFlight } = from.outbox;
    if (inFlight !== null) this.outbox.send(inFlight, from.outbox.sentAt);
  }

  /** What became of a command. */
  answer(ack: Ack, at: Millis): Answer {
    const answered = this.outbox.answer(ack.seq, ack.phase);
    if (answered === null) return nothing;
    const { command, isNewest, wasInFlight, wasSeen, isFirstSuccess } = answered;
    const done: Answer = isFirstSuccess
      ? { kind: 'done', before: command.saw, isUndo: command.purpose === 'undo' }
      : nothing;
    // Once a newer command is out, an older one says nothing about what is in force.
    if (!isNewest) return done;
    let isChanged = false;
    if (isFirstSuccess) {
      const now = ack.now ?? command.want;
      if (!wasSeen) this.desired.accept(now, at);
      if (this.#move !== null) this.#move.saw = this.desired.value ?? now;
    } else if (ack.now !== null && this.desired.correct(ack.now, at) === 'elsewhere') {
      isChanged = true;
      this.#changedElsewhere(at);
    }
    if (ack.phase === 'accepted') return done;
    this.#notice = noticeOf(ack, at);
    const isIdle = this.#move === null && this.#pads.count === null;
    const { want, saw, purpose } = command;
    // Meanwhile the binding may have been narrowed, or somebody else may have set the very number.
    const isOpen = clamp(this.limits, want) === want && want !== this.desired.value;
    if (ack.phase === 'needs-arm' && wasInFlight && isIdle && !isChanged && isOpen) {
      return {
        kind: 'needs-arm',
        due: { want, saw: this.desired.value ?? saw, purpose },
        guards: ack.guards,
      };
    }
    // What was asked for did not happen, so the fader no longer stands for what is in force.
    const isInForce = ack.phase === 'converged' || ack.phase === 'blocked';
    if (!isInForce && isIdle) this.#yield(at);
    return done;
  }

  /** The link is no longer online: everything under way is given up, nothing is kept for later. */
  disconnect(isTouched: boolean, at: Millis): void {
    this.forget(isTouched, at);
    this.#isAnyViewNew = true;
    if (this.outbox.abandon())
      this.say('expired', 'LinkLost', 'The link was lost before an answer came; look what is true.', at);
  }

  // ---------------------------------------------------------------- what the surface does with it

  /** Asks for a number without the control, to undo. */
  ask(want: number, at: Millis): void {
    this.#drop();
    this.#pickup.unlatch();
    this.#commit(want, 'undo', at);
  }

  /** Takes out the number that is due, if it may go now and would change anything. */
  takeDue(at: Millis): Due | null {
    const move = this.#move;
    if (move === null || move.isRehearsal || this.outbox.inFlight !== null) return null;
    const dueAt = move.dueAt();
    if (dueAt === null || at < dueAt) return null;
    this.#move = null;
    if (move.want === this.desired.value) return null;
    return { want: move.want, saw: move.saw, purpose: move.purpose };
  }

  /** A command goes out. */
  sent(seq: number, due: Due, at: Millis): void {
    this.#awaitsArm = null;
    if (due.purpose === 'jump') this.#pickup.latch();
    this.outbox.send({ seq, ...due }, at);
  }

  /** A number waits for the arm control. */
  awaitArm(want: number): void {
    this.#awaitsArm = want;
  }

  /** The number that waited is not wanted any more, and why. */
  refuseArm(code: string, text: string, at: Millis): void {
    this.#awaitsArm = null;
    this.#yield(at);
    this.say(code === noArmControl ? 'denied' : 'expired', code, text, at);
  }

  /** Puts a notice up. */
  say(phase: AckPhase, code: string, text: string, at: Millis): void {
    this.#notice = notice(phase, code, text, at);
  }

  /** Timers: pads, stuck touches, lost answers, rehearsals, notices. */
  tick(at: Millis): void {
    const chosen = this.#pads.tick(at);
    if (chosen !== null) this.#commit(chosen, 'set', at);
    if (this.#hand.tick(at) && this.#move !== null) {
      this.#move = null;
      this.say('expired', 'TouchStuck', 'Not sent: the fader was touched without being moved.', at);
    }
    if (this.outbox.tick(at)) {
      this.say('expired', 'NoAnswer', 'No answer from the gateway; look what is true.', at);
      if (this.#move === null) this.#yield(at);
    }
    if (this.desired.tick(at) === 'elsewhere') this.#changedElsewhere(at);
    const dueAt = this.#move?.isRehearsal === true ? this.#move.dueAt() : null;
    if (dueAt !== null && at >= dueAt) this.#move = null;
    if (this.#notice !== null && at >= this.#notice.until) this.#notice = null;
  }

  /** When `tick` or `takeDue` has something to do. */
  nextWakeAt(): Millis | null {
    const isMoveWaiting = this.outbox.inFlight !== null && this.#move?.isRehearsal !== true;
    return earliest(
      this.#pads.nextWakeAt(),
      this.#hand.nextWakeAt(),
      this.outbox.nextWakeAt(),
      this.desired.nextWakeAt(),
      isMoveWaiting ? null : (this.#move?.dueAt() ?? null),
      this.#notice?.until ?? null,
    );
  }

  // ---------------------------------------------------------------- inside

  /** The number that stands without the move: waiting to be armed, under way, or in force. */
  #standing(): number | null {
    if (this.desired.value === null) return null;
    return this.#awaitsArm ?? this.outbox.inFlight?.want ?? this.desired.value;
  }

  #want(want: number, purpose: Purpose, isRehearsal: boolean, at: Millis): void {
    if (this.#move?.purpose === purpose) {
      this.#move.change(want, at);
      return;
    }
    this.#move = null;
    const saw = this.desired.value;
    if (saw === null || want === this.#standing()) return;
    // A new number takes the place of one that waits to be armed.
    this.#awaitsArm = null;
    const isHeld = this.#hand.isTouched;
    this.#move = new Move({ want, saw, purpose, isRehearsal, isHeld }, this.#times, at);
  }

  /** A number that needs no settling: it was held or pressed for. */
  #commit(want: number, purpose: Purpose, at: Millis): void {
    const saw = this.desired.value;
    if (saw === null || want === this.#standing()) return;
    this.#awaitsArm = null;
    const start = { want, saw, purpose, isRehearsal: false, isHeld: false };
    this.#move = new Move(start, { settleMs: 0, longestMoveMs: 0 }, at);
  }

  #drop(): void {
    this.#move = null;
    this.#awaitsArm = null;
    this.#pads.forget();
  }

  #changedElsewhere(at: Millis): void {
    const hadPlans = this.#move !== null || this.#awaitsArm !== null || this.#pads.count !== null;
    this.#drop();
    this.#yield(at);
    this.outbox.supersede();
    if (hadPlans && this.desired.value !== null)
      this.say('stale', 'ChangedElsewhere', `changed to ${this.desired.value} by somebody else`, at);
  }

  /** The control gives way to the value in force. */
  #yield(at: Millis): void {
    this.#pickup.unlatch();
    this.#hand.disown();
    if (this.style !== 'motor') return;
    this.#hand.drive(at);
    if (this.#number !== null) this.#number = this.#motorNumber();
  }

  /** Where the motor has taken the fader. */
  #motorNumber(): number | null {
    const count = this.wanted ?? this.desired.value;
    return count === null ? this.#number : clamp(this.limits, count);
  }
}
