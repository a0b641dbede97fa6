/** When frames are drawn: after every change, at most 25 a second while something moves, and not at all while nothing does. */

import type { Millis } from '../surface/types.ts';
import type { Timers } from './panel.ts';

/** Shortest time between two frames, milliseconds: 25 a second is smooth and cheap. */
export const frameIntervalMs = 40;

/** What the pace is kept with. */
export interface FramePaceOptions {
  /** Draws the frame of one instant; gives when it begins to look otherwise by itself, null: it does not. */
  readonly draw: (at: Millis) => Millis | null;
  readonly timers: Timers;
}

/** Paces frames until it is stopped. */
export class FramePace {
  readonly #options: FramePaceOptions;
  #lastAt: Millis = Number.NEGATIVE_INFINITY;
  /** The frame that is waited for. */
  #next: { readonly at: Millis; readonly cancel: () => void } | null = null;
  #isStopped = false;

  constructor(options: FramePaceOptions) {
    this.#options = options;
  }

  /** Asks for a frame at an instant, or as soon after it as the last one allows; one that is due before will do. */
  ask(wantedAt: Millis): void {
    if (this.#isStopped) return;
    const at = Math.max(wantedAt, this.#lastAt + frameIntervalMs);
    if (this.#next !== null && this.#next.at <= at) return;
    this.#next?.cancel();
    const { timers } = this.#options;
    const waitMs = Math.max(0, at - timers.monotonic());
    this.#next = { at, cancel: timers.after(waitMs, () => this.#draw(at)) };
  }

  /** No frame is drawn any more; may be called twice. */
  stop(): void {
    this.#isStopped = true;
    this.#next?.cancel();
    this.#next = null;
  }

  #draw(dueAt: Millis): void {
    this.#next = null;
    // Timers of Node may run a moment early, when the frame would still look as the last one.
    this.#lastAt = Math.max(dueAt, this.#options.timers.monotonic());
    const changesAt = this.#options.draw(this.#lastAt);
    if (changesAt !== null) this.ask(changesAt);
  }
}
