/** Every command that knobs have sent, until its end: what was lost, what had two ends, and how long each took. Pure. */
import type { AckMessage } from '../../daemon/bridge/wire/messages.ts';

/** What became of the commands of one run. */
export interface KnobReport {
  readonly seconds: number;
  readonly sent: number;
  /** Turns that sent nothing, because the command before them had no end yet or nothing was shown. */
  readonly held: number;
  /** Without an end. */
  readonly lost: number;
  /** With a second, other end. */
  readonly doubled: number;
  /** Milliseconds from each command to its `accepted`. */
  readonly acceptedMs: readonly number[];
  /** Milliseconds from each command to its end `converged`. */
  readonly convergedMs: readonly number[];
  /** How many ended how. */
  readonly ends: Readonly<Record<string, number>>;
}

interface Entry {
  readonly knob: string;
  readonly sentAt: number;
  end: string | null;
}

/** Takes down commands and their answers. Times are milliseconds on any one clock. */
export class KnobLedger {
  readonly #entries = new Map<string, Entry>();
  readonly #busy = new Set<string>();
  #held = 0;
  #doubled = 0;
  #acceptedMs: number[] = [];
  #convergedMs: number[] = [];

  /** Commands without an end. */
  get underWay(): number {
    return this.#busy.size;
  }

  clear(): void {
    this.#entries.clear();
    this.#busy.clear();
    this.#held = 0;
    this.#doubled = 0;
    this.#acceptedMs = [];
    this.#convergedMs = [];
  }

  /** Whether the last command of this knob has no end yet. */
  isUnderWay(knob: string): boolean {
    return this.#busy.has(knob);
  }

  held(): void {
    this.#held++;
  }

  sent(knob: string, id: string, at: number): void {
    this.#entries.set(id, { knob, sentAt: at, end: null });
    this.#busy.add(knob);
  }

  /** An answer; of a command of another run it is left alone. An end that is told again is the same end. */
  answered({ id, phase, code }: Pick<AckMessage, 'id' | 'phase' | 'code'>, at: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || phase === 'received') return;
    if (phase === 'accepted') {
      if (entry.end === null) this.#acceptedMs.push(at - entry.sentAt);
      return;
    }
    const end = code === '' ? phase : `${phase} ${code}`;
    if (entry.end !== null) {
      if (entry.end !== end) this.#doubled++;
      return;
    }
    entry.end = end;
    this.#busy.delete(entry.knob);
    if (phase === 'converged') this.#convergedMs.push(at - entry.sentAt);
  }

  /** @param seconds how long commands were sent */
  report(seconds: number): KnobReport {
    const ends: Record<string, number> = {};
    for (const { end } of this.#entries.values()) if (end !== null) ends[end] = (ends[end] ?? 0) + 1;
    return {
      ...{ seconds, sent: this.#entries.size, held: this.#held, doubled: this.#doubled, ends },
      lost: [...this.#entries.values()].filter(({ end }) => end === null).length,
      acceptedMs: this.#acceptedMs,
      convergedMs: this.#convergedMs,
    };
  }
}
