/** Two lines of an encoder that change one after the other; which one comes first tells the direction. */

/** Levels of both lines; null: not known until the line's next edge. */
export interface QuadratureLevels {
  readonly a: boolean | null;
  readonly b: boolean | null;
}

/** What was counted since the start. */
export interface QuadratureCounters {
  /** Pulses in either direction, bounces included. */
  readonly pulses: number;
  /** Changes that must have been there but were not seen; a lower bound. */
  readonly missed: number;
}

/**
 * Pulses by `new state << 2 | old state`, a state being `a << 1 | b`: the table that encoder libraries share, for instance
 * RegisterEncoders.hpp of Control Surface, where ±2 stands for both lines changing at once. That says nothing about the
 * direction, so here it counts nothing; null marks it. A before B is clockwise.
 */
const pulsesOf: readonly (1 | -1 | 0 | null)[] = [
  0,
  1,
  -1,
  null,
  -1,
  0,
  null,
  1,
  1,
  null,
  0,
  -1,
  null,
  -1,
  1,
  0,
];

/** Counts pulses from the levels of the two lines; nothing that was missed is ever made up for. */
export class QuadratureDecoder {
  #levels: QuadratureLevels;
  #pulses = 0;
  #missed = 0;

  constructor(levels: QuadratureLevels) {
    this.#levels = levels;
  }

  get counters(): QuadratureCounters {
    return { pulses: this.#pulses, missed: this.#missed };
  }

  /** Takes an edge of one line and gives the pulses, clockwise positive. */
  edge(line: 'a' | 'b', isHigh: boolean): 1 | -1 | 0 {
    // An edge to the level that the line has: the one before it was not seen.
    if (this.#levels[line] === isHigh) this.#missed += 1;
    // An edge tells the level before it, too.
    else this.#levels = { ...this.#levels, [line]: !isHigh };
    return this.sample({ ...this.#levels, [line]: isHigh });
  }

  /** Takes the levels of both lines, read at one time, and gives the pulses, clockwise positive. */
  sample(levels: QuadratureLevels): 1 | -1 | 0 {
    const [before, after] = [stateOf(this.#levels), stateOf(levels)];
    this.#levels = levels;
    if (before === null || after === null) return 0;
    const pulses = pulsesOf[(after << 2) | before];
    if (pulses === null || pulses === undefined) {
      this.#missed += 2;
      return 0;
    }
    this.#pulses += Math.abs(pulses);
    return pulses;
  }

  /** Starts over from levels after a loss; counts no pulse. */
  resync(levels: QuadratureLevels): void {
    const isChanged = (line: 'a' | 'b'): boolean =>
      this.#levels[line] !== null && levels[line] !== null && levels[line] !== this.#levels[line];
    this.#missed += Number(isChanged('a')) + Number(isChanged('b'));
    this.#levels = levels;
  }
}

/** Null as long as one of them is not known. */
function stateOf({ a, b }: QuadratureLevels): number | null {
  return a === null || b === null ? null : (Number(a) << 1) | Number(b);
}
