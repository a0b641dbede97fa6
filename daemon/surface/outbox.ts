/** The commands of one slot that are under way: one in flight, and those that wait for their end. */
import type { Purpose } from './settle.ts';
import type { AckPhase, Millis } from './types.ts';

/** A command that got no answer for this long counts as lost. */
export const answerTimeoutMs = 10_000;

/** Ends are awaited for this many commands; older ones are forgotten. */
const mostAwaited = 8;

/** A command that was sent. */
export interface Command {
  readonly seq: number;
  readonly want: number;
  readonly saw: number;
  readonly purpose: Purpose;
}

/** What an answer belongs to. */
export interface Answered {
  readonly command: Command;
  /** No newer command was sent since; only then does the answer still say what is in force. */
  readonly isNewest: boolean;
  readonly wasInFlight: boolean;
  /** A view has shown the wanted number already. */
  readonly wasSeen: boolean;
  /** The first news that it took effect; it may be heard twice with QoS 1. */
  readonly isFirstSuccess: boolean;
}

/** Sent commands of one slot. */
export class Outbox {
  #inFlight: Command | null = null;
  #sentAt: Millis = 0;
  #isSeen = false;
  #newestSeq = 0;
  #awaited: Command[] = [];
  readonly #succeeded = new Set<number>();
  #wanted: number | null = null;

  /** Sent and neither accepted nor ended. */
  get inFlight(): Command | null {
    return this.#inFlight;
  }

  /** The number that was sent last, until it is confirmed or over. */
  get wanted(): number | null {
    return this.#wanted;
  }

  /** When the command in flight was sent. */
  get sentAt(): Millis {
    return this.#sentAt;
  }

  send(command: Command, at: Millis): void {
    this.#inFlight = command;
    this.#sentAt = at;
    this.#isSeen = false;
    this.#newestSeq = command.seq;
    this.#wanted = command.want;
    this.#awaited.push(command);
    if (this.#awaited.length > mostAwaited) this.#forget(this.#awaited[0]?.seq);
  }

  /** A view shows the number that the command in flight asks for. */
  see(): void {
    this.#isSeen = true;
  }

  /** Takes an answer; null when it is no news of a command that is awaited. */
  answer(seq: number, phase: AckPhase): Answered | null {
    const command = this.#awaited.find((awaited) => awaited.seq === seq);
    if (command === undefined || phase === 'received') return null;
    const wasInFlight = this.#inFlight?.seq === seq;
    const isNewest = seq === this.#newestSeq;
    const isSuccess = phase === 'accepted' || phase === 'converged';
    const isFirstSuccess = isSuccess && !this.#succeeded.has(seq);
    if (phase === 'accepted' && !isFirstSuccess) return null;
    if (wasInFlight) this.#inFlight = null;
    if (phase === 'accepted') {
      this.#succeeded.add(seq);
    } else {
      this.#forget(seq);
      if (isNewest) this.#wanted = null;
    }
    return { command, isNewest, wasInFlight, wasSeen: isNewest && this.#isSeen, isFirstSuccess };
  }

  /** Somebody else has changed the number: what was accepted is no longer what is wanted. */
  supersede(): void {
    if (this.#inFlight === null) this.#wanted = null;
  }

  /** Gives the command in flight up; a late answer is still understood. True when there was one. */
  abandon(): boolean {
    const hadOne = this.#inFlight !== null;
    this.#inFlight = null;
    this.#wanted = null;
    return hadOne;
  }

  /** Gives up what got no answer in time; true when it did. */
  tick(at: Millis): boolean {
    const wakeAt = this.nextWakeAt();
    return wakeAt !== null && at >= wakeAt && this.abandon();
  }

  #forget(seq: number | undefined): void {
    this.#awaited = this.#awaited.filter((awaited) => awaited.seq !== seq);
    if (seq !== undefined) this.#succeeded.delete(seq);
  }

  nextWakeAt(): Millis | null {
    return this.#inFlight === null ? null : this.#sentAt + answerTimeoutMs;
  }
}
