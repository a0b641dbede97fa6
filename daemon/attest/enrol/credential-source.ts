/**
 * Credentials that are kept fresh, however the surface proves itself: fetched when they are asked for, renewed long before
 * they run out, for a key that exists in memory only. One attempt at a time: nothing is proved twice at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { CredentialSource, Credentials } from '../types.ts';
import type { Issued } from './exchange.ts';

/** Renewal begins at this part of a certificate's life, give or take the jitter. */
const renewAt = 2 / 3;
const jitter = 0.1;
const firstRetryMs = 1000;
const longestRetryMs = 30_000;
/** A surface that waits to be let in is there within seconds after it was. */
const firstPairingMs = 2000;
const longestPairingMs = 10_000;
/** A certificate that says it holds longer is renewed as if it did not; it does not matter when exactly. */
const longestLifeMs = 86_400_000;
/** A clock that is off by more than this is worth a line in the log. */
const clockOffMs = 60_000;

export interface SourceOptions {
  /**
   * Gets a certificate.
   * @param current those that still hold; null: none
   * @param signal fires when the source is stopped
   * @throws SurfacedError
   */
  readonly obtain: (current: Credentials | null, signal: AbortSignal) => Promise<Issued>;
  /** The code that a person has to compare before what failed so can succeed; null: it failed for another reason. */
  readonly pairingOf: (error: unknown) => string | null;
  readonly clock: Clock;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly log: Log;
}

/** Credentials that are obtained somehow. Nothing is sent before `current` is first called. */
export function createCredentialSource(options: SourceOptions): CredentialSource {
  const { obtain, pairingOf, clock, random, log } = options;
  const ending = new AbortController();
  const renewed = new Set<(credentials: Credentials) => void>();
  const pairing = new Set<(code: string | null) => void>();
  let held: Issued | null = null;
  let code: string | null = null;
  let underWay: Promise<Issued> | null = null;
  /** A renewal was asked for while one was under way, which may be of before what it was asked for. */
  let isAskedAgain = false;
  let timer: NodeJS.Timeout | null = null;

  const current = (): Credentials | null =>
    held !== null && held.endsAt > clock.monotonic() ? held.credentials : null;

  function fetch(): Promise<Issued> {
    if (underWay !== null) return underWay;
    isAskedAgain = false;
    underWay = ask().finally(() => {
      underWay = null;
      if (isAskedAgain && held !== null) plan(0, firstRetryMs);
    });
    return underWay;
  }

  /** While a person is waited for, it goes on asking; anything else that fails is for the caller to repeat. */
  async function ask(): Promise<Issued> {
    for (let pauseMs = firstPairingMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPairingMs)) {
      try {
        const issued = await obtain(current(), ending.signal);
        ending.signal.throwIfAborted();
        tellCode(null);
        hold(issued);
        return issued;
      } catch (error) {
        if (ending.signal.aborted) throw error;
        tellCode(pairingOf(error));
        if (code === null) throw error;
      }
      await pause(pauseMs * (0.75 + random() / 2), undefined, { signal: ending.signal, ref: false });
    }
  }

  function hold(issued: Issued): void {
    const isFirst = held === null;
    held = issued;
    const { surface, site, notAfter, trust, level } = issued.credentials;
    log.info({ surface, site, trust, attestedLevel: level, notAfter }, 'certificate received');
    const localTime = clock.now();
    if (Math.abs(localTime - issued.gatewayTime) > clockOffMs)
      log.warn({ localTime, gatewayTime: issued.gatewayTime }, 'the clock of this machine is wrong');
    const lifeMs = Math.min(issued.lifeMs, longestLifeMs);
    plan(lifeMs * (renewAt + (random() - 0.5) * jitter), firstRetryMs);
    if (isFirst) return;
    for (const listener of renewed) listener(issued.credentials);
  }

  function tellCode(next: string | null): void {
    if (next === code) return;
    code = next;
    if (code !== null)
      log.warn({ code }, 'the gateway does not know this surface yet: compare the code and let it in');
    for (const listener of pairing) listener(code);
  }

  /** Sets the one timer; `retryMs` is the pause after the next failure. */
  function plan(delayMs: number, retryMs: number): void {
    if (timer) clearTimeout(timer);
    timer = null;
    if (ending.signal.aborted) return;
    timer = setTimeout(() => void renewNow(retryMs), delayMs);
    timer.unref();
  }

  async function renewNow(retryMs: number): Promise<void> {
    // Whoever uses them asks for others.
    if (current() === null) return log.error('the certificate has run out and was not renewed');
    try {
      await fetch();
    } catch (error) {
      if (ending.signal.aborted) return;
      const pauseMs = retryMs * (0.5 + random());
      log.warn({ err: error, pauseMs: Math.round(pauseMs) }, 'certificate not renewed; trying again');
      plan(pauseMs, Math.min(retryMs * 2, longestRetryMs));
    }
  }

  return {
    current: async (signal) => {
      signal.throwIfAborted();
      return current() ?? (await orAborted(fetch(), signal)).credentials;
    },
    onRenewed: (listener) => {
      renewed.add(listener);
      return () => renewed.delete(listener);
    },
    onPairing: (listener) => {
      pairing.add(listener);
      if (code !== null) listener(code);
      return () => pairing.delete(listener);
    },
    renew: () => {
      if (underWay !== null) isAskedAgain = true;
      else if (held !== null) plan(0, firstRetryMs);
    },
    stop: () => {
      renewed.clear();
      pairing.clear();
      if (timer) clearTimeout(timer);
      ending.abort(new Error('the credentials are not needed any more'));
    },
  };
}

/** The promise, or the signal's reason when that comes first; what is under way goes on for the others. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
