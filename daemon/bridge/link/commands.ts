/** Commands that are under way: every one gets exactly one end, if need be from here. Pure: time is given. */
import type { Ack, AckPhase, Millis } from '../../surface/types.ts';
import type { AckMessage } from '../wire/messages.ts';

/** Later phases replace earlier ones; what is not later is a duplicate. */
const rank = (phase: AckPhase): number => (phase === 'received' ? 1 : phase === 'accepted' ? 2 : 3);
const endRank = 3;

interface UnderWay {
  readonly seq: number;
  rank: number;
  deadline: Millis;
}

export interface CommandTiming {
  /** From the end of the time to live until an answer is given up. */
  readonly answerGraceMs: number;
  /** Longest time from an answer to the end. */
  readonly longestCommandMs: number;
  /** After a lost connection, when an end may have passed unheard. */
  readonly uncertainMs: number;
}

/** The end that the link gives a command itself. */
export const localEnd = (seq: number, code: string, detail: string): Ack => ({
  seq,
  phase: 'expired',
  code,
  now: null,
  detail,
  guards: [],
});

export class Commands {
  readonly #timing: CommandTiming;
  /** By id, which carries the session: an answer to an earlier run of this surface is nobody's here. */
  readonly #underWay = new Map<string, UnderWay>();

  constructor(timing: CommandTiming) {
    this.#timing = timing;
  }

  get size(): number {
    return this.#underWay.size;
  }

  sent(id: string, seq: number, ttlMs: number, at: Millis): void {
    this.#underWay.set(id, { seq, rank: 0, deadline: at + ttlMs + this.#timing.answerGraceMs });
  }

  /** What the surface should hear of an answer; null for one to no command under way, or said before. */
  answered(message: AckMessage, at: Millis): Ack | null {
    const command = this.#underWay.get(message.id);
    const next = rank(message.phase);
    if (command === undefined || next < command.rank) return null;
    // Said again after a lost connection: the gateway still has it and will end it.
    command.deadline = at + this.#timing.longestCommandMs;
    if (next === command.rank) return null;
    command.rank = next;
    if (next === endRank) this.#underWay.delete(message.id);
    const { phase, code, now, detail, guards } = message;
    return { seq: command.seq, phase, code, now, detail, guards };
  }

  /** The gateway was started anew and follows nothing of before. */
  gatewayChanged(): Ack[] {
    return this.#end(
      (command) => command.rank > 0,
      'GatewayRestarted',
      'The gateway was restarted; the slot shows the number that counts.',
    );
  }

  /** Answers may have been lost: those that were promised an end get one soon. */
  connectionLost(at: Millis): void {
    for (const command of this.#underWay.values()) {
      if (command.rank > 0) command.deadline = Math.min(command.deadline, at + this.#timing.uncertainMs);
    }
  }

  /** Ends of commands whose time is up. */
  due(at: Millis): Ack[] {
    return [
      ...this.#end(
        (command) => command.rank === 0 && command.deadline <= at,
        'NoAnswer',
        'The gateway did not answer in time.',
      ),
      ...this.#end(
        (command) => command.rank > 0 && command.deadline <= at,
        'EndUnknown',
        'The gateway did not say how it ended; the slot shows the number that counts.',
      ),
    ];
  }

  #end(isDone: (command: UnderWay) => boolean, code: string, detail: string): Ack[] {
    const ends: Ack[] = [];
    for (const [id, command] of this.#underWay) {
      if (!isDone(command)) continue;
      this.#underWay.delete(id);
      ends.push(localEnd(command.seq, code, detail));
    }
    return ends;
  }
}
