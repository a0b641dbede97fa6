/**
 * Whether a surface is there, from its birth, its status and the transport. A will carries the session that it
 * belongs to, so a late one cannot take away a surface that has come back since.
 */
import type { BirthMessage, StatusMessage } from '../wire/messages.ts';

/** What the caller does after a change. */
export type PresenceChange = 'came' | 'went' | 'announced' | null;

export class Presence {
  #birth: BirthMessage | null = null;
  #isOnline = false;
  #endedSession: string | null = null;
  /** Connections as the transport counts them: a takeover reports the new one before the end of the old. */
  #connections = 0;

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** The latest birth, also of a surface that has gone. */
  get birth(): BirthMessage | null {
    return this.#birth;
  }

  /** `came`: everything has to be sent again. A retained birth of a session that has ended is history. */
  born(birth: BirthMessage, isRetained: boolean): PresenceChange {
    this.#birth = birth;
    if (isRetained && birth.session === this.#endedSession) return null;
    this.#endedSession = null;
    this.#isOnline = true;
    return 'came';
  }

  /** `announced`: a session whose birth has not been seen. */
  status(status: StatusMessage): PresenceChange {
    const isCurrent = this.#birth === null || this.#birth.session === status.session;
    if (status.state === 'online') return isCurrent && this.#birth !== null ? null : 'announced';
    if (!isCurrent) return null;
    this.#endedSession = status.session;
    return this.#goOffline();
  }

  /** The transport has seen a connection begin or end. */
  connection(isConnected: boolean): PresenceChange {
    this.#connections = Math.max(0, this.#connections + (isConnected ? 1 : -1));
    if (isConnected) return 'announced';
    return this.#connections === 0 ? this.#goOffline() : null;
  }

  #goOffline(): PresenceChange {
    if (!this.#isOnline) return null;
    this.#isOnline = false;
    return 'went';
  }
}
