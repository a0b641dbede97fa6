/**
 * What the link knows of the gateway from its status beats: session, health, and time. Of several gateways the one that
 * serves this surface counts, as soon as it has said so. Pure: time is given.
 */
import type { Millis } from '../../surface/types.ts';
import type { GatewayStatusMessage } from '../wire/messages.ts';

/** Beats that the clock is read from; an estimate that was too high is forgotten after as many. */
const clockSamples = 5;

/** Beats that may be missed before the gateway counts as silent. */
const missedBeats = 3;

/** A beat that is further behind is not late: the clock was set back. So far ahead of it commands are refused. */
const longestDelayMs = 2000;

/** Gateways whose beats are kept apart; only gateways can publish them. */
const maxGateways = 64;

/** One gateway, or all of them as if they were one. */
class Beats {
  readonly #beatIntervalMs: number;
  #session: string | null = null;
  #last: GatewayStatusMessage | null = null;
  #lastBeatAt: Millis | null = null;
  #isOffline = false;
  /** Gateway time minus own monotonic time, one for each beat. */
  #offsets: number[] = [];

  constructor(beatIntervalMs: number) {
    this.#beatIntervalMs = beatIntervalMs;
  }

  /** The gateway's session, null before its first beat. */
  get session(): string | null {
    return this.#session;
  }

  /** Only beats of this session count from now on; none has been heard yet. */
  expect(session: string): void {
    if (session === this.#session) return;
    this.#session = session;
    this.#last = null;
    this.#offsets = [];
    this.awaitBeat();
  }

  /** A connection begins anew: what was heard before says nothing about now; the clock stays. */
  awaitBeat(): void {
    this.#lastBeatAt = null;
    this.#isOffline = false;
  }

  /**
   * Takes one status. A retained one may be of any age and counts for nothing; a late message of an older session
   * does not speak for the gateway of now.
   * @returns true when the gateway was started anew
   */
  take(message: GatewayStatusMessage, isRetained: boolean, at: Millis): boolean {
    if (isRetained) return false;
    const isCurrent = message.session === this.#session;
    if (message.state === 'offline') {
      if (isCurrent) this.#isOffline = true;
      return false;
    }
    if (this.#last !== null && isCurrent && message.seq < this.#last.seq) return false;
    // Older by its time only: where the current session is not heard, it is the new one's clock that was set back.
    if (this.#last !== null && !isCurrent && message.at < this.#last.at && this.#isHeard(at)) return false;
    const isNew = this.#session !== null && !isCurrent;
    const offset = message.at - at;
    if (isNew || Math.max(...this.#offsets) - offset > longestDelayMs) this.#offsets = [];
    this.#session = message.session;
    this.#last = message;
    this.#lastBeatAt = at;
    this.#isOffline = false;
    this.#offsets = [...this.#offsets, offset].slice(-clockSamples);
    return isNew;
  }

  /** Gateway time now, Unix milliseconds; null before the first beat. */
  time(at: Millis): number | null {
    // A beat is late by its way, never early: the largest difference is the nearest.
    return this.#offsets.length === 0 ? null : Math.round(Math.max(...this.#offsets) + at);
  }

  /** Why commands cannot be sent now, one sentence; null when they can. */
  problem(at: Millis): string | null {
    if (this.#isOffline) return 'The gateway is stopping or has lost its broker.';
    if (this.#lastBeatAt === null) return 'Waiting for the gateway.';
    if (!this.#isHeard(at)) return 'The gateway is silent.';
    if (this.#last?.apiHealthy === false) return this.#last.detail || 'The API server is away.';
    return null;
  }

  #isHeard(at: Millis): boolean {
    if (this.#isOffline || this.#lastBeatAt === null) return false;
    return at - this.#lastBeatAt <= missedBeats * this.#beatIntervalMs;
  }
}

export class GatewayWatch {
  readonly #beatIntervalMs: number;
  /** Until a gateway says that it serves this surface, the latest beat of any counts. */
  readonly #all: Beats;
  readonly #each = new Map<string, Beats>();
  #serving: Beats | null = null;
  /** Whether it was said over this connection, and holds: meanwhile another one may have taken over. */
  #isSaid = false;

  constructor(beatIntervalMs: number) {
    this.#beatIntervalMs = beatIntervalMs;
    this.#all = new Beats(beatIntervalMs);
  }

  /** The gateway's session, null before its first beat. */
  get session(): string | null {
    return this.#current.session;
  }

  /** A connection begins anew: what was heard before says nothing about now; the clock stays. */
  awaitBeat(): void {
    this.#isSaid = false;
    for (const beats of [this.#all, ...this.#each.values()]) beats.awaitBeat();
  }

  /**
   * Takes one status of the gateway of this name.
   * @returns true when the gateway that serves this surface was started anew
   */
  take(gateway: string, message: GatewayStatusMessage, isRetained: boolean, at: Millis): boolean {
    const own = this.#of(gateway);
    const isNew = own.take(message, isRetained, at);
    const isNewOfAll = this.#all.take(message, isRetained, at);
    if (this.#serving === null) return isNewOfAll;
    return this.#serving === own && isNew;
  }

  /**
   * This gateway serves the surface from now on.
   * @returns true when another one did, or the same before it was started anew
   */
  served(gateway: string, session: string): boolean {
    const before = this.session;
    this.#isSaid = true;
    this.#serving = this.#of(gateway);
    this.#serving.expect(session);
    return before !== null && before !== session;
  }

  /** The gateway of this session has given the surface up: its beats say nothing of what displays show. */
  unserved(session: string): void {
    if (this.#serving?.session === session) this.#isSaid = false;
  }

  /** Bindings have come: a gateway that does not say whom it serves is the only one. */
  bound(): void {
    if (!this.#isSaid) this.#serving = null;
  }

  /** Gateway time now, Unix milliseconds; null before the first beat. */
  time(at: Millis): number | null {
    return this.#current.time(at);
  }

  /** Why commands cannot be sent now, one sentence; null when they can. */
  problem(at: Millis): string | null {
    const problem = this.#current.problem(at);
    if (problem !== null || this.#serving === null || this.#isSaid) return problem;
    return 'Waiting for the gateway that takes over.';
  }

  get #current(): Beats {
    return this.#serving ?? this.#all;
  }

  #of(gateway: string): Beats {
    const known = this.#each.get(gateway);
    if (known) return known;
    if (this.#each.size >= maxGateways) {
      const oldest = [...this.#each].find(([, beats]) => beats !== this.#serving);
      if (oldest) this.#each.delete(oldest[0]);
    }
    const beats = new Beats(this.#beatIntervalMs);
    this.#each.set(gateway, beats);
    return beats;
  }
}
