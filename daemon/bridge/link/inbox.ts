/** Puts slots and bindings in order before the surface sees them. Pure. */
import type { Trust } from '../../attest/types.ts';
import type { Binding, SlotView } from '../../surface/types.ts';
import type { CtlMessage, SlotMessage } from '../wire/messages.ts';
import { maxSlots } from '../wire/topics.ts';

type BindingsPart = Extract<CtlMessage, { type: 'bindings' }>;
type VerbsPart = Extract<CtlMessage, { type: 'verbs' }>;

/** Puts the parts of one revision together; a part of another one begins anew. */
class Parts<Part extends { readonly rev: number; readonly part: number; readonly parts: number }> {
  #rev: number | null = null;
  #count = 0;
  readonly #byPart = new Map<number, Part>();

  /** All parts in their order, once the last one is there. */
  take(part: Part): readonly Part[] | null {
    if (this.#rev !== part.rev || this.#count !== part.parts) this.forget();
    this.#rev = part.rev;
    this.#count = part.parts;
    if (part.part >= part.parts) return null;
    this.#byPart.set(part.part, part);
    if (this.#byPart.size < part.parts) return null;
    const all = [...this.#byPart.values()].sort((one, other) => one.part - other.part);
    this.forget();
    return all;
  }

  forget(): void {
    this.#rev = null;
    this.#byPart.clear();
  }
}

/** All parts of one revision of the bindings. */
export interface Bindings {
  readonly bindings: readonly Binding[];
  readonly trust: Trust;
  /** False when they are what they were: the surface must not lose its pick-ups over it. */
  readonly isChanged: boolean;
}

export class Inbox {
  readonly #slots = new Map<number, { rev: number; isRetained: boolean }>();
  readonly #parts = new Parts<BindingsPart>();
  readonly #verbParts = new Parts<VerbsPart>();
  /** Of the revision that they came with: its other bindings complete it. */
  #verbs: { readonly rev: number; readonly bindings: readonly Binding[] } | null = null;
  #applied = '';

  /** Revisions start over with a connection and with a session of the gateway. */
  restart(): void {
    this.#slots.clear();
    this.#parts.forget();
    this.#verbParts.forget();
    this.#verbs = null;
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

  /** Takes one part of what comes with the bindings of its revision. */
  verbs(part: VerbsPart): void {
    const all = this.#verbParts.take(part);
    if (all !== null) this.#verbs = { rev: part.rev, bindings: all.flatMap((each) => each.bindings) };
  }

  /** Takes one part; all bindings once the last part of its revision is there. */
  bindings(part: BindingsPart): Bindings | null {
    const all = this.#parts.take(part);
    if (all === null) return null;
    const verbs = this.#verbs?.rev === part.rev ? this.#verbs.bindings : [];
    const ordered: readonly Binding[] = [...all.flatMap((each) => each.bindings), ...verbs];
    // A slot is bound once; a second one would make two controls fight over it.
    const bySlot = new Map(ordered.map((each) => [each.slot, each]));
    const bindings = [...bySlot.values()].slice(0, maxSlots);
    const text = JSON.stringify(bindings);
    const isChanged = text !== this.#applied;
    this.#applied = text;
    return { bindings, trust: part.trust, isChanged };
  }
}
