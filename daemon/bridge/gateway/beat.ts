/** The gateway's own status: heartbeat, clock for the surfaces, and whether the API server answers. */
import type { Clock } from '../../clock.ts';
import type { Cluster } from '../kube/types.ts';
import { beatIntervalMs, encode, type GatewayStatusMessage } from '../wire/messages.ts';
import { wireVersion } from '../wire/topics.ts';
import { cut } from './command.ts';
import type { Timers } from './timers.ts';

export interface BeatTools {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Names this process, see {@link newSession}. */
  readonly session: string;
  readonly publish: (payload: Uint8Array) => void;
}

/** A name for a process of a gateway, by chance. @param random 0 to 1 */
export const newSession = (random: () => number): string =>
  Array.from({ length: 16 }, () => Math.floor(random() * 36).toString(36)).join('');

/** A surface that comes online waits for a fresh beat: it gets one this soon, together with others that come now. */
const welcomeMs = 250;

export class Beat {
  readonly #tools: BeatTools;
  #seq = 0;
  #cancel: (() => void) | null = null;
  #isWelcoming = false;
  #isClosed = false;
  /** Who waits for the next beat. */
  readonly #watchers: (() => void)[] = [];

  constructor(tools: BeatTools) {
    this.#tools = tools;
    tools.cluster.onHealth(() => this.#beat());
    this.#beat();
  }

  /** Beats soon, for a surface that has just come; many that come at once share one beat. */
  welcome(): void {
    if (this.#isClosed || this.#isWelcoming) return;
    this.#isWelcoming = true;
    this.#cancel?.();
    this.#cancel = this.#tools.timers.after(welcomeMs, () => this.#beat());
  }

  /** Resolves with the next beat. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  /** Says that the gateway is away, as its will would. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancel?.();
    this.#send('offline');
  }

  #beat(): void {
    if (this.#isClosed) return;
    this.#isWelcoming = false;
    this.#cancel?.();
    this.#cancel = this.#tools.timers.after(beatIntervalMs, () => this.#beat());
    this.#send('online');
    for (const resolve of this.#watchers.splice(0)) resolve();
  }

  #send(state: GatewayStatusMessage['state']): void {
    const { isHealthy, detail } = this.#tools.cluster.health();
    const message: GatewayStatusMessage = {
      v: wireVersion,
      state,
      session: this.#tools.session,
      seq: this.#seq++,
      at: this.#tools.clock.now(),
      apiHealthy: isHealthy,
      detail: isHealthy ? '' : cut(detail, 256),
    };
    this.#tools.publish(encode(message));
  }
}
