/** What the page says in words and numbers about one strip; pure. */
import { amountAt, travelOf } from '../../../../daemon/surface/scale.ts';
import type { AckPhase, Guard, SlotCondition, Strip } from '../../../../daemon/surface/types.ts';

/** How a line of text is meant. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet';

/** One line on a strip; `full` is said where there is room for it. */
export interface Line {
  readonly tone: Tone;
  readonly text: string;
  readonly full: string;
}

/** The sign tells the ends apart without colour. */
const phaseWords: Readonly<Record<AckPhase, readonly [tone: Tone, sign: string, word: string]>> = {
  received: ['busy', '…', 'sent'],
  accepted: ['busy', '…', 'accepted'],
  converged: ['good', '✓', 'done'],
  blocked: ['bad', '✕', 'blocked'],
  reverted: ['warn', '↺', 'reverted'],
  stale: ['warn', '!', 'out of date'],
  expired: ['warn', '!', 'expired'],
  denied: ['bad', '✕', 'denied'],
  'needs-arm': ['warn', '!', 'needs arming'],
};

const conditionWords: Readonly<Record<SlotCondition['state'], readonly [tone: Tone, word: string]>> = {
  ok: ['good', ''],
  progressing: ['busy', 'progressing'],
  blocked: ['bad', 'blocked'],
  missing: ['bad', 'no such target'],
  denied: ['bad', 'denied'],
  unreachable: ['warn', 'cluster away'],
  unknown: ['quiet', 'not known yet'],
};

const guardWords: Readonly<Record<Guard, string>> = {
  zero: 'zero replicas',
  autoscaler: 'an autoscaler decides',
  gitops: 'GitOps decides',
  claims: 'volumes are deleted',
  disrupts: 'Pods in service are ended',
  loses: 'something is lost',
};

/** Why a command has to be armed. */
export const wordsOfGuards = (guards: readonly Guard[]): string =>
  guards.map((guard) => guardWords[guard]).join(', ');

/** `CrashLoopBackOff` as words that fit on a small display: `crash loop`. */
const wordsOfCode = (code: string): string =>
  code
    .replace(/(?<=.)BackOff$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();

const line = (tone: Tone, text: string, detail: string): Line => ({
  tone,
  text,
  full: detail === '' ? text : `${text}: ${detail}`,
});

/** What became of a command. */
export function lineOfNotice({ phase, code, text }: NonNullable<Strip['notice']>): Line {
  const [tone, sign, word] = phaseWords[phase];
  // Where there is a reason, it says more than the phase; the sign and the colour say the phase.
  const short = code === '' || phase === 'converged' ? word : wordsOfCode(code);
  const isSaid = text.toLowerCase().startsWith(word);
  return { tone, text: `${sign} ${short}`, full: isSaid ? text : `${word}: ${text}` };
}

/** The most urgent thing to say about a strip. */
export function lineOf(strip: Strip): Line {
  if (strip.arming) {
    return line('warn', `hold ARM for ${strip.arming.want}`, wordsOfGuards(strip.arming.guards));
  }
  if (strip.notice) return lineOfNotice(strip.notice);
  if (strip.hint) {
    const way = strip.hint === 'up' ? '▲ move up' : '▼ move down';
    return line('warn', way, `to ${numberOf(strip)}, where the fader takes over`);
  }
  if (strip.condition.state !== 'ok') {
    const [tone, word] = conditionWords[strip.condition.state];
    const text = strip.condition.reason === '' ? word : wordsOfCode(strip.condition.reason);
    return line(tone, text, strip.condition.message);
  }
  if (strip.owner) {
    const owner = strip.owner.kind === 'autoscaler' ? 'autoscaler' : 'GitOps';
    return line('busy', `${owner} ${strip.owner.name}`, 'decides about this number too');
  }
  if (strip.desired !== null && strip.ready < strip.desired) return line('busy', 'starting', '');
  return line('good', 'steady', '');
}

/** The number that the control is set to as far as the panel knows. */
export const numberOf = (strip: Strip): number | null => strip.wanted ?? strip.desired;

/** The state of a strip in one sentence, for those who hear the page. */
export function sentenceOf(strip: Strip): string {
  const desired = strip.desired === null ? 'an unknown number of' : String(strip.desired);
  const wanted = strip.wanted === null ? '' : `, ${strip.wanted} wanted`;
  return `${strip.name}: ${strip.ready} of ${desired} replicas ready${wanted}, ${lineOf(strip).full}`;
}

type Limits = Pick<Strip, 'min' | 'max'>;

/** What kubectl calls a kind for short; small displays have no room for more. */
export const shortKindOf = (kind: string): string => shortKinds[kind] ?? kind;

const shortKinds: Readonly<Record<string, string>> = {
  Deployment: 'deploy',
  StatefulSet: 'sts',
  ReplicaSet: 'rs',
  ReplicationController: 'rc',
};

/** Where a control stands for a number, 0..1; the surface's own scale, so that marks and motors agree. */
export const placeOf = (count: number, { min, max }: Limits): number =>
  travelOf({ min, max, step: 1 }, count);

/** The number at a place. */
export const numberAt = (place: number, { min, max }: Limits): number =>
  Math.round(amountAt({ min, max, step: 1 }, place));

/** The numbers printed beside a fader: both ends and round ones between, at most about nine. */
export function ticksOf({ min, max }: Limits): number[] {
  const strides = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000, 20_000];
  const stride = strides.find((candidate) => (max - min) / candidate <= 8) ?? max - min;
  const ticks = [min];
  for (let tick = Math.ceil((min + 1) / stride) * stride; tick < max; tick += stride) {
    // One that would be printed over an end is left out.
    if (tick - min >= stride / 2 && max - tick >= stride / 2) ticks.push(tick);
  }
  if (max > min) ticks.push(max);
  return ticks;
}
