/** What became of commands, in words that stay for a few seconds. */
import type { Ack, AckPhase, Millis, Strip } from './types.ts';

const shortMs = 6000;
const longMs = 12_000;

/** Ends that somebody has to read and act on stay longer. */
const durations: Readonly<Record<AckPhase, number>> = {
  received: 0,
  accepted: 0,
  converged: shortMs,
  blocked: longMs,
  reverted: longMs,
  stale: shortMs,
  expired: shortMs,
  denied: longMs,
  'needs-arm': shortMs,
};

const defaultTexts: Readonly<Record<AckPhase, string>> = {
  received: '',
  accepted: '',
  converged: 'Done.',
  blocked: 'Set, but the Pods do not come up.',
  reverted: 'Set, but somebody set it back.',
  stale: 'Not done: the number had changed.',
  expired: 'Not done: the command came too late.',
  denied: 'Not done: not allowed.',
  'needs-arm': 'Needs to be confirmed.',
};

/** Code of what cannot be confirmed, because the control to do so is not there. */
export const noArmControl = 'NoArmControl';

/** A notice and when it goes. */
export interface TimedNotice {
  readonly shown: NonNullable<Strip['notice']>;
  readonly until: Millis;
}

/** A notice of the surface's own. */
export function notice(phase: AckPhase, code: string, text: string, at: Millis): TimedNotice {
  return { shown: { phase, code, text }, until: at + durations[phase] };
}

/** The notice for the end of a command. */
export function noticeOf(ack: Ack, at: Millis): TimedNotice {
  return notice(ack.phase, ack.code, ack.detail === '' ? defaultTexts[ack.phase] : ack.detail, at);
}
