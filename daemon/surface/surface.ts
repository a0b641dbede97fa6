/**
 * The pure heart of a surface: what the panel and the gateway report goes in, intents and frames come out. No
 * I/O and no clock of its own. What it may never do is in ARCHITECTURE.md, rules 1 to 6.
 */
import { Arming, armObstacle } from './arming.ts';
import { banksOf, byControlOf } from './banks.ts';
import { Channel, type Due } from './channel.ts';
import { Lock } from './lock.ts';
import { noArmControl } from './notice.ts';
import { Presses } from './press.ts';
import { clamp } from './scale.ts';
import type { SettleTimes } from './settle.ts';
import type { Mode } from './style.ts';
import { earliest } from './timers.ts';
import type {
  Ack,
  Binding,
  ControlSpec,
  Fault,
  Frame,
  Guard,
  Intent,
  Millis,
  PanelSpec,
  SurfaceInput,
} from './types.ts';
import { UndoHistory } from './undo.ts';
import { type ControlReading, Use } from './use.ts';
import { isSameMeaning, takesAway } from './verbs.ts';
import { View } from './view.ts';

/** How a surface behaves as a whole. */
export interface SurfaceOptions extends SettleTimes {
  /** Locked until the lock control is held; without a lock control it stays locked. */
  readonly isLockedAtStart: boolean;
  /** Locks itself after so long without use; 0: never. */
  readonly lockAfterIdleMs: number;
}

/** One surface: all that lies between its controls and the wire. */
export class Surface {
  readonly #panel: PanelSpec;
  readonly #options: SurfaceOptions;
  readonly #controls: ReadonlyMap<string, ControlSpec>;
  readonly #view: View;
  readonly #lock: Lock;
  readonly #arming = new Arming();
  readonly #history = new UndoHistory();
  readonly #presses = new Presses();
  readonly #touched = new Set<string>();
  readonly #use: Use;
  #channels = new Map<number, Channel>();
  #banks: readonly (readonly Channel[])[] = [];
  #bank = 0;
  /** The bound controls of the current bank. */
  #byControl: ReadonlyMap<string, Channel> = new Map();
  #link: Frame['link'] = { state: 'offline', detail: 'not connected yet', isAttested: false };
  #fault: Fault | null = null;
  #pairingCode: string | null = null;
  #missing: ReadonlySet<string> = new Set();
  #now: Millis = Number.NEGATIVE_INFINITY;
  #seq = 0;
  #intents: Intent[] = [];

  constructor(panel: PanelSpec, options: SurfaceOptions) {
    this.#panel = panel;
    this.#options = options;
    this.#controls = new Map(panel.controls.map((control) => [control.name, control]));
    this.#use = new Use(this.#controls);
    this.#lock = new Lock(options.isLockedAtStart, options.lockAfterIdleMs);
    this.#view = new View(panel);
  }

  /** Takes one input and returns what is to be sent for it. */
  apply(input: SurfaceInput, at: Millis): readonly Intent[] {
    const now = this.#forward(at);
    switch (input.type) {
      case 'bindings':
        this.#bind(input.bindings, now);
        break;
      case 'slot':
        this.#channels.get(input.slot)?.observe(input.view, now);
        this.#view.matrix?.observe(input.slot);
        break;
      case 'ack':
        this.#answer(input.ack, now);
        break;
      case 'link':
        this.#fault = input.fault;
        this.#connect(input, now);
        break;
      case 'pairing':
        this.#pairingCode = input.code;
        break;
      case 'missing':
        this.#missing = new Set(input.controls);
        break;
      case 'reset':
        this.#reset(input.controls, now);
        break;
      default:
        // Timers that ran out before this reading count before it.
        this.#advance(now);
        this.#read(input, now);
    }
    this.#advance(now);
    this.#view.touch();
    return this.#takeIntents();
  }

  /** Lets timers run out: settling, holds, expiry. */
  tick(at: Millis): readonly Intent[] {
    const now = this.#forward(at);
    const wakeAt = this.nextWakeAt();
    if (wakeAt !== null && now >= wakeAt) this.#view.touch();
    this.#advance(now);
    return this.#takeIntents();
  }

