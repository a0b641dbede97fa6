/** What the link knows of the gateway from its status beats: session, health, and time. Pure: time is given. */
import type { Millis } from '../../surface/types.ts';
import type { GatewayStatusMessage } from '../wire/messages.ts';

/** Beats that the clock is read from; an estimate that was too high is forgotten after as many. */
const clockSamples = 5;

/** Beats that may be missed before the gateway counts as silent. */
const missedBeats = 3;

/** A beat that is further behind is not late: the clock was set back. So far ahead of it commands are refused. */
const longestDelayMs = 2000;

export class GatewayWatch {
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
