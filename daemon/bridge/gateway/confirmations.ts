/** What loses data for good takes two holds: armed once, it is asked again, and only the same command once more acts. */
import type { Command, End } from './command.ts';
import { isArmed, needsArm } from './guards.ts';
import type { GuardNeed } from './verbs/verb.ts';

/** So long the second hold may take, milliseconds: as long as a surface waits for it, and some more. */
export const confirmWithinMs = 20_000;

const isFinal = ({ guard }: GuardNeed): boolean => guard === 'claims';

/** The first confirmations of commands that need two. */
export class Confirmations {
  readonly #first = new Map<string, { readonly what: string; readonly at: number }>();
  readonly #monotonic: () => number;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** What is to be asked of the operator before the command acts; null: nothing. @param now the number now */
  question(command: Command, uid: string, needs: readonly GuardNeed[], now: number): End | null {
    if (!isArmed(needs, command.message.arm ?? [])) return needsArm(needs, now);
    const first = this.#first.get(placeOf(command));
    const isConfirmed =
      first?.what === whatOf(command, uid) && this.#monotonic() - first.at <= confirmWithinMs;
    const final = needs.filter(isFinal);
    if (final.length === 0 || isConfirmed) return null;
    const end = needsArm(needs, now);
    return { ...end, code: 'ConfirmAgain', detail: `Once more, for good: ${final[0]?.words}` };
  }

  /** The operator has been asked. */
  asked(command: Command, uid: string, end: End): void {
    if (end.code === 'ConfirmAgain')
      this.#first.set(placeOf(command), { what: whatOf(command, uid), at: this.#monotonic() });
  }

  /** It was done: the next one is asked twice again. */
  done(command: Command): void {
    this.#first.delete(placeOf(command));
  }
}

const placeOf = ({ surface, message }: Command): string => `${surface}/${message.slot}`;
const whatOf = ({ message: { want, saw } }: Command, uid: string): string => `${uid}/${saw}/${want}`;