  /** When `tick` is needed next; null: not before the next input. */
  nextWakeAt(): Millis | null {
    const { lock } = this.#panel.roles;
    let wakeAt = earliest(
      this.#arming.nextWakeAt(),
      this.#lock.nextWakeAt(),
      lock === undefined ? null : this.#presses.longAt(lock),
    );
    for (const channel of this.#channels.values()) wakeAt = earliest(wakeAt, channel.nextWakeAt());
    return wakeAt;
  }

  /** When the last frame begins to look otherwise by itself; null: not before the next input or tick. */
  nextFrameAt(): Millis | null {
    return this.#view.changesAt;
  }

  /** What the panel shows at this instant. */
  frame(at: Millis): Frame {
    return this.#view.frame(
      {
        channels: this.#shown,
        byControl: this.#byControl,
        bank: { index: this.#bank, count: Math.max(1, this.#banks.length) },
        link: this.#link,
        isLocked: this.#lock.isLocked,
        canUndo: this.#canAct && !this.#history.isEmpty,
        arming: this.#arming,
        pairingCode: this.#pairingCode,
        fault: this.#fault,
        missing: this.#missing,
      },
      this.#forward(at),
    );
  }

  // ---------------------------------------------------------------- time

  /** Time never runs back, whatever the caller says. */
  #forward(at: Millis): Millis {
    if (at > this.#now) this.#now = at;
    return this.#now;
  }

  #advance(at: Millis): void {
    if (this.#lock.tick(at)) this.#forgetAll(at);
    const { lock } = this.#panel.roles;
    if (lock !== undefined && this.#presses.takeLong(lock, at)) {
      this.#lock.toggle(at);
      this.#forgetAll(at);
    }
    for (const channel of this.#channels.values()) channel.tick(at);
    this.#advanceArming(at);
    if (!this.#canAct) return;
    for (const channel of this.#channels.values()) {
      const due = channel.takeDue(at);
      if (due !== null) this.#sendOrArm(channel, due, at);
    }
  }

  #advanceArming(at: Millis): void {
    const { request } = this.#arming;
    if (request === null) return;
    const channel = this.#channels.get(request.slot);
    // The channel has moved on: another number, a change elsewhere, a first reading.
    if (channel === undefined || channel.awaitsArm === null) {
      this.#arming.close();
      return;
    }
    const obstacle = armObstacle(this.#panel.roles, this.#missing);
    const outcome = this.#arming.tick(at);
    if (outcome === null && obstacle === null) return;
    this.#arming.close();
    if (obstacle !== null) channel.refuseArm(noArmControl, obstacle, at);
    else if (outcome === 'confirmed') this.#send(channel, request, request.guards, at);
    else channel.refuseArm('ArmLapsed', 'Not sent: it was not confirmed in time.', at);
  }

  // ---------------------------------------------------------------- sending

  get #canAct(): boolean {
    return this.#link.state === 'online' && !this.#lock.isLocked;
  }

  #sendOrArm(channel: Channel, due: Due, at: Millis): void {
    if (takesAway(channel.binding, due.want)) this.#arm(channel, due, ['zero'], at);
    else if (due.purpose === 'jump') this.#arm(channel, due, [], at);
    else this.#send(channel, due, [], at);
  }

  #send(channel: Channel, due: Due, arm: readonly Guard[], at: Millis): void {
    if (!this.#canAct) return;
    this.#seq++;
    channel.sent(this.#seq, due, at);
    this.#intents.push({ seq: this.#seq, slot: channel.binding.slot, want: due.want, saw: due.saw, arm });
  }

  #arm(channel: Channel, due: Due, guards: readonly Guard[], at: Millis): void {
    const { slot } = channel.binding;
    const obstacle = armObstacle(this.#panel.roles, this.#missing);
    if (obstacle !== null || !this.#canAct || !this.#shown.includes(channel)) {
      const code = obstacle === null ? 'NotConfirmed' : noArmControl;
      channel.refuseArm(code, obstacle ?? 'Not sent: it needs to be confirmed.', at);
      return;
    }
    const replaced = this.#arming.request;
    if (replaced !== null && replaced.slot !== slot)
      this.#channels.get(replaced.slot)?.refuseArm('ArmReplaced', 'Not sent: another one waits now.', at);
    channel.awaitArm(due.want);
    // A command that the gateway stopped for one guard may need the one for zero as well.
    const all: readonly Guard[] =
      takesAway(channel.binding, due.want) && !guards.includes('zero') ? ['zero', ...guards] : [...guards];
    this.#arming.open({ slot, ...due, guards: all }, at);
  }

  #takeIntents(): readonly Intent[] {
    const intents = this.#intents;
    this.#intents = [];
    return intents;
  }

  // ---------------------------------------------------------------- from the gateway

  #answer(ack: Ack, at: Millis): void {
    for (const channel of this.#channels.values()) {
      const answer = channel.answer(ack, at);
      if (answer.kind === 'needs-arm') this.#arm(channel, answer.due, answer.guards, at);
      if (answer.kind === 'done' && !answer.isUndo)
        this.#history.record({ slot: channel.binding.slot, before: answer.before });
    }
  }

  #connect(link: Frame['link'], at: Millis): void {
    const wasOnline = this.#link.state === 'online';
    this.#link = { state: link.state, detail: link.detail, isAttested: link.isAttested };
    if (link.state === 'online' && wasOnline) return;
    this.#arming.close();
    for (const channel of this.#channels.values()) channel.disconnect(this.#isTouched(channel), at);
  }

