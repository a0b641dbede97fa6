/**
 * The books of a run: what surfaces asked for, how each command ended for the operator, and what the API server wrote. Every
 * command asks for a number that its surface never asked for before, so a write tells whose it is. Pure.
 */

/** A command that a surface has sent. Times are Unix milliseconds of one machine. */
export interface Asked {
  readonly id: string;
  readonly at: number;
  readonly ttlMs: number;
}

/** An end as the operator was told it. */
export interface Ended {
  readonly id: string;
  readonly at: number;
  readonly phase: string;
  readonly code: string;
}

/** A write that the API server has carried out. */
export interface Written {
  readonly id: string;
  readonly at: number;
}

/** From when to when an API server, or the way to it, held back what had been sent to it. */
export interface Shut {
  readonly from: number;
  readonly to: number;
}

export interface Book {
  readonly shut: readonly Shut[];
  readonly asked: readonly Asked[];
  readonly ended: readonly Ended[];
  readonly written: readonly Written[];
}

/** What is wrong, by the ids of the commands. */
export interface Findings {
  /** Without an end although it has had time for it. */
  readonly lost: readonly string[];
  /** Written twice, or ended twice. */
  readonly doubled: readonly string[];
  /** Written after its time. */
  readonly late: readonly string[];
  /**
   * Written after its time because it was sent in time and held back on the way into an API server, and the operator was told that
   * it is not known whether it was done. No client of Kubernetes can take back what it has sent.
   */
  readonly heldBack: readonly string[];
  /** Written although nobody asked for it. */
  readonly strange: readonly string[];
  /** Written although the operator was told that it was not done. */
  readonly belied: readonly string[];
}

/** After the time to live a write under way may still be answered (`graceMs` of gateway/set-number.ts). */
export const lateAfterMs = 1500;

/** Phases that say that nothing was done; `expired` says so only with some of its codes. */
const refusals: readonly string[] = ['denied', 'stale', 'needs-arm'];

/** Ends that say that it is not known whether it was done. */
const unknowns: readonly string[] = [
  'AnswerLost',
  'HandedOver',
  'GatewayRestarted',
  'EndUnknown',
  'NoAnswer',
];

/** What was held back comes so soon after the way is open, milliseconds; a busy machine takes its time. */
const releaseMs = 3000;

/** Name of a command: its surface and the number that it alone asks for. */
export const idOf = (surface: string, number: number): string => `${surface}/${number}`;

/**
 * Holds a book against the rules.
 * @param endsBy Unix milliseconds: commands asked for later may still be under way
 */
export function findingsIn({ shut, asked, ended, written }: Book, endsBy: number): Findings {
  const commands = new Map(asked.map((command) => [command.id, command]));
  const ends = countsOf(ended);
  const writes = countsOf(written);
  const refused = new Set(ended.filter(({ phase }) => refusals.includes(phase)).map(({ id }) => id));
  const known = new Set(
    ended.filter(({ phase, code }) => phase !== 'expired' || !unknowns.includes(code)).map(({ id }) => id),
  );
  const latestOf = (id: string): number => {
    const command = commands.get(id);
    return command === undefined ? Number.POSITIVE_INFINITY : command.at + command.ttlMs + lateAfterMs;
  };
  const late = written.filter(({ id, at }) => at > latestOf(id));
  const isHeldBack = ({ id, at }: Written): boolean =>
    !known.has(id) && shut.some(({ from, to }) => from <= latestOf(id) && at >= to && at <= to + releaseMs);
  return {
    lost: asked.filter(({ id, at }) => at <= endsBy && !ends.has(id)).map(({ id }) => id),
    doubled: [...new Set([...above(writes, 1), ...above(ends, 1)])],
    late: late.filter((one) => !isHeldBack(one)).map(({ id }) => id),
    heldBack: late.filter(isHeldBack).map(({ id }) => id),
    strange: [...writes.keys()].filter((id) => !commands.has(id)),
    belied: [...writes.keys()].filter((id) => refused.has(id)),
  };
}

function countsOf(entries: readonly { readonly id: string }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { id } of entries) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

const above = (counts: ReadonlyMap<string, number>, most: number): string[] =>
  [...counts].filter(([, count]) => count > most).map(([id]) => id);

/** What a display shows, beside what is so. */
export interface Display {
  readonly surface: string;
  /** It shows its number as that of now; otherwise it is dimmed and says why. */
  readonly isLive: boolean;
  /** Null: it has never been told one. */
  readonly shown: number | null;
  readonly actual: number;
}

/** Surfaces that show as current what is not so. */
export const wrongIn = (displays: readonly Display[]): readonly string[] =>
  displays.filter(({ isLive, shown, actual }) => isLive && shown !== actual).map(({ surface }) => surface);

/** Surfaces that do not show what is so as current. */
export const behindIn = (displays: readonly Display[]): readonly string[] =>
  displays.filter(({ isLive, shown, actual }) => !isLive || shown !== actual).map(({ surface }) => surface);
