/** What a bench is, and what it says. */

/** What has to hold for a row to meet its aim; both bounds when both are given. */
export interface Aim {
  /** Most that `ratio` may be. */
  readonly ratioAtMost?: number;
  /** Most that `ours` may be. */
  readonly oursAtMost?: number;
}

/** One line of the table: our number beside that of a peer from the same run. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** What was measured beside it. */
  readonly peer: string;
  readonly theirs: number;
  /** Median of ours / theirs over the rounds of the run, with the quartiles around it. */
  readonly ratio: number;
  readonly ratioLow: number;
  readonly ratioHigh: number;
  readonly aim: Aim | null;
  /** Something else that has to be true for the aim. */
  readonly condition?: { readonly claim: string; readonly holds: boolean };
}

/** What one bench has measured. */
export interface Findings {
  readonly rows: readonly Row[];
  /** Everything behind the rows, for the JSON. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** What a bench may use. */
export interface BenchContext {
  /** Fewer rounds: to see that it works, not to quote. */
  readonly isQuick: boolean;
  /** A folder of its own, removed after it. */
  readonly folder: string;
  /** Runs after the bench, the last one first, whatever became of it. */
  defer(end: () => Promise<unknown> | unknown): void;
  /** Shows progress. */
  say(text: string): void;
}

/** One bench. */
export interface Bench {
  readonly name: string;
  readonly title: string;
  /** Programs that it needs. */
  readonly needs: readonly string[];
  run(context: BenchContext): Promise<Findings>;
}

/** When, how and where a bench ran; what was started together has the same. */
export interface Making {
  readonly madeAt: string;
  readonly isQuick: boolean;
  readonly machine: Readonly<Record<string, string | number>>;
}

/** The outcome of one bench in a run. */
export interface BenchResult extends Making {
  readonly name: string;
  readonly title: string;
  readonly tookSeconds: number;
  /** Null when it did not run. */
  readonly findings: Findings | null;
  /** Why it did not. */
  readonly problem: string | null;
}

/** Results as they are written to JSON: of one run, or of the last run of each bench. */
export interface Report {
  readonly results: readonly BenchResult[];
}

/** Whether a row meets its aim; null when it has none. */
export function isMet({ aim, ratio, ours, condition }: Row): boolean | null {
  if (aim === null) return null;
  return (
    // A peer of 0 has no ratio, which only counts where one is asked for.
    (aim.ratioAtMost === undefined || ratio <= aim.ratioAtMost) &&
    ours <= (aim.oursAtMost ?? Number.POSITIVE_INFINITY) &&
    condition?.holds !== false
  );
}
