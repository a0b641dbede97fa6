/**
 * How far one surface has come in a rollout. Pure: what is known of the surface goes in, its next state comes out; what is
 * said twice, late or not at all changes nothing that it should not.
 */
import { compareVersions, versionPattern } from '../../version.ts';
import type { UpdateReport } from '../wire/messages.ts';

/**
 * `waiting`: not asked yet, or what it was asked was lost. `asked` to `restarting`: on its way. `skipped`: nothing is to be
 * asked of it as it is now.
 */
export type Phase = 'waiting' | 'asked' | 'installing' | 'restarting' | 'done' | 'failed' | 'skipped';

export interface Progress {
  readonly phase: Phase;
  /** Why, for people. */
  readonly detail: string;
  /** When this phase began: monotonic milliseconds of this process. */
  readonly since: number;
  /** The same for people, Unix milliseconds. */
  readonly at: number;
  /** What it ran when it was asked; null: it was not. */
  readonly from: string | null;
  /** How often it was asked: more than once only when what it was asked was lost. */
  readonly asks: number;
  /** Stays when it arrives after all: a rollout that has stopped does not go on by itself. */
  readonly hasFailed: boolean;
}

/** What the gateway knows of a surface, all of it from this run of the gateway. */
export interface Seen {
  readonly isOnline: boolean;
  /** For how long it has been there or away, milliseconds. */
  readonly forMs: number;
  /** What its last birth says that it runs; null: there was none. */
  readonly firmware: string | null;
  /** What it said since its last birth; null: nothing. */
  readonly report: UpdateReport | null;
  /** The same, since it was asked; null: nothing. */
  readonly answer: UpdateReport | null;
}

/** What a surface is measured by. */
export interface Want {
  readonly version: string;
  readonly seen: Seen;
  /** Another rollout that wants a newer version of it; null: none. */
  readonly newerRollout: string | null;
  /** Why it must not be asked now, e.g. a policy that would not take the new version; null: nothing. */
  readonly obstacle: string | null;
  /** Monotonic milliseconds. */
  readonly now: number;
  /** Unix milliseconds. */
  readonly at: number;
}

/** A surface that is there and says nothing for so long does not know what it was asked, milliseconds. */
export const answerMs = 60_000;
/** A surface that is on its way and away for so long has failed, milliseconds. */
export const awayMs = 15 * 60_000;
/** Longest installation, over whatever network, milliseconds. */
export const installMs = 2 * 60 * 60_000;
/** Longest time from the installation to the end of the trial, milliseconds: it may wait ten minutes for its user. */
export const restartMs = 45 * 60_000;
/** So often a surface is asked when what it was asked is lost again and again. */
export const mostAsks = 3;

/** Before anything is known. */
export const begun = (now: number, at: number): Progress => ({
  phase: 'waiting',
  detail: 'has not been online',
  since: now,
  at,
  from: null,
  asks: 0,
  hasFailed: false,
});

/** It has been asked just now. */
export const askedOf = (
  before: Progress,
  { from, now, at }: { readonly from: string | null; readonly now: number; readonly at: number },
): Progress => ({
  ...before,
  phase: 'asked',
  detail: 'no answer yet',
  since: now,
  at,
  from,
  asks: before.asks + 1,
});

export const isOnItsWay = ({ phase }: Progress): boolean =>
  phase === 'asked' || phase === 'installing' || phase === 'restarting';

export const isOver = ({ phase }: Progress): boolean =>
  phase === 'done' || phase === 'failed' || phase === 'skipped';

/** Whether a surface would take an update now: it waits, is there, and has said so. */
export const isFree = ({ phase }: Progress, { isOnline, report }: Seen): boolean =>
  phase === 'waiting' && isOnline && (report?.state === 'idle' || report?.state === 'failed');

type Judged = readonly [phase: Phase, detail: string];

/** The next state; the same object when nothing is different. */
export function advance(before: Progress, want: Want): Progress {
  const [phase, detail] = judged(before, want);
  if (phase === before.phase && detail === before.detail) return before;
  const isNew = phase !== before.phase;
  return {
    ...before,
    phase,
    detail,
    since: isNew ? want.now : before.since,
    at: isNew ? want.at : before.at,
    hasFailed: before.hasFailed || phase === 'failed',
  };
}

function judged(before: Progress, want: Want): Judged {
  const { version, seen } = want;
  if (seen.firmware === version) return arrived(before, want);
  switch (before.phase) {
    case 'done':
      return isOlder(seen.firmware, version) ? ['failed', `runs ${seen.firmware} again`] : same(before);
    case 'failed':
      return same(before);
    case 'waiting':
    case 'skipped':
      return idle(before, want);
    case 'asked':
    case 'installing':
    case 'restarting':
      return onItsWay(before, want);
  }
}

const same = ({ phase, detail }: Progress): Judged => [phase, detail];

