/** A simulated API server for Leases, machines with clocks of their own, and a network that loses and delays. */
import { setImmediate as turn } from 'node:timers/promises';
import { KubeError } from '../../../daemon/bridge/kube/types.ts';
import { shardOf } from '../../../daemon/bridge/shards/shard-of.ts';
import { startShards } from '../../../daemon/bridge/shards/shards.ts';
import type { LeaseApi, LeaseDraft, LeaseRecord, Shards } from '../../../daemon/bridge/shards/types.ts';
import { silentLog } from '../../../daemon/log.ts';

export const durationMs = 15_000;

const refused = (status: number) =>
  new KubeError(`refused ${status}`, { status, reason: 'Conflict', retryAfterMs: null, isUncertain: false });
const lost = () =>
  new KubeError('no answer', { status: 0, reason: 'Timeout', retryAfterMs: null, isUncertain: true });

/** Numbers of 0 to 1 from a seed (mulberry32), so that a failing run can be repeated. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

/** Time goes on only by {@link World.run}; everything that happens is an entry of one queue. */
export class World {
  now = 0;
  isApiAway = false;
  /** Of requests and of answers, 0 to 1. */
  lossRate = 0;
  /** Longest way of a request or an answer, milliseconds. */
  delayMs = 20;
  readonly random: () => number;
  readonly leases = new Map<string, LeaseRecord>();
  #version = 0;
  #order = 0;
  readonly #queue = new Set<Entry>();

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  after(delayMs: number, action: () => void): () => void {
    const entry = { at: this.now + Math.max(0, delayMs), order: this.#order++, action };
    this.#queue.add(entry);
    return () => void this.#queue.delete(entry);
  }

  /** Lets time pass; `look` is called after everything that happened. */
  async run(ms: number, look: () => void): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      let next: Entry | null = null;
      for (const entry of this.#queue)
        if (!next || entry.at < next.at || (entry.at === next.at && entry.order < next.order)) next = entry;
      if (!next || next.at > end) break;
      this.now = next.at;
      this.#queue.delete(next);
      next.action();
      await turn();
      look();
    }
    this.now = end;
    look();
  }

  /** What the API server does, in one moment. */
  write(draft: LeaseDraft, resourceVersion: string | null): LeaseRecord {
    const before = this.leases.get(draft.name);
    if (resourceVersion === null && before) throw refused(409);
    if (resourceVersion !== null && !before) throw refused(404);
    if (resourceVersion !== null && before?.resourceVersion !== resourceVersion) throw refused(409);
    const { renewTime: _, ...rest } = draft;
    const record = { ...rest, resourceVersion: String(++this.#version) };
    this.leases.set(draft.name, record);
    return record;
  }

  remove(name: string, resourceVersion: string): void {
    const before = this.leases.get(name);
    if (!before) throw refused(404);
    if (before.resourceVersion !== resourceVersion) throw refused(409);
    this.leases.delete(name);
  }
}

/** One gateway on a machine whose clock runs at its own rate and shows its own time. */
export class Machine {
  readonly name: string;
  readonly count: number;
  readonly shards: Shards;
  isKilled = false;
  /** Its network is cut: requests and answers are lost. */
  isCut = false;
  /** Answers to it take longer by this, milliseconds. */
  answerMs = 0;
  /** Milliseconds that somebody has set the wall clock by. */
  setMs = 0;
  readonly #world: World;
  readonly #rate: number;
  readonly #offset: number;
  #isFrozen = false;
  #missed: (() => void)[] = [];

  constructor(world: World, name: string, count: number) {
    this.#world = world;
    this.name = name;
    this.count = count;
    this.#rate = 0.95 + world.random() / 10;
    this.#offset = 1000 + world.random() * 1e9;
    this.setMs = (world.random() - 0.5) * 1e10;
    this.shards = startShards({
      api: this.#api(),
      identity: name,
      count,
      durationMs,
      clock: {
        monotonic: () => this.#offset + world.now * this.#rate,
        now: () => 1.7e12 + this.setMs + world.now * this.#rate,
      },
      timers: { after: (ms, action) => world.after(ms / this.#rate, () => this.#here(action)) },
      random: world.random,
      log: silentLog,
    });
  }

  /** Whether it would act for a surface if it were asked now: a frozen one cannot be. */
  actsFor(surface: string): boolean {
    return !this.isKilled && !this.#isFrozen && this.shards.isMine(surface);
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  wake(): void {
    this.#isFrozen = false;
    for (const action of this.#missed.splice(0)) action();
  }

  #here(action: () => void): void {
    if (this.isKilled) return;
    if (this.#isFrozen) this.#missed.push(action);
    else action();
  }

  #call<Value>(work: () => Value): Promise<Value> {
    const world = this.#world;
    return new Promise((resolve, reject) => {
      const way = (): number => world.random() ** 4 * world.delayMs;
      const answer = (tell: () => void): void => {
        if (this.isCut || world.random() < world.lossRate)
          world.after(10_000, () => this.#here(() => reject(lost())));
        else world.after(way() + this.answerMs, () => this.#here(tell));
      };
      if (this.isCut || world.isApiAway || world.random() < world.lossRate) {
        world.after(10_000, () => this.#here(() => reject(lost())));
        return;
      }
      world.after(way(), () => {
        try {
          const value = work();
          answer(() => resolve(value));
        } catch (error) {
          answer(() => reject(error as Error));
        }
      });
    });
  }

  #api(): LeaseApi {
    const world = this.#world;
    return {
      list: () => this.#call(() => [...world.leases.values()]),
      create: (draft) => this.#call(() => world.write(draft, null)),
      update: (draft, resourceVersion) => this.#call(() => world.write(draft, resourceVersion)),
      remove: (name, resourceVersion) => this.#call(() => world.remove(name, resourceVersion)),
    };
  }
}

/** For each count a surface in every shard, so that gateways that divide otherwise are compared, too. */
export function surfacesOf(counts: readonly number[]): readonly string[] {
  const names: string[] = [];
  for (const count of counts) {
    const missing = new Set(Array.from({ length: count }, (_, shard) => shard));
    for (let index = 0; missing.size > 0; index++) {
      const name = `surface-${index}`;
      if (missing.delete(shardOf(name, count))) names.push(name);
    }
  }
  return [...new Set(names)];
}
