/**
 * A surface's credentials by one-time token: fetched for a key that exists in memory only, renewed with the
 * certificate itself long before it runs out. When it has run out, only a token helps.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { DeviceConfig } from '../../config/schema.ts';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { CredentialSource, Credentials } from '../types.ts';
import { createKey, exchange, type KeyWithRequest, type Proof } from './exchange.ts';
import type { FinishAnswer } from './messages.ts';
import { addressOf, fetchPinnedCa } from './pinned-gateway.ts';

const timeoutMs = 10_000;
/** Renewal begins at this part of a certificate's life, give or take the jitter. */
const renewAt = 2 / 3;
const jitter = 0.1;
const firstRetryMs = 1000;
const longestRetryMs = 30_000;
/** A clock that is off by more than this is worth a line in the log. */
const clockOffMs = 60_000;

interface Held {
  readonly credentials: Credentials;
  /** Life that was left when it came, milliseconds. */
  readonly lifeMs: number;
  /** Monotonic milliseconds: the end of the certificate, whatever the local clock says. */
  readonly endsAt: number;
}

/** Credentials for a surface that holds a token. Nothing is sent before `current` is first called. */
export function createTokenCredentials(options: {
  readonly config: NonNullable<DeviceConfig['gateway']>;
  readonly token: string;
  readonly clock: Clock;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly log: Log;
}): CredentialSource {
  const { config, token, clock, random, log } = options;
  const address = addressOf(config.url);
  const listeners = new Set<(credentials: Credentials) => void>();
  let caPem: string | null = null;
  let held: Held | null = null;
  /** Kept until the token has been accepted: with the same key a lost answer can be asked for again. */
  let tokenKey: KeyWithRequest | null = null;
  let fetching: Promise<Held> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let isStopped = false;

  async function ask(key: KeyWithRequest, proof: Proof): Promise<Held> {
    const startedAt = clock.monotonic();
    let answer: FinishAnswer;
    try {
      caPem ??= await fetchPinnedCa({ address, pin: config.caPin, now: clock.now(), timeoutMs });
      answer = await exchange({ address, caPem, key, proof, timeoutMs });
    } catch (error) {
      // The gateway may have a new certificate for the same CA key: look again next time.
      caPem = null;
      throw error;
    }
    const credentials = credentialsOf(answer, caPem, key);
    const off = clock.now() - answer.now;
    if (Math.abs(off) > clockOffMs)
      log.warn({ localTime: clock.now(), gatewayTime: answer.now }, 'the clock of this machine is wrong');
    const lifeMs = answer.notAfter - answer.now;
    return { credentials, lifeMs, endsAt: startedAt + lifeMs };
  }

  function hold(fresh: Held): void {
    held = fresh;
    const { surface, site, notAfter, trust } = fresh.credentials;
    log.info({ surface, site, trust, notAfter }, 'certificate received');
    plan(fresh.lifeMs * (renewAt + (random() - 0.5) * jitter), firstRetryMs);
  }

  /** Sets the one timer; `retryMs` is the pause after the next failure. */
  function plan(delayMs: number, retryMs: number): void {
    if (timer) clearTimeout(timer);
    timer = null;
    if (isStopped) return;
    timer = setTimeout(() => void renewNow(retryMs), delayMs);
    timer.unref();
  }

  async function renewNow(retryMs: number): Promise<void> {
    if (!held || isStopped) return;
    if (held.endsAt <= clock.monotonic()) return log.error('the certificate has run out and was not renewed');
    const { certificatePem, privateKeyPem } = held.credentials;
    try {
      const fresh = await ask(await createKey(), { kind: 'renew', certificatePem, privateKeyPem });
      if (isStopped) return;
      hold(fresh);
      for (const listener of listeners) listener(fresh.credentials);
    } catch (error) {
      const pauseMs = retryMs * (0.5 + random());
      log.warn({ err: error, pauseMs: Math.round(pauseMs) }, 'certificate not renewed; trying again');
      plan(pauseMs, Math.min(retryMs * 2, longestRetryMs));
    }
  }

  async function enrol(): Promise<Held> {
    const hadCertificate = held !== null;
    tokenKey ??= await createKey();
    try {
      const fresh = await ask(tokenKey, { kind: 'token', token });
      tokenKey = null;
      if (!isStopped) hold(fresh);
      return fresh;
    } catch (error) {
      if (hadCertificate && error instanceof SurfacedError && error.code === 'E_TOKEN_SPENT') {
        throw new SurfacedError(
          'E_CREDENTIALS_ENDED',
          'the certificate could not be renewed in time, and the token has been used already',
          { cause: error },
        );
      }
      throw error;
    }
  }

  return {
    current: async (signal) => {
      signal.throwIfAborted();
      if (held && held.endsAt > clock.monotonic()) return held.credentials;
      fetching ??= enrol().finally(() => {
        fetching = null;
      });
      const { credentials } = await orAborted(fetching, signal);
      return credentials;
    },
    onRenewed: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    // A token needs nobody to compare anything.
    onPairing: () => () => {},
    renew: () => {
      if (held) plan(0, firstRetryMs);
    },
    stop: () => {
      isStopped = true;
      listeners.clear();
      if (timer) clearTimeout(timer);
    },
  };
}

/** Checks that the answer belongs to the key that was sent. @throws SurfacedError E_GATEWAY_ANSWER */
function credentialsOf(answer: FinishAnswer, caPem: string, key: KeyWithRequest): Credentials {
  const wrong = (detail: string, cause: unknown) => new SurfacedError('E_GATEWAY_ANSWER', detail, { cause });
  let isOurs: boolean;
  try {
    const certificate = new X509Certificate(answer.certificate);
    isOurs = certificate.verify(new X509Certificate(caPem).publicKey) && holdsKey(certificate, key);
  } catch (cause) {
    throw wrong('the certificate in the answer cannot be read', cause);
  }
  if (!isOurs)
    throw wrong('the certificate in the answer is not for our key, or not from the pinned CA', null);
  if (answer.notAfter <= answer.now) throw wrong('the certificate in the answer has run out', null);
  return {
    site: answer.site,
    surface: answer.surface,
    broker: answer.broker,
    caPem,
    certificatePem: answer.certificate,
    privateKeyPem: key.privateKeyPem,
    notAfter: answer.notAfter,
    trust: answer.trust,
    level: answer.level,
  };
}

const holdsKey = (certificate: X509Certificate, key: KeyWithRequest): boolean =>
  certificate.checkPrivateKey(createPrivateKey(key.privateKeyPem));

/** The promise, or the signal's reason when that comes first; what is under way goes on for the others. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
