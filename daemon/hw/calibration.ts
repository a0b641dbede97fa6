/** Finds the ends of faders while somebody moves them. Pure: it only counts samples. */
import { type Calibration, type FaderEnds, leastSpan } from '../config/calibration.ts';
import { Median5 } from './signal/fader.ts';

/**
 * So many samples at an end, or beyond it, make it an end: a wiper that jumps for a moment makes none. It is the
 * percentile of a recording whose length nobody knows.
 */
const endSampleCount = 10;
/**
 * The ends are put so far inside of what was read, as a part of the full scale, that noise, wear and one step of an 8-bit
 * converter still reach them.
 */
const margin = 1 / 255;
/** So near to what was read furthest is at the end, as a part of the full scale. */
const nearness = 0.03;
/** How often each end has to be visited: once may be where the fader happened to stand in the beginning. */
export const visitsWanted = 2;

/** How far one fader has come. */
export interface FaderProgress {
  readonly control: string;
  /** Where it is, 0..1 of the full scale; null: no reading yet. */
  readonly level: number | null;
  /** The lowest and the highest that it has been at, 0..1; null while there are too few readings. */
  readonly lowest: number | null;
  readonly highest: number | null;
  /** How often it has been at its low and at its high end, `visitsWanted` at most. */
  readonly lowVisits: number;
  readonly highVisits: number;
  readonly isDone: boolean;
}

/** What came of it. */
export interface CalibrationResult {
  readonly calibrated: Calibration;
  /** Faders that were not moved far enough, or gave no reading, and why. */
  readonly rejected: readonly { readonly control: string; readonly reason: string }[];
}

/** One end: the least of what was read, on a scale that runs towards the other end. */
class End {
  /** The least samples, in order. */
  readonly #least: number[] = [];
  /** Where the end was when its visits were counted from zero. */
  #anchor = Number.POSITIVE_INFINITY;
  visits = 0;

  /** Null while there are too few samples. */
  get value(): number | null {
    return this.#least[endSampleCount - 1] ?? null;
  }

  /** Takes a sample; an end that moves outwards has not been visited before. */
  push(sample: number): void {
    const place = this.#least.findIndex((other) => sample < other);
    this.#least.splice(place === -1 ? this.#least.length : place, 0, sample);
    if (this.#least.length > endSampleCount) this.#least.pop();
    if (this.value === null || this.value >= this.#anchor - nearness) return;
    this.#anchor = this.value;
    this.visits = 0;
  }

  isNear(sample: number): boolean {
    return this.value !== null && sample <= this.value + nearness;
  }
}

/** One fader that is being calibrated. */
class Travel {
  readonly #median = new Median5();
  readonly #low = new End();
  /** Takes 1 - sample. */
  readonly #high = new End();
  #level: number | null = null;
  #at: End | null = null;

  push(sample: number): void {
    const level = this.#median.push(Math.min(1, Math.max(0, sample)));
    if (level === null) return;
    this.#level = level;
    this.#low.push(level);
    this.#high.push(1 - level);
    if (this.#span() < leastSpan) return;
    if (this.#low.isNear(level)) this.#visit(this.#low);
    else if (this.#high.isNear(1 - level)) this.#visit(this.#high);
  }

  progress(control: string): FaderProgress {
    const [lowVisits, highVisits] = [this.#low, this.#high].map(({ visits }) =>
      Math.min(visits, visitsWanted),
    );
    return {
      control,
      level: this.#level,
      lowest: this.#low.value,
      highest: this.#high.value === null ? null : 1 - this.#high.value,
      lowVisits: lowVisits ?? 0,
      highVisits: highVisits ?? 0,
      isDone: lowVisits === visitsWanted && highVisits === visitsWanted && this.#span() >= leastSpan,
    };
  }

  #visit(end: End): void {
    // An end that has just moved outwards is visited anew.
    if (this.#at === end && end.visits > 0) return;
    this.#at = end;
    end.visits++;
  }

  /** What would be left of the travel, 0..1. */
  #span(): number {
    const [low, high] = [this.#low.value, this.#high.value];
    return low === null || high === null ? 0 : Math.max(0, 1 - high - low - 2 * margin);
  }
}

/** Watches faders being moved from end to end. */
export class Calibrator {
  readonly #travels: ReadonlyMap<string, Travel>;

  constructor(controls: readonly string[]) {
    this.#travels = new Map(controls.map((control) => [control, new Travel()]));
  }

  /** Takes a sample, 0..1 of the full scale; samples of other controls and what is no number are left out. */
  push(control: string, sample: number): void {
    if (Number.isFinite(sample)) this.#travels.get(control)?.push(sample);
  }

  /** How far each fader has come, in the order in which they were named. */
  progress(): readonly FaderProgress[] {
    return [...this.#travels].map(([control, travel]) => travel.progress(control));
  }

  /** Every fader has been at both of its ends often enough. */
  get isDone(): boolean {
    return this.progress().every(({ isDone }) => isDone);
  }

  /**
   * What came of it so far.
   * @param before what was known before: a fader that was upside down still is
   */
  result(before: Calibration): CalibrationResult {
    const calibrated = new Map<string, FaderEnds>();
    const rejected: { control: string; reason: string }[] = [];
    for (const { control, lowest, highest } of this.progress()) {
      const old = before.get(control);
      const ends = lowest === null || highest === null ? null : endsOf(lowest, highest);
      if (ends === null) rejected.push({ control, reason: 'no readings' });
      else if (ends.high - ends.low < leastSpan)
        rejected.push({ control, reason: tooLittle(lowest!, highest!) });
      else if (old !== undefined && old.low > old.high)
        calibrated.set(control, { low: ends.high, high: ends.low });
      else calibrated.set(control, ends);
    }
    return { calibrated, rejected };
  }
}

/** In steps of a ten-thousandth, which people can read. */
const rounded = (value: number): number => Math.round(value * 10_000) / 10_000;

const endsOf = (lowest: number, highest: number): FaderEnds => ({
  low: rounded(lowest + margin),
  high: rounded(highest - margin),
});

function tooLittle(lowest: number, highest: number): string {
  const percent = Math.floor((highest - lowest) * 100);
  return `moved over ${percent} % of its scale, too little: at least ${Math.ceil((leastSpan + 2 * margin) * 100)} % are needed`;
}
