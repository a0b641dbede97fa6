/** One surface as the gateway serves it: its slots with their feeds, and what it is told when it comes online. */
import type { Trust } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import type { ControlSurface } from '../../config/schema.ts';
import type { Log } from '../../log.ts';
import type { Binding, Verb } from '../../surface/types.ts';
import type { Cluster } from '../kube/types.ts';
import {
  type BirthMessage,
  bindingsPerPart,
  type CtlMessage,
  encode,
  maxMessageBytes,
  type StatusMessage,
} from '../wire/messages.ts';
import { ctlTopic, slotTopic, wireVersion } from '../wire/topics.ts';
import { SlotFeed } from './feed.ts';
import type { Ownership } from './ownership.ts';
import { Presence, type PresenceChange } from './presence.ts';
import { coloursOf, resolveBindings, type Slot, SlotTable } from './slots.ts';
import type { Timers } from './timers.ts';
import type { BlockedNote } from './view.ts';

/** A surface that has connected but not said what it is is asked after so long, milliseconds. */
export const rebirthAfterMs = 3000;

export interface SessionTools {
  readonly site: string;
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly trustOf: (surface: string) => Trust;
  readonly ownership: Ownership;
  /** This gateway and this process of it, as surfaces are told who serves them. */
  readonly gateway: { readonly name: string; readonly session: string };
  readonly publish: (topic: string, payload: Uint8Array, isRetained: boolean) => void;
  /** Whether commands are followed by traces, so that surfaces may begin them. */
  readonly isTracing: boolean;
  readonly noteOf: (slot: Slot) => BlockedNote | null;
  readonly forgetNote: (slot: Slot) => void;
  /** It has said what it is, also when it says so again; null: it has gone. */
  readonly onPresence: (surface: string, birth: BirthMessage | null) => void;
}

export class SurfaceSession {
  readonly name: string;
  readonly #tools: SessionTools;
  readonly #presence = new Presence();
  readonly #table = new SlotTable();
  readonly #feeds = new Map<number, SlotFeed>();
  #slots: readonly Slot[] = [];
  #problems: readonly string[] = [];
  #sentBindings = '';
  #rev = 0;
  /** What `heldSince` was when the surface was served; null: it is another gateway's. */
  #heldSince: number | null = null;
  /** It has come from another gateway, and may not have heard yet which slot is which here. */
  #isHearing = false;
  #cancelRebirth: (() => void) | null = null;

  constructor(name: string, tools: SessionTools) {
    this.name = name;
    this.#tools = tools;
  }

  get isOnline(): boolean {
    return this.#presence.isOnline;
  }

  get model(): string | null {
    return this.#presence.birth?.model ?? null;
  }

  /** What it said last that it is; null: nothing yet. */
  get birth(): BirthMessage | null {
    return this.#presence.birth;
  }

  /** Bindings that do not fit the panel. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  get feeds(): Iterable<SlotFeed> {
    return this.#feeds.values();
  }

  /** Whether its commands can mean slots of another gateway, which may have numbered them otherwise. */
  get isHearing(): boolean {
    return this.#isHearing;
  }

  feed(slot: number): SlotFeed | null {
    return this.#feeds.get(slot) ?? null;
  }

  /** Takes over what the registry says now; a revoked surface is served nothing. */
  configure({ spec }: ControlSurface): void {
    const slots = this.#table.assign(spec.isRevoked ? [] : spec.bindings, this.#tools.clock.now());
    const colours = coloursOf(slots);
    const kept = new Set<number>();
    for (const slot of slots) {
      const feed = this.#feeds.get(slot.slot);
      if (feed && JSON.stringify(feed.slot) === JSON.stringify(slot))
        feed.recolour(colours.get(slot.slot) ?? 'blue');
      else {
        feed?.close();
        this.#feeds.set(slot.slot, this.#newFeed(slot, colours.get(slot.slot) ?? 'blue'));
      }
      kept.add(slot.slot);
    }
    for (const [number, feed] of this.#feeds) if (!kept.has(number)) this.#drop(number, feed);
    this.#slots = slots;
    if (this.isOnline) this.#serve(false);
  }

  born(birth: BirthMessage, isRetained: boolean): void {
    if (!isRetained) this.#isHearing = false;
    const change = this.#presence.born(birth, isRetained);
    this.#changed(change);
    // What the broker has kept may be of the time of another gateway.
    if (isRetained && change === 'came') this.#awaitHearing();
  }

  status(status: StatusMessage): void {
    this.#changed(this.#presence.status(status));
  }

  connection(isConnected: boolean): void {
    this.#changed(this.#presence.connection(isConnected));
  }

  /**
   * Looks whether the surface has come to this gateway or left it. What was sent by others is not known here, so it is served
   * anew; what leaves stays warm: presence and watches go on.
   * @returns true when it has come
   */
  reconsider(): boolean {
    const { ownership } = this.#tools;
    const since = ownership.isMine(this.name) ? ownership.heldSince(this.name) : null;
    if (since === this.#heldSince) return false;
    this.#heldSince = since;
    if (since === null) {
      for (const feed of this.#feeds.values()) feed.pause();
      // What its display shows may change from now on without anybody to tell it.
      const { session } = this.#tools.gateway;
      const message: CtlMessage = { v: wireVersion, type: 'unserved', session };
      this.#tools.publish(ctlTopic(this.#tools.site, this.name), encode(message), false);
    } else if (this.isOnline) {
      this.#serve(true);
      this.#awaitHearing();
    }
    return since !== null;
  }

  /** Ends all watches and takes retained slots away when the surface has left the registry. */
  close(isRemoved: boolean): void {
    this.#cancelRebirth?.();
    this.#cancelRebirth = null;
    for (const [number, feed] of this.#feeds) {
      if (isRemoved) this.#drop(number, feed);
      else feed.close();
    }
    this.#feeds.clear();
  }

  #changed(change: PresenceChange): void {
    switch (change) {
      case 'came':
        this.#cancelRebirth?.();
        this.#cancelRebirth = null;
        this.#tools.log.info({ surface: this.name, model: this.model }, 'surface is online');
        this.#tools.onPresence(this.name, this.#presence.birth);
        this.#serve(true);
        return;
      case 'went':
        for (const feed of this.#feeds.values()) feed.pause();
        this.#tools.log.info({ surface: this.name }, 'surface is offline');
        this.#tools.onPresence(this.name, null);
        return;
      case 'announced':
        this.#cancelRebirth ??= this.#tools.timers.after(rebirthAfterMs, () => {
          this.#cancelRebirth = null;
          this.#sendCtl({ v: wireVersion, type: 'rebirth' });
        });
        return;
      case null:
    }
  }

  /** It answers when it has read what came before, and sends in order: what comes after means our slots. */
  #awaitHearing(): void {
    this.#isHearing = true;
    this.#sendCtl({ v: wireVersion, type: 'rebirth' });
  }

