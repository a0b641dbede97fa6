/** Who is logged in. In memory alone: a gateway that starts anew knows nobody, and nothing on its disk opens a page. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { PageUser } from './sources.ts';

/** Somebody's session. */
export interface Session {
  readonly user: PageUser;
  /** Must come with every write, so that it comes from a page of ours. */
  readonly formToken: string;
  /** Monotonic milliseconds at which it ends whatever happens. */
  readonly endsAt: number;
}

/** How long sessions last, and how many there are. */
export interface SessionLimits {
  readonly idleMs: number;
  readonly longestMs: number;
  /** The one that was unused for longest goes when there are more. */
  readonly most: number;
  readonly mostOfOneUser: number;
}

/** A new secret: 256 bits as text. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** Whether two secrets are the same, in a time that does not tell where they differ. */
export function isSame(one: string, other: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}

/** The sessions of one gateway. */
export class Sessions {
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  /** By hash of the cookie, the longest unused first. */
  readonly #sessions = new Map<string, Session & { usedAt: number }>();

  constructor(limits: SessionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /**
   * Begins one.
   * @param credentialEndsMs how long what they logged in with is good, milliseconds from now; null: not known
   * @returns the value of the cookie
   */
  begin(user: PageUser, credentialEndsMs: number | null): string {
    const { most, mostOfOneUser, longestMs } = this.#limits;
    const now = this.#clock.monotonic();
    const own = [...this.#sessions].filter(([, session]) => session.user.name === user.name);
    for (const [key] of own.slice(0, Math.max(0, own.length - mostOfOneUser + 1))) this.#sessions.delete(key);
    for (const key of [...this.#sessions.keys()].slice(0, Math.max(0, this.#sessions.size - most + 1)))
      this.#sessions.delete(key);
    const cookie = newSecret();
    this.#sessions.set(keyOf(cookie), {
      user,
      formToken: newSecret(),
      endsAt: now + Math.min(longestMs, credentialEndsMs ?? longestMs),
      usedAt: now,
    });
    return cookie;
  }

  /**
   * The session of a cookie; null: none, or it is over.
   * @param isUse false: only looked at, so that a page that is left open does not keep it alive
   */
  of(cookie: string, isUse: boolean): Session | null {
    const key = keyOf(cookie);
    const session = this.#sessions.get(key);
    if (session === undefined) return null;
    const now = this.#clock.monotonic();
    const isOver = now >= session.endsAt || now - session.usedAt >= this.#limits.idleMs;
    if (isOver || isUse) this.#sessions.delete(key);
    if (isOver) return null;
    if (isUse) this.#sessions.set(key, Object.assign(session, { usedAt: now }));
    return session;
  }

  end(cookie: string): void {
    this.#sessions.delete(keyOf(cookie));
  }
}

const keyOf = (cookie: string): string => createHash('sha256').update(cookie).digest('base64');
