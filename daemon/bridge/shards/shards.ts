/**
 * Surfaces hashed into shards, each shard a Lease that one gateway holds. Every writing carries the resourceVersion that was
 * read, so of two that want a Lease one gets it; every gateway keeps a Lease of its own to be counted, and to be told off
 * when it divides the surfaces otherwise. README.md has the argument why no two ever act for one surface.
 */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { sleep, type Timers } from '../gateway/timers.ts';
import { KubeError } from '../kube/types.ts';
import { Grip, type Sent } from './grip.ts';
import { replicaPrefix, shardPrefix } from './leases.ts';
import { shardOf } from './shard-of.ts';
import type { LeaseApi, LeaseDraft, LeaseRecord, Shards } from './types.ts';

export interface ShardsOptions {
  readonly api: LeaseApi;
  /** Name of this process and of no other, also not of the one before it: `[a-z0-9.-]`, at most 200. */
  readonly identity: string;
  /** How many shards; 1: one gateway acts for all surfaces, the others are warm. */
  readonly count: number;
  /** Longest time until another gateway takes over from one that was killed, milliseconds; whole seconds. */
  readonly durationMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
}

/** Longest wait for what is under way when a shard is handed over or everything ends, milliseconds. */
const drainMs = 4000;

/** Joins the gateways; it acts for nothing until it has a Lease. */
export function startShards(options: ShardsOptions): Shards {
  const keeper = new ShardKeeper(options);
  keeper.start();
  return keeper;
}

class ShardKeeper implements Shards {
  readonly #options: ShardsOptions;
  readonly #grip: Grip;
  readonly #listeners: (() => void | Promise<void>)[] = [];
  /** When each version of each Lease was first seen, monotonic milliseconds. */
  #seen = new Map<string, { readonly record: LeaseRecord; readonly at: number }>();
  /** When Leases of shards were made by this gateway, or first found to have been, monotonic milliseconds. */
  readonly #madeAt = new Map<number, number>();
  readonly #leaving = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  readonly #giveUp = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #cancelWatch = (): void => {};
  #mine = '';
  #replicas = 1;
  #problems: readonly string[] = [];
  #failure: string | null = null;

  constructor(options: ShardsOptions) {
    this.#options = options;
    this.#grip = new Grip(options.clock, options.durationMs);
  }

  start(): void {
    this.#running = this.#run();
  }

  isMine(surface: string): boolean {
    return this.mayActUntil(surface) > 0;
  }

  mayActUntil(surface: string): number {
    return this.#grip.actsUntil(shardOf(surface, this.#options.count));
  }

