/**
 * Which surfaces are there, from what they publish alone: an external broker tells nobody who connects. A will carries the
 * session that it belongs to, so a late one cannot take away a surface that has come back since.
 */
import type { StatusMessage } from '../wire/messages.ts';

interface Known {
  /** Null: away. */
  session: string | null;
  /** The session that has ended last: a kept birth of it is history. */
  ended: string | null;
}

/** What a message changed; null: nothing. */
export type Change = 'came' | 'went' | null;

export class Presences {
  readonly #known = new Map<string, Known>();

  has(surface: string): boolean {
    return (this.#known.get(surface)?.session ?? null) !== null;
  }

  /** Surfaces that are there. */
  get names(): readonly string[] {
    return [...this.#known].filter(([, { session }]) => session !== null).map(([name]) => name);
  }

  status(surface: string, { state, session }: StatusMessage): Change {
    if (state === 'online') return this.#begin(surface, session);
    const known = this.#of(surface);
    // Of an older session: the surface that is there now is another one's.
    if (known.session !== null && known.session !== session) return null;
    known.ended = session;
    return this.went(surface);
  }

  born(surface: string, session: string): Change {
    return this.#begin(surface, session);
  }

  /** Whatever its session, it is not there any more. */
  went(surface: string): Change {
    const known = this.#known.get(surface);
    if (!known || known.session === null) return null;
    known.session = null;
    return 'went';
  }

  /** Nothing is known any more. Returns who was there. */
  forget(): readonly string[] {
    const { names } = this;
    this.#known.clear();
    return names;
  }

  #begin(surface: string, session: string): Change {
    const known = this.#of(surface);
    if (session === known.ended) return null;
    const wasThere = known.session !== null;
    known.session = session;
    return wasThere ? null : 'came';
  }

  #of(surface: string): Known {
    const known = this.#known.get(surface) ?? { session: null, ended: null };
    this.#known.set(surface, known);
    return known;
  }
}
