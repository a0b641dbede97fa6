/** Puts slots and bindings in order before the surface sees them. Pure. */
import type { Trust } from '../../attest/types.ts';
import type { Binding, SlotView } from '../../surface/types.ts';
import type { CtlMessage, SlotMessage } from '../wire/messages.ts';
import { maxSlots } from '../wire/topics.ts';

type BindingsPart = Extract<CtlMessage, { type: 'bindings' }>;

/** All parts of one revision of the bindings. */
export interface Bindings {
  readonly bindings: readonly Binding[];
  readonly trust: Trust;
  /** False when they are what they were: the surface must not lose its pick-ups over it. */
  readonly isChanged: boolean;
}

export class Inbox {
  readonly #slots = new Map<number, { rev: number; isRetained: boolean }>();
  #parts: { rev: number; count: number; byPart: Map<number, BindingsPart> } | null = null;
  #applied = '';

  /** Revisions start over with a connection and with a session of the gateway. */
  restart(): void {
    this.#slots.clear();
    this.#parts = null;
  }

  /** The view to show, or null when a newer one was shown. A live one is newer than any retained one. */
  slot(slot: number, message: SlotMessage, isRetained: boolean): SlotView | null {
    const seen = this.#slots.get(slot);
    const isOlder = seen !== undefined && message.rev < seen.rev;
    if (isOlder && (isRetained || !seen.isRetained)) return null;
    this.#slots.set(slot, { rev: message.rev, isRetained });
    const { v: _, podsLeftOut: __, ...view } = message;
    return view;
  }

  /** Takes one part; all bindings once the last part of its revision is there. */
  bindings(part: BindingsPart): Bindings | null {
    if (this.#parts?.rev !== part.rev || this.#parts.count !== part.parts)
      this.#parts = { rev: part.rev, count: part.parts, byPart: new Map() };
    if (part.part >= part.parts) return null;
    const { byPart } = this.#parts;
    byPart.set(part.part, part);
    if (byPart.size < part.parts) return null;
    this.#parts = null;
    const ordered = [...byPart.values()].sort((one, other) => one.part - other.part);
    // A slot is bound once; a second one would make two controls fight over it.
    const bySlot = new Map(ordered.flatMap((each) => each.bindings).map((each) => [each.slot, each]));
    const bindings = [...bySlot.values()].slice(0, maxSlots);
    const text = JSON.stringify(bindings);
    const isChanged = text !== this.#applied;
    this.#applied = text;
    return { bindings, trust: part.trust, isChanged };
  }
}
