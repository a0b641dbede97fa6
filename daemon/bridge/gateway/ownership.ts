/** For which surfaces this gateway acts: for all, or for those whose shard it holds. */
import { type Command, type End, endOf } from './command.ts';

/** Asked anew each time: the answers change while a command is under way. */
export interface Ownership {
  /** Whether this gateway may act for the surface now. */
  isMine(surface: string): boolean;
  /** Monotonic milliseconds; nothing may be started for the surface from then on. 0: not now either. */
  mayActUntil(surface: string): number;
  /** When it began to act for the surface, monotonic milliseconds: another number means that others may have acted since. */
  heldSince(surface: string): number;
  /** Unix milliseconds: what was asked for before then, another gateway may have acted on; 0: no other has. */
  fencedUntil(surface: string): number;
}

/** The one and only gateway. */
export const ownsAll: Ownership = {
  isMine: () => true,
  mayActUntil: () => Number.POSITIVE_INFINITY,
  heldSince: () => 0,
  fencedUntil: () => 0,
};

/** How a command ends whose surface another gateway serves from now on. */
export function handedOver(command: Command): End {
  const what = command.wasAccepted
    ? 'It was accepted; what becomes of it is seen by the gateway that serves this surface now.'
    : command.hasPut
      ? 'Another gateway serves this surface now; whether it was done is not known.'
      : 'Another gateway serves this surface now; it was not done.';
  return endOf('expired', 'HandedOver', what);
}

/** Ends those that have not been sent or were accepted; resolves when the others have their end, too. */
export async function release(commands: Iterable<Command>): Promise<void> {
  const sent: Promise<unknown>[] = [];
  for (const command of commands) {
    if (!command.hasPut || command.wasAccepted) command.end(handedOver(command));
    else
      sent.push(new Promise((resolve) => command.signal.addEventListener('abort', resolve, { once: true })));
  }
  await Promise.all(sent);
}