  #bind(bindings: readonly Binding[], at: Millis): void {
    const before = this.#channels;
    const shownBank = this.#shown[0]?.binding.bank ?? 0;
    this.#arming.close();
    this.#channels = new Map();
    for (const binding of bindings) {
      if (this.#channels.has(binding.slot)) continue;
      const channel = new Channel(binding, this.#controls.get(binding.control) ?? null, this.#options);
      const old = before.get(binding.slot);
      if (old !== undefined) channel.inherit(old, at);
      channel.forget(this.#isTouched(channel), at);
      this.#channels.set(binding.slot, channel);
    }
    this.#history.keep((slot) => isSameMeaning(before.get(slot)?.binding, this.#channels.get(slot)?.binding));
    this.#banks = banksOf([...this.#channels.values()], this.#panel.controls);
    this.#view.matrix?.bind(this.#banks);
    const index = this.#banks.findIndex((channels) => channels[0]?.binding.bank === shownBank);
    this.#showBank(Math.max(0, index), at);
  }

  // ---------------------------------------------------------------- from the panel

  #read(event: ControlReading, at: Millis): void {
    if (event.type === 'touch') {
      if (event.isTouched) this.#touched.add(event.control);
      else this.#touched.delete(event.control);
    }
    if (this.#use.isUse(event, this.#touched)) this.#lock.use(at);
    if ((event.type === 'press' || event.type === 'release') && this.#readRole(event, at)) return;
    const channel = this.#byControl.get(event.control);
    if (channel === undefined) return;
    const mode: Mode = this.#link.state !== 'online' ? 'ignore' : this.#lock.isLocked ? 'rehearse' : 'act';
    switch (event.type) {
      case 'position':
        if (Number.isFinite(event.value)) channel.readPosition(event.value, mode, at);
        break;
      case 'touch':
        channel.readTouch(event.isTouched, mode, at);
        break;
      case 'turn':
        if (Number.isFinite(event.pulses)) channel.readTurn(event.pulses, mode, at);
        break;
      case 'press':
        channel.readPress(event.index, mode, at);
        break;
      case 'release':
        if (event.index !== undefined) channel.readRelease(event.index);
        break;
    }
  }

  /** A press or release of a control that acts on the whole surface; false when it is none. */
  #readRole(event: { readonly type: 'press' | 'release'; readonly control: string }, at: Millis): boolean {
    const { control } = event;
    const { arm, undo, bankNext, bankPrevious, lock } = this.#panel.roles;
    const isDown = event.type === 'press';
    const isShort = isDown ? false : this.#presses.release(control, at);
    if (isDown) this.#presses.press(control, at);
    // What has a long press as well acts when it is clear that it was a short one.
    const isClick = control === lock ? isShort : isDown;
    switch (control) {
      case arm:
        this.#readArm(isDown, at);
        return true;
      case undo:
        if (isShort) this.#undo(at);
        return true;
      case bankNext:
        if (isClick) this.#turnBanks(1, at);
        return true;
      case bankPrevious:
        if (isClick) this.#turnBanks(-1, at);
        return true;
      default:
        return control === lock;
    }
  }

  #readArm(isDown: boolean, at: Millis): void {
    if (isDown) {
      this.#arming.press(at);
      return;
    }
    const { request } = this.#arming;
    if (request === null || !this.#arming.release()) return;
    const channel = this.#channels.get(request.slot);
    channel?.refuseArm('ArmReleased', 'Not sent: let go before it was confirmed.', at);
  }

  #undo(at: Millis): void {
    while (this.#canAct) {
      const done = this.#history.take();
      if (done === undefined) return;
      const channel = this.#channels.get(done.slot);
      const desired = channel?.desired.value ?? null;
      if (channel === undefined || desired === null) continue;
      const want = clamp(channel.limits, done.before);
      if (want === desired) continue;
      // What is undone has to be seen.
      const bank = this.#banks.findIndex((channels) => channels.includes(channel));
      if (bank !== this.#bank) this.#showBank(bank, at);
      channel.ask(want, at);
      return;
    }
  }

  #turnBanks(change: 1 | -1, at: Millis): void {
    const count = this.#banks.length;
    if (count > 1) this.#showBank((this.#bank + change + count) % count, at);
  }

  get #shown(): readonly Channel[] {
    return this.#banks[this.#bank] ?? [];
  }

  #showBank(index: number, at: Millis): void {
    this.#bank = index;
    this.#byControl = byControlOf(this.#shown);
    this.#forgetAll(at);
  }

  #reset(controls: readonly string[] | null, at: Millis): void {
    this.#presses.forget(controls);
    const { arm } = this.#panel.roles;
    const isHit = (control: string): boolean => controls === null || controls.includes(control);
    if (arm !== undefined && isHit(arm)) this.#arming.interrupt();
    for (const control of [...this.#touched]) if (isHit(control)) this.#touched.delete(control);
    for (const channel of this.#channels.values())
      if (isHit(channel.binding.control)) channel.forget(this.#isTouched(channel), at);
  }

  /** Nothing unsent survives, and every next reading is a first reading. */
  #forgetAll(at: Millis): void {
    this.#arming.close();
    for (const channel of this.#channels.values()) channel.forget(this.#isTouched(channel), at);
  }

  #isTouched(channel: Channel): boolean {
    return this.#touched.has(channel.binding.control);
  }
}