  heldSince(surface: string): Sent | null {
    return this.isMine(surface)
      ? (this.#grip.get(shardOf(surface, this.#options.count))?.since ?? null)
      : null;
  }

  onChange(listener: () => void | Promise<void>): void {
    this.#listeners.push(listener);
  }

  status(): ReturnType<Shards['status']> {
    return {
      held: this.#acting(),
      replicas: this.#replicas,
      problems: [...this.#problems, ...(this.#failure === null ? [] : [`Leases: ${this.#failure}`])],
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { timers, api } = this.#options;
    this.#ending.abort();
    const cancel = timers.after(2 * drainMs, () => this.#giveUp.abort(new Error('closed')));
    const leaving = this.#leave(this.#grip.kept, this.#running);
    await Promise.all([this.#running, leaving, ...this.#leaving]);
    this.#cancelWatch();
    const { own } = this.#grip;
    if (own !== null)
      await api
        .remove(own.record.name, own.record.resourceVersion, this.#giveUp.signal)
        .catch((error: unknown) => this.#failed(error, 'own Lease was not taken away'));
    cancel();
    this.#grip.setOwn(null);
  }

  async #run(): Promise<void> {
    const { timers, random, durationMs, log } = this.#options;
    while (!this.#ending.signal.aborted) {
      try {
        await this.#round();
        this.#failure = null;
      } catch (error) {
        this.#failed(error, 'Leases cannot be read or written');
      }
      this.#announce().catch((error: unknown) =>
        log.error({ err: error }, 'change of shards failed by a defect'),
      );
      await sleep(timers, (durationMs / 7.5) * (0.75 + random() / 2), this.#ending.signal);
    }
  }

  /** The own Leases first, because they run out; then all, and what follows from them. */
  async #round(): Promise<void> {
    await Promise.all([this.#renewOwn(), ...this.#grip.kept.map((shard) => this.#renew(shard))]);
    const listed = await this.#options.api.list(this.#giveUp.signal);
    this.#observe(listed);
    // A list that was asked for after the own Lease stood shows those who cannot have seen it: see README.md.
    if (this.#grip.own === null || this.#ending.signal.aborted) return;
    const { count } = this.#options;
    const others = listed.filter(({ name }) => name.startsWith(replicaPrefix) && name !== this.#ownName());
    const strangers = others.filter((other) => other.count !== count);
    const live = others.filter((other) => other.count === count && !this.#isOver(other, 1));
    // Whoever divides otherwise and seems dead must not come back unnoticed; of the rest only old ones are litter.
    for (const other of others)
      if (this.#isOver(other, other.count === count ? 8 : 1)) await this.#remove(other);
    this.#problems = strangers.map(
      ({ name, count: theirs }) =>
        `${name} divides surfaces into ${theirs} shards, this gateway into ${count}`,
    );
    this.#replicas = live.length + 1;
    const share = Math.ceil(count / this.#replicas);
    const { kept } = this.#grip;
    if (kept.length > share) void this.#leave(kept.slice(share), Promise.resolve());
    else if (strangers.length === 0) await this.#acquire(share - kept.length);
  }

  #ownName(): string {
    return `${replicaPrefix}${this.#options.identity}`;
  }

  async #renewOwn(): Promise<void> {
    const { api } = this.#options;
    const { own } = this.#grip;
    if (own !== null && !this.#isDue(own.sent)) return;
    const name = this.#ownName();
    const before = own?.record ?? this.#seen.get(name)?.record ?? null;
    const sent = this.#sent();
    const draft = this.#draft(name, before);
    try {
      const record = before
        ? await api.update(draft, before.resourceVersion, this.#giveUp.signal)
        : await api.create(draft, this.#giveUp.signal);
      this.#grip.setOwn({ record, sent });
    } catch (error) {
      // Taken away or written by somebody else: what rests on it is not sure any more.
      if (isRefused(error)) this.#grip.setOwn(null);
      this.#failed(error, 'own Lease was not written');
    }
  }

  async #renew(shard: number): Promise<void> {
    const hold = this.#grip.get(shard);
    if (!hold) return;
    // Once it was not sure any more it is to be taken anew, like that of somebody else.
    if (this.#grip.sureUntil(shard) === 0) this.#grip.drop(shard);
    else if (this.#isDue(hold.sent)) {
      const sent = this.#sent();
      try {
        const draft = this.#draft(hold.record.name, hold.record);
        const { resourceVersion } = hold.record;
        const record = await this.#options.api.update(draft, resourceVersion, this.#giveUp.signal);
        this.#grip.renewed(shard, record, sent);
      } catch (error) {
        if (isRefused(error)) this.#grip.drop(shard);
        this.#failed(error, 'Lease was not renewed');
      }
    }
  }

  async #acquire(most: number): Promise<void> {
    const { count, random, clock, durationMs, identity, api } = this.#options;
    const free: { readonly shard: number; readonly record: LeaseRecord | null; readonly order: number }[] =
      [];
    for (let shard = 0; shard < count; shard++) {
      if (this.#grip.get(shard)) continue;
      const record = this.#seen.get(`${shardPrefix}${shard}`)?.record ?? null;
      const isFree = !record || record.holder === '' || record.holder === identity || this.#isOver(record, 1);
      if (isFree) free.push({ shard, record, order: random() });
    }
    free.sort((one, other) => one.order - other.order);
    const take = async (shard: number, before: LeaseRecord | null): Promise<void> => {
      const sent = this.#sent();
      const draft = this.#draft(`${shardPrefix}${shard}`, before);
      try {
        if (before === null) this.#madeAt.delete(shard);
        const record = before
          ? await api.update(draft, before.resourceVersion, this.#giveUp.signal)
          : await api.create(draft, this.#giveUp.signal);
        const isOwnMake = before === null || (before.holder === identity && before.transitions === 0);
        if (isOwnMake && !this.#madeAt.has(shard)) this.#madeAt.set(shard, clock.monotonic());
        // There may have been one before it that somebody has deleted, whose holder still acts.
        const actsFrom = isOwnMake ? (this.#madeAt.get(shard) ?? 0) + durationMs : 0;
        this.#grip.take(shard, { record, sent, actsFrom });
      } catch (error) {
        // Refused: another gateway was quicker.
        if (!isRefused(error)) this.#failed(error, 'Lease was not taken');
      }
    };
    await Promise.all(free.slice(0, most).map(({ shard, record }) => take(shard, record)));
  }

  /** Stops acting, lets what is under way end, and then gives back. */
  async #leave(kept: readonly number[], after: Promise<void>): Promise<void> {
    // What was made only just now must not be anybody's before its time, so it is left to run out.
    const shards = kept.filter((shard) => this.#grip.actsUntil(shard) > 0);
    const leaving = (async () => {
      const { clock, timers, api } = this.#options;
      const sureMs = Math.max(0, ...shards.map((shard) => this.#grip.sureUntil(shard) - clock.monotonic()));
      for (const shard of shards) this.#grip.leave(shard);
      const told = this.#announce().catch((error: unknown) =>
        this.#failed(error, 'work on a shard did not end'),
      );
      const late = new AbortController();
      await Promise.race([told, sleep(timers, Math.min(drainMs, sureMs), late.signal)]);
      late.abort();
      await after;
      await Promise.all(
        shards.map(async (shard) => {
          const hold = this.#grip.get(shard);
          if (!hold) return;
          const { record } = hold;
          const draft = { ...this.#draft(record.name, record), holder: '', durationMs: 1000 };
          await api
            .update(draft, record.resourceVersion, this.#giveUp.signal)
            .catch((error: unknown) =>
              this.#failed(error, 'Lease was not given back; it runs out by itself'),
            );
          this.#grip.drop(shard);
        }),
      );
    })();
    this.#leaving.add(leaving);
    await leaving.finally(() => this.#leaving.delete(leaving));
  }

  async #remove({ name, resourceVersion }: LeaseRecord): Promise<void> {
    await this.#options.api
      .remove(name, resourceVersion, this.#giveUp.signal)
      .catch((error: unknown) => this.#failed(error, 'Lease of a gateway that is gone was not taken away'));
  }

  #observe(listed: readonly LeaseRecord[]): void {
    const now = this.#options.clock.monotonic();
    const seen = new Map<string, { readonly record: LeaseRecord; readonly at: number }>();
    for (const record of listed) {
      const before = this.#seen.get(record.name);
      const isSame = before?.record.resourceVersion === record.resourceVersion;
      seen.set(record.name, isSame ? before : { record, at: now });
      if (!record.name.startsWith(shardPrefix) || record.holder !== this.#options.identity) continue;
      this.#grip.seen(Number(record.name.slice(shardPrefix.length)), record);
    }
    this.#seen = seen;
  }

  /** Whether nobody has written it for so many of its durations, as far as this gateway has seen. */
  #isOver(record: LeaseRecord, times: number): boolean {
    const { clock, durationMs } = this.#options;
    const seen = this.#seen.get(record.name);
    if (seen?.record.resourceVersion !== record.resourceVersion) return false;
    return clock.monotonic() - seen.at >= times * Math.max(record.durationMs, durationMs);
  }

  #isDue({ at }: Sent): boolean {
    return this.#options.clock.monotonic() - at >= this.#options.durationMs / 3;
  }

  #sent(): Sent {
    return { at: this.#options.clock.monotonic(), wall: this.#options.clock.now() };
  }

  #draft(name: string, before: LeaseRecord | null): LeaseDraft {
    const { identity, count, durationMs, clock } = this.#options;
    // MicroTime has six digits (Kubernetes API reference, Lease v1).
    const renewTime = new Date(clock.now()).toISOString().replace('Z', '000Z');
    const isSame = before?.holder === identity;
    return {
      ...{ name, holder: identity, count, durationMs, renewTime },
      transitions: before === null ? 0 : before.transitions + (isSame ? 0 : 1),
      acquireTime: isSame && before.acquireTime !== '' ? before.acquireTime : renewTime,
    };
  }

  #acting(): readonly number[] {
    return this.#grip.kept
      .filter((shard) => this.#grip.actsUntil(shard) > 0)
      .sort((one, other) => one - other);
  }

  /** Tells listeners when something has changed, and looks again when something will by itself. */
  async #announce(): Promise<void> {
    const { clock, timers, log } = this.#options;
    this.#cancelWatch();
    const next = this.#grip.nextChange;
    if (next !== null && this.#closing === null)
      this.#cancelWatch = timers.after(Math.max(1, next - clock.monotonic()), () => {
        this.#announce().catch((error: unknown) =>
          this.#failed(error, 'change of shards failed by a defect'),
        );
      });
    const held = this.#acting();
    // One that was lost and taken again in between is news, too: others may have acted on it.
    const mine = held.map((shard) => `${shard} since ${this.#grip.get(shard)?.since.at}`).join();
    if (mine === this.#mine) return;
    this.#mine = mine;
    log.info({ held, replicas: this.#replicas }, 'shards changed');
    await Promise.all(this.#listeners.map((listener) => listener()));
  }

  #failed(error: unknown, what: string): void {
    this.#failure = error instanceof Error ? error.message : String(error);
    this.#options.log.warn({ err: error }, what);
  }
}

/** The API server has answered that it is not what it was: nothing was written. */
const isRefused = (error: unknown): boolean =>
  error instanceof KubeError && (error.status === 409 || error.status === 404);