  /** Sends the bindings, then each slot of a control that the panel has, if the surface is this gateway's. */
  #serve(isNew: boolean): void {
    if (!this.#tools.ownership.isMine(this.name)) return;
    if (isNew) this.#sendCtl({ v: wireVersion, type: 'served', ...this.#servedBy });
    const resolved = resolveBindings(this.#slots, this.#presence.birth?.controls ?? []);
    if (resolved.problems.join() !== this.#problems.join()) {
      this.#problems = resolved.problems;
      for (const problem of resolved.problems)
        this.#tools.log.warn({ surface: this.name, problem }, 'binding does not fit the panel');
    }
    const trust = this.#tools.trustOf(this.name);
    const text = JSON.stringify([trust, resolved.bindings]);
    const isChanged = text !== this.#sentBindings;
    if (isNew || isChanged) {
      this.#sentBindings = text;
      this.#sendBindings(resolved.bindings, trust);
    }
    for (const { slot } of resolved.bindings) {
      const feed = this.#feeds.get(slot);
      // A feed may be new although the surface is told nothing new of its binding.
      if (feed && (isNew || isChanged || !feed.isLive)) feed.resend();
    }
  }

  get #servedBy(): { readonly gateway: string; readonly session: string } {
    const { name, session } = this.#tools.gateway;
    return { gateway: name, session };
  }

  #sendBindings(bindings: readonly Binding[], trust: Trust): void {
    const rev = this.#nextRev();
    const others = bindings.filter(hasVerb);
    // Older surfaces read only bindings that scale; what they leave out comes first, as these complete the revision.
    const other = others.length === 0 ? [] : partsOf(others);
    other.forEach((part, index) => {
      const of = { rev, part: index, parts: other.length };
      this.#sendCtl({ v: wireVersion, type: 'verbs', ...of, bindings: part });
    });
    const parts = partsOf(bindings.filter((binding) => !hasVerb(binding)));
    parts.forEach((part, index) => {
      const of = { rev, part: index, parts: parts.length };
      this.#sendCtl({ v: wireVersion, type: 'bindings', ...of, bindings: part, trust });
    });
    if (this.#tools.isTracing) this.#sendCtl({ v: wireVersion, type: 'tracing' });
  }

  #newFeed(slot: Slot, colour: ConstructorParameters<typeof SlotFeed>[1]): SlotFeed {
    const { cluster, clock, timers, noteOf, forgetNote, site } = this.#tools;
    return new SlotFeed(slot, colour, {
      cluster,
      clock,
      timers,
      noteOf,
      forgetNote,
      nextRev: () => this.#nextRev(),
      publish: (number, payload) => this.#publish(slotTopic(site, this.name, number), payload, true),
    });
  }

  /** Above those of an earlier process, and growing even when the clock goes back. */
  #nextRev(): number {
    this.#rev = Math.max(this.#rev + 1, this.#tools.clock.now());
    return this.#rev;
  }

  /** An empty retained message takes the retained one away (MQTT 3.1.1, section 3.3.1.3). */
  #drop(number: number, feed: SlotFeed): void {
    feed.close();
    this.#feeds.delete(number);
    this.#publish(slotTopic(this.#tools.site, this.name, number), new Uint8Array(0), true);
  }

  #sendCtl(message: CtlMessage): void {
    this.#publish(ctlTopic(this.#tools.site, this.name), encode(message), false);
  }

  /** Only one gateway speaks to a surface. */
  #publish(topic: string, payload: Uint8Array, isRetained: boolean): void {
    const { ownership, publish } = this.#tools;
    if (ownership.isMine(this.name)) publish(topic, payload, isRetained);
  }
}

type VerbBinding = Binding & { readonly verb: Exclude<Verb, 'scale'> };
const hasVerb = (binding: Binding): binding is VerbBinding =>
  binding.verb !== undefined && binding.verb !== 'scale';

/** Room for the fields around the bindings of a part, bytes. */
const partHeadBytes = 256;

/** Splits bindings so that each part fits in a message; no bindings are one empty part. */
export function partsOf<B extends Binding>(bindings: readonly B[]): B[][] {
  const parts: B[][] = [[]];
  let bytes = partHeadBytes;
  for (const binding of bindings) {
    const size = Buffer.byteLength(JSON.stringify(binding)) + 1;
    const last = parts.at(-1) ?? [];
    if (last.length > 0 && (last.length >= bindingsPerPart || bytes + size > maxMessageBytes)) {
      parts.push([binding]);
      bytes = partHeadBytes + size;
    } else {
      last.push(binding);
      bytes += size;
    }
  }
  return parts;
}