/** It runs what it is to run. A version on trial may still fall back; one that says nothing of trials has none. */
function arrived(before: Progress, { version, seen, now }: Want): Judged {
  const { report, isOnline, forMs } = seen;
  if (before.phase === 'done') return same(before);
  const isUntold =
    report === null ? !isOnline || forMs < answerMs : isOnItsWay(before) && isNotReady(report, seen);
  if (report?.state === 'trial' || isUntold) {
    const late = isOnItsWay(before) ? overdue(before, seen, now) : null;
    if (late !== null) return ['failed', late];
    return before.phase === 'failed' ? same(before) : ['restarting', `runs ${version}, on trial`];
  }
  return ['done', `runs ${version}`];
}

/** Nothing is under way as far as is known: can it be asked? */
function idle(before: Progress, { version, seen, newerRollout, obstacle }: Want): Judged {
  const { firmware, report, isOnline, forMs } = seen;
  if (newerRollout !== null) return ['skipped', `${newerRollout} wants a newer version`];
  if (firmware === null)
    return before.phase === 'skipped' ? ['waiting', 'has not been online'] : same(before);
  if (!versionPattern.test(firmware)) return ['skipped', `runs "${firmware}", which is no version`];
  if (!isOlder(firmware, version)) return ['skipped', `runs ${firmware}, which is newer`];
  if (report?.state === 'unsupported') return ['skipped', report.detail || 'cannot be updated'];
  if (!isOnline) return ['waiting', 'offline'];
  if (report === null)
    return forMs < answerMs
      ? ['waiting', 'has not told yet how it stands to updates']
      : ['skipped', `says nothing of updates: ${firmware} knows of none, or not from here`];
  if (report.state === 'idle' || report.state === 'failed')
    return obstacle === null ? ['waiting', 'ready'] : ['waiting', obstacle];
  if (report.state === 'trial') return ['waiting', `is trying ${report.version ?? firmware}`];
  // On its way without having been asked by this run: what the gateway kept of it is lost, or somebody at the surface did it.
  if (report.version === version) return [phaseOf(report), detailOf(report)];
  return ['waiting', `is busy with ${report.version ?? 'another version'}`];
}

function onItsWay(before: Progress, want: Want): Judged {
  const { version, seen, now } = want;
  const { firmware, answer, isOnline, forMs } = seen;
  if (firmware !== null && isOlder(version, firmware)) return ['skipped', `runs ${firmware}, which is newer`];
  const late = overdue(before, seen, now);
  if (late !== null) return ['failed', late];
  if (!isOnline) return same(before);
  if (answer === null) {
    // Said nothing since it was asked, came back, or the gateway did.
    const silentMs = Math.min(forMs, now - before.since);
    return silentMs < answerMs ? same(before) : forgotten(before, firmware);
  }
  if (answer.state === 'idle' || answer.state === 'trial') return forgotten(before, firmware);
  if (isNotReady(answer, seen)) return same(before);
  if (answer.state === 'unsupported') return ['failed', answer.detail || 'cannot be updated'];
  // An old failure, or one that does not say of what: as often as that it is asked again, and not for ever.
  if (answer.state === 'failed' && answer.version !== version) return forgotten(before, firmware);
  if (answer.version !== version) return ['waiting', `is busy with ${answer.version ?? 'another version'}`];
  if (answer.state === 'failed') return ['failed', answer.detail || 'failed'];
  return [phaseOf(answer), detailOf(answer)];
}

/**
 * A surface that was asked can be updated. When it says that it cannot, it has just been started, and what installs updates
 * there has not told yet how they stand: after a trial that failed that is the one thing to wait for.
 */
const isNotReady = ({ state }: UpdateReport, { forMs }: Seen): boolean =>
  state === 'unsupported' && forMs < awayMs;

/** It is there, runs the old version, and knows of no update. */
function forgotten(before: Progress, firmware: string | null): Judged {
  if (before.phase === 'restarting') return ['failed', `came back with ${firmware ?? 'what ran before'}`];
  if (before.asks >= mostAsks) return ['failed', `was asked ${before.asks} times, and knows of nothing`];
  return ['waiting', 'does not know what it was asked: asked again'];
}

/** Why no more is waited for; null: it has time. */
function overdue({ phase, since }: Progress, { isOnline, forMs }: Seen, now: number): string | null {
  const minutes = (ms: number): number => ms / 60_000;
  if (!isOnline && forMs >= awayMs && now - since >= awayMs)
    return `did not come back within ${minutes(awayMs)} minutes`;
  if (phase === 'installing' && now - since >= installMs)
    return `was not installed within ${minutes(installMs)} minutes`;
  if (phase === 'restarting' && now - since >= restartMs)
    return `neither restarted nor ended its trial within ${minutes(restartMs)} minutes`;
  return null;
}

const phaseOf = ({ state }: UpdateReport): Phase => (state === 'restarting' ? 'restarting' : 'installing');
const detailOf = ({ detail }: UpdateReport): string => detail;

/** Whether the first is older than the second; what is no version is not. */
function isOlder(one: string | null, other: string): boolean {
  const areVersions = one !== null && versionPattern.test(one) && versionPattern.test(other);
  return areVersions && compareVersions(one, other) < 0;
}
