/** What connections have begun: one each at most, gone with the connection, after two minutes or after one use. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { SurfacedError } from '../../errors.ts';
import type { Begun } from '../trust/types.ts';
import { sessionLifeMs } from './messages.ts';

/** How the surface will prove itself, as far as it has said. */
export type Proving =
  | { readonly kind: 'token'; readonly tokenId: string }
  | { readonly kind: 'renew' }
  | { readonly kind: 'tpm'; readonly begun: Extract<Begun, { kind: 'challenged' }> };

interface Session {
  /** 32 random bytes in hex. */
  readonly id: string;
  readonly nonce: Uint8Array;
  readonly proving: Proving;
}

export interface Sessions {
  /** Begins one on this connection, in place of the one that it had. */
  open(connection: object, nonce: Uint8Array, proving: Proving): Session;
  /** What the connection has begun and may still finish. */
  current(connection: object): Session | null;
  /** Forgets what the connection has begun. */
  end(connection: object): void;
  /** The session with this id, which ends with it. @throws SurfacedError E_ENROL_SESSION; then there is none any more, either */
  take(connection: object, id: string): Session;
}

/** Kept in memory only: a gateway that dies takes them with it, and surfaces begin again. */
export function createSessions(clock: Clock): Sessions {
  const sessions = new WeakMap<object, { readonly session: Session; readonly expiresAt: number }>();
  const current = (connection: object): Session | null => {
    const open = sessions.get(connection);
    return open && open.expiresAt > clock.monotonic() ? open.session : null;
  };
  const end = (connection: object): void => {
    sessions.delete(connection);
  };
  return {
    open: (connection, nonce, proving) => {
      const session = { id: randomBytes(32).toString('hex'), nonce, proving };
      sessions.set(connection, { session, expiresAt: clock.monotonic() + sessionLifeMs });
      return session;
    },
    current,
    end,
    take: (connection, id) => {
      const session = current(connection);
      // Whatever comes of it, a nonce counts once.
      end(connection);
      if (session?.id === id) return session;
      throw new SurfacedError(
        'E_ENROL_SESSION',
        'begin anew: no such session on this connection, or it is too old',
      );
    },
  };
}
