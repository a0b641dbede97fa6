/** What can be undone. */

/** One command that took effect. */
export interface Done {
  readonly slot: number;
  /** The number before it. */
  readonly before: number;
}

/** So many commands can be undone. */
export const undoDepth = 10;

/** The last commands of a surface that took effect, newest last. */
export class UndoHistory {
  readonly #done: Done[] = [];

  get isEmpty(): boolean {
    return this.#done.length === 0;
  }

  record(done: Done): void {
    this.#done.push(done);
    if (this.#done.length > undoDepth) this.#done.shift();
  }

  /** Takes the newest out; undefined when there is none. */
  take(): Done | undefined {
    return this.#done.pop();
  }

  /** Drops what belongs to slots that are no longer bound. */
  keep(isBound: (slot: number) => boolean): void {
    const kept = this.#done.filter((done) => isBound(done.slot));
    this.#done.splice(0, this.#done.length, ...kept);
  }
}
