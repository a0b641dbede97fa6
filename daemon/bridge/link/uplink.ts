/** Keeps one connection to the gateway for ever: backs off, changes certificates, gives up on what has died. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { CredentialSource, Credentials } from '../../attest/types.ts';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Fault } from '../../surface/types.ts';
import { type Connection, openConnection } from './connection.ts';
import { backOffMs, type LinkTiming } from './timing.ts';

/** A connection with what belongs to it. */
export interface Line {
  readonly connection: Connection;
  readonly credentials: Credentials;
  /** Names this connection in status, birth, will and command ids. */
  readonly session: string;
}

export interface UplinkOptions {
  readonly credentials: CredentialSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly timing: LinkTiming;
  /** Payload of the will for a session. */
  readonly will: (session: string) => Buffer;
  /** A connection is about to be made where there was none: what was heard before is of the past. */
  readonly onOpening: () => void;
  readonly onMessage: (credentials: Credentials, topic: string, payload: Buffer, isRetained: boolean) => void;
  /** This line is in use from now on. */
  readonly onLine: (line: Line) => void;
  /** The line is gone and no other is on its way. */
  readonly onLost: () => void;
  /** `problem` has changed. */
  readonly onProblem: () => void;
}

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #ending = new AbortController();
  #line: Line | null = null;
  #problem = 'Connecting.';
  #fault: Fault | null = null;
  #attempts = 0;
  /** Set while a second connection is made because certificates changed. */
  #handover: { lostAt: number | null } | null = null;
  #newest: Credentials | null = null;
  #isChanging = false;
  #release: () => void = () => {};
  #running: Promise<void> | null = null;
  #unsubscribe: () => void = () => {};

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  /** The line in use; null also for a moment while one takes over from another. */
  get line(): Line | null {
    return this.#line;
  }

  /** Connected, or just being handed over. */
  get isUp(): boolean {
    const lostAt = this.#handover?.lostAt ?? null;
    const { clock, timing } = this.#options;
    return this.#line !== null || (lostAt !== null && clock.monotonic() - lostAt < timing.handoverMs);
  }

  /** Why it is not up, one sentence. */
  get problem(): string {
    return this.#problem;
  }

  /** The same as a picture can say it; null: nothing has failed yet. */
  get fault(): Fault | null {
    return this.#fault;
  }

  /** Attempts in a row that brought nothing lasting. */
  get attempts(): number {
    return this.#attempts;
  }

  start(): void {
    this.#unsubscribe = this.#options.credentials.onRenewed((credentials) => {
      this.#newest = credentials;
      this.#useNewest();
    });
    this.#running = this.#run();
  }

  /** Drops the line in use, whatever it believes of itself; a new one is made. */
  giveUp(reason: string): void {
    this.#line?.connection.discard();
    if (this.#line !== null) this.#lost(reason);
  }

  /** Ends for good; `farewell` writes the last status of the session. */
  async stop(farewell: (session: string) => Buffer): Promise<void> {
    this.#unsubscribe();
    const line = this.#line;
    this.#line = null;
    this.#ending.abort();
    this.#release();
    await line?.connection.close(farewell(line.session));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    const { clock, credentials: source, random, timing } = this.#options;
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      try {
        const credentials = await source.current(signal);
        this.#options.onOpening();
        const line = await this.#open(credentials);
        const lost = new Promise<void>((resolve) => {
          this.#release = resolve;
        });
        this.#adopt(line);
        await lost;
        // One that is closed again and again as soon as it is open must back off, too.
        if (clock.monotonic() - startedAt > 2 * timing.beatIntervalMs) this.#attempts = 0;
      } catch (error) {
        if (!signal.aborted) this.#failed(error);
      }
      if (signal.aborted) return;
      const waitMs = backOffMs(this.#attempts, timing, random);
      this.#attempts += 1;
      await delay(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  async #open(credentials: Credentials): Promise<Line> {
    const { timing, will, onMessage } = this.#options;
    const session = randomUUID();
    let line: Line | null = null;
    const connection = await openConnection({
      credentials,
      will: will(session),
      keepaliveSeconds: timing.keepaliveSeconds,
      deadlineMs: timing.connectDeadlineMs,
      signal: this.#ending.signal,
      onMessage: (topic, payload, isRetained) => onMessage(credentials, topic, payload, isRetained),
      onClosed: (reason) => {
        if (line !== null && line === this.#line) this.#lost(reason);
      },
    });
    line = { connection, credentials, session };
    return line;
  }

  #adopt(line: Line): void {
    const old = this.#line;
    this.#line = line;
    old?.connection.discard();
    const { surface, trust, level } = line.credentials;
    this.#options.log.info({ session: line.session, surface, trust, attestedLevel: level }, 'connected');
    this.#options.onLine(line);
    this.#useNewest();
  }

  /** The line in use is gone; while another is on its way, nothing else is. */
  #lost(reason: string): void {
    this.#line = null;
    this.#problem = `Connection to the gateway lost: ${reason}.`;
    this.#fault = 'network';
    if (this.#handover !== null) {
      this.#handover.lostAt = this.#options.clock.monotonic();
      return;
    }
    this.#options.log.warn({ reason }, 'connection lost');
    this.#options.onLost();
    this.#release();
  }

  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const problem = error instanceof SurfacedError ? message : `Cannot connect: ${message}`;
    this.#fault = faultOf(error);
    // Trust may have been lost, and can come back by new evidence only; or else the refusal to renew says why.
    if (error instanceof SurfacedError && error.code === 'E_LINK_REFUSED') this.#options.credentials.renew();
    if (problem === this.#problem) return;
    this.#options.log.warn({ err: error }, 'cannot connect');
    this.#problem = problem;
    this.#options.onProblem();
  }

  #useNewest(): void {
    if (this.#isChanging || !this.#hasNewer()) return;
    this.#isChanging = true;
    this.#changeCertificate()
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'certificate not changed'))
      .finally(() => {
        this.#isChanging = false;
      });
  }

  #hasNewer(): boolean {
    const { signal } = this.#ending;
    return (
      !signal.aborted &&
      this.#newest !== null &&
      this.#line !== null &&
      // Not by its end: on a gateway whose clock was set back, a newer one ends earlier.
      this.#newest.certificatePem !== this.#line.credentials.certificatePem
    );
  }

  /**
   * A running TLS session keeps its old certificate, and ends with it: a second connection takes over with the
   * new one (the same client id closes the old one), so that the surface is online throughout.
   */
  async #changeCertificate(): Promise<void> {
    const { signal } = this.#ending;
    for (let attempt = 0; this.#newest !== null && this.#hasNewer(); attempt += 1) {
      this.#handover = { lostAt: null };
      let isDone = false;
      try {
        const line = await this.#open(this.#newest);
        if (signal.aborted) line.connection.discard();
        else this.#adopt(line);
        isDone = true;
      } catch (error) {
        this.#options.log.warn({ err: error }, 'renewed certificate is not in use yet');
      }
      this.#handover = null;
      if (signal.aborted || isDone) continue;
      // The old line serves on as long as it lives.
      if (this.#line === null) this.#lost('it ended while the certificate was changed');
      const waitMs = backOffMs(attempt, this.#options.timing, this.#options.random);
      await delay(waitMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** What a picture can say of an error. */
function faultOf(error: unknown): Fault {
  if (!(error instanceof SurfacedError)) return 'network';
  if (/^E_(?:TPM|ATTEST)/.test(error.code)) return 'identity';
  return error.class === 'refused' ? 'refused' : 'network';
}
