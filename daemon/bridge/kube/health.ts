/** Whether the API server answers: /readyz (Kubernetes documentation, API health endpoints) every few seconds. */
import type { Log } from '../../log.ts';
import type { ApiClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { jittered, Pause } from './pause.ts';
import type { Tuning } from './tuning.ts';
import { KubeError } from './types.ts';

export interface HealthState {
  readonly isHealthy: boolean;
  readonly detail: string;
}

export interface HealthParts {
  readonly client: ApiClient;
  readonly credentials: Pick<Credentials, 'renew' | 'server'>;
  readonly tuning: Tuning;
  readonly random: () => number;
  readonly log: Log;
}

/** Probes the API server for ever and tells of changes. */
export class Health {
  readonly #parts: HealthParts;
  readonly #pause = new Pause();
  readonly #listeners = new Set<() => void>();
  #state: HealthState = { isHealthy: false, detail: 'not yet connected' };

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  get state(): HealthState {
    return this.#state;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Asks for a probe now: a request got no answer. */
  hint(): void {
    if (this.#state.isHealthy) this.#pause.wake();
  }

  /** One probe, for the state at the start. */
  async first(signal: AbortSignal): Promise<void> {
    this.#show(await this.#probe(signal));
  }

  /** Probes until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { tuning, credentials, random } = this.#parts;
    let failures = 0;
    while (!signal.aborted) {
      const backoffMs = Math.min(tuning.probeConfirmMs * 2 ** (failures - 1), tuning.probeBackoffMaxMs);
      await this.#pause.wait(failures === 0 ? tuning.probeMs : jittered(backoffMs, random), signal);
      const state = await this.#probe(signal);
      if (signal.aborted) return;
      failures = state.isHealthy ? 0 : failures + 1;
      if (!state.isHealthy) credentials.renew('unreachable');
      // One failed probe may be a connection that went away; the second one counts.
      if (state.isHealthy || failures > 1) this.#show(state);
      this.#pause.forget();
    }
  }

  async #probe(signal: AbortSignal): Promise<HealthState> {
    const { server } = this.#parts.credentials;
    try {
      await this.#ask('/readyz', signal);
      return { isHealthy: true, detail: `${server} is ready` };
    } catch (error) {
      const refused = error instanceof KubeError && (error.status === 403 || error.status === 404);
      return refused ? this.#probeVersion(signal) : this.#judge(error);
    }
  }

  /** For users that may not see /readyz, and proxies that do not have it. */
  async #probeVersion(signal: AbortSignal): Promise<HealthState> {
    try {
      await this.#ask('/version', signal);
      return { isHealthy: true, detail: `${this.#parts.credentials.server} answers` };
    } catch (error) {
      return this.#judge(error);
    }
  }

  async #ask(path: string, signal: AbortSignal): Promise<void> {
    const { client, tuning } = this.#parts;
    await client.text(
      {
        method: 'GET',
        path,
        accept: '*/*',
        actor: null,
        body: null,
        maxBytes: tuning.maxBodyBytes,
        attempts: 1,
        deadlineMs: tuning.probeDeadlineMs,
      },
      signal,
    );
  }

  #judge(error: unknown): HealthState {
    const { server } = this.#parts.credentials;
    const status = error instanceof KubeError ? error.status : 0;
    const words = error instanceof Error ? error.message : String(error);
    if (status === 401) return { isHealthy: false, detail: `${server} refuses the credentials: ${words}` };
    if (status >= 400 && status < 500) return { isHealthy: true, detail: `${server} answers` };
    if (status >= 500) return { isHealthy: false, detail: `${server} is not ready: ${words}` };
    return { isHealthy: false, detail: `${server}: ${words}` };
  }

  #show(state: HealthState): void {
    const before = this.#state;
    this.#state = state;
    if (before.isHealthy === state.isHealthy && before.detail === state.detail) return;
    const { log } = this.#parts;
    if (state.isHealthy) log.info({ detail: state.detail }, 'API server answers');
    else log.warn({ detail: state.detail }, 'API server does not answer');
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        log.error({ err: error }, 'health listener failed');
      }
    }
  }
}
