/** A surface whose knob is turned for ever: a real link, and what it asked for and was told. */

import { createLink, type Link } from '../../daemon/bridge/link/link.ts';
import { defaultTtlMs } from '../../daemon/bridge/wire/messages.ts';
import { systemClock } from '../../daemon/clock.ts';
import { silentLog } from '../../daemon/log.ts';
import type { SlotView } from '../../daemon/surface/types.ts';
import type { FixedCredentials } from '../../test/bridge/pki.ts';
import { type Asked, type Display, type Ended, idOf } from './ledger.ts';

export class Knob {
  readonly name: string;
  readonly asked: Asked[] = [];
  readonly ended: Ended[] = [];
  /** What it was told of its connection, with the time: for whoever looks for a cause. */
  readonly story: string[] = [];
  readonly #link: Link;
  #slot: SlotView | null = null;
  #number = 0;

  constructor(name: string, credentials: FixedCredentials, signal: AbortSignal) {
    this.name = name;
    this.#link = createLink({
      credentials,
      birth: { model: 'knob', firmware: '1.0.0', controls: [{ name: 'fader1', kind: 'fader' }] },
      ...{ clock: systemClock, log: silentLog, random: Math.random },
    });
    this.#link.onInput((input) => {
      const at = Date.now();
      if (input.type === 'slot') this.#slot = input.view;
      if (input.type === 'link') this.#tell(at, `link ${input.state} ${input.detail}`);
      if (input.type !== 'ack') return;
      const { seq, phase, code } = input.ack;
      this.#tell(at, `${seq} ${phase} ${code}`);
      if (phase !== 'received' && phase !== 'accepted')
        this.ended.push({ id: idOf(name, seq), at, phase, code });
    });
    this.#link.start(signal);
  }

  /** Whether it shows its number as that of now. */
  get isLive(): boolean {
    const state = this.#slot?.condition.state ?? 'unknown';
    return this.#link.state === 'online' && state !== 'unknown' && state !== 'unreachable';
  }

  /** How many commands have no end yet. */
  get open(): number {
    return this.asked.length - this.ended.length;
  }

  /** Asks for a number that it has never asked for, if it has ever been told one. */
  turn(): void {
    if (this.#slot === null) return;
    this.#number += 1;
    const at = Date.now();
    this.asked.push({ id: idOf(this.name, this.#number), at, ttlMs: defaultTtlMs });
    this.#tell(at, `${this.#number} asked, saw ${this.#slot.desired}`);
    this.#link.send({
      seq: this.#number,
      slot: 0,
      want: this.#number,
      saw: this.#slot.desired ?? 0,
      arm: [],
    });
  }

  display(actual: number): Display {
    return { surface: this.name, isLive: this.isLive, shown: this.#slot?.desired ?? null, actual };
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  #tell(at: number, words: string): void {
    this.story.push(`${new Date(at).toISOString()} ${words.trim()}`);
  }
}
