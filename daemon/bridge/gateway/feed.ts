/** Keeps one slot of one surface up to date: a watch on its target, and slot messages when something changed. */
import type { Clock } from '../../clock.ts';
import type { Colour } from '../../surface/types.ts';
import type { Cluster, TargetSnapshot, TargetWatch } from '../kube/types.ts';
import { encodeSlot } from '../wire/messages.ts';
import { wireVersion } from '../wire/topics.ts';
import type { Slot } from './slots.ts';
import type { Timers } from './timers.ts';
import { type BlockedNote, type SlotBody, slotBody } from './view.ts';

/** Least time between two messages of one slot, milliseconds; the first change of a burst goes out at once. */
export const slotIntervalMs = 100;

export interface FeedTools {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Sends one retained slot message. */
  readonly publish: (slot: number, payload: Uint8Array) => void;
  /** Revision for the next message; grows. */
  readonly nextRev: () => number;
  /** What is remembered of the last command for the target, until it is where it should be. */
  readonly noteOf: (slot: Slot) => BlockedNote | null;
  readonly forgetNote: (slot: Slot) => void;
}

export class SlotFeed {
  readonly slot: Slot;
  readonly #tools: FeedTools;
  readonly #watch: TargetWatch;
  #colour: Colour;
  #isLive = false;
  #sent = '';
  #sentAt = Number.NEGATIVE_INFINITY;
  #cancelSend: (() => void) | null = null;

  constructor(slot: Slot, colour: Colour, tools: FeedTools) {
    this.slot = slot;
    this.#colour = colour;
    this.#tools = tools;
    this.#watch = tools.cluster.watchTarget(slot.binding.target, () => this.changed(), slot.binding.show);
  }

  /** It sends; false before the first {@link resend} and after {@link pause}. */
  get isLive(): boolean {
    return this.#isLive;
  }

  snapshot(): TargetSnapshot {
    return this.#watch.snapshot();
  }

  /** What its display shows, or would show if the surface were there. */
  shown(): SlotBody {
    return slotBody(this.slot.binding, this.#colour, this.#watch.snapshot(), this.#tools.noteOf(this.slot));
  }

  /** Starts sending, or sends everything again: a surface has come online. */
  resend(): void {
    this.#isLive = true;
    this.#sent = '';
    this.#sentAt = Number.NEGATIVE_INFINITY;
    this.changed();
  }

  /** Stops sending until the next {@link resend}; the watch goes on, so that the surface finds it warm. */
  pause(): void {
    this.#isLive = false;
    this.#cancelSend?.();
    this.#cancelSend = null;
  }

  recolour(colour: Colour): void {
    this.#colour = colour;
    this.changed();
  }

  /** Something may have changed: looks now, or when the interval since the last message is over. */
  changed(): void {
    if (!this.#isLive) return;
    const waitMs = this.#sentAt + slotIntervalMs - this.#tools.clock.monotonic();
    if (waitMs <= 0) {
      this.#cancelSend?.();
      this.#cancelSend = null;
      this.#send();
    } else {
      this.#cancelSend ??= this.#tools.timers.after(waitMs, () => {
        this.#cancelSend = null;
        this.#send();
      });
    }
  }

  close(): void {
    this.pause();
    this.#watch.close();
  }

  #send(): void {
    const { clock, publish, nextRev, forgetNote } = this.#tools;
    const body = this.shown();
    if (body.condition.state === 'ok') forgetNote(this.slot);
    const text = JSON.stringify(body);
    if (text === this.#sent) return;
    this.#sent = text;
    this.#sentAt = clock.monotonic();
    publish(this.slot.slot, encodeSlot({ v: wireVersion, rev: nextRev(), at: clock.now(), ...body }));
  }
}
