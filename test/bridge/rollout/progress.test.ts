import fc from 'fast-check';
import t from 'tap';
import { keptText, readKept } from '../../../daemon/bridge/rollout/kept.ts';
import {
  advance,
  answerMs,
  askedOf,
  awayMs,
  begun,
  installMs,
  mostAsks,
  type Progress,
  restartMs,
  type Seen,
  type Want,
} from '../../../daemon/bridge/rollout/progress.ts';
import type { UpdateReport } from '../../../daemon/bridge/wire/messages.ts';

const version = '1.1.0';
const idle: UpdateReport = { state: 'idle', version: null, detail: '' };
const seen: Seen = { isOnline: true, forMs: 1000, firmware: '1.0.0', report: idle, answer: null };
const want = (change: Partial<Seen>, rest: Partial<Want> = {}): Want => ({
  version,
  seen: { ...seen, ...change },
  newerRollout: null,
  obstacle: null,
  now: 0,
  at: 0,
  ...rest,
});
const asked = askedOf(begun(0, 0), { from: '1.0.0', now: 0, at: 0 });
const phase = (before: Progress, change: Partial<Seen>, rest: Partial<Want> = {}): string =>
  advance(before, want(change, rest)).phase;
const says = (state: UpdateReport['state'], of: string | null = version): UpdateReport => ({
  state,
  version: of,
  detail: '',
});

t.test('what a surface says and when decides', async (t) => {
  const unready = says('unsupported', null);
  const restarting = { ...asked, phase: 'restarting' } as const;
  const rows: readonly (readonly [string, string, Progress, Partial<Seen>, Partial<Want>?])[] = [
    ['asked', 'no answer yet', asked, {}],
    ['waiting', 'silent for too long: it was lost', asked, { forMs: answerMs }, { now: answerMs }],
    ['asked', 'just back: it has time to say', asked, { forMs: 10 }, { now: 10 * answerMs }],
    ['installing', 'it says so', asked, { answer: says('installing') }],
    ['waiting', 'it is busy with another one', asked, { answer: says('installing', '1.0.5') }],
    ['failed', 'it says so', asked, { answer: says('failed') }],
    ['waiting', 'an old failure is no answer', asked, { answer: says('failed', '1.0.5') }],
    [
      'failed',
      'it fails again and again, and never says at what',
      { ...asked, asks: mostAsks },
      { answer: says('failed', null) },
    ],
    ['waiting', 'it tries another one', asked, { answer: says('trial', '1.0.5') }],
    ['waiting', 'another one waits for its restart', asked, { answer: says('restarting', '1.0.5') }],
    ['asked', 'just started: how updates stand is not known there', asked, { answer: unready }],
    ['restarting', 'back from a trial that failed, and just started', restarting, { answer: unready }],
    ['failed', 'it cannot any more', asked, { answer: unready, forMs: awayMs }, { now: awayMs }],
    [
      'restarting',
      'runs it, and may still be on trial: not known there',
      restarting,
      { firmware: version, report: unready },
    ],
    ['done', 'runs it without having been asked', begun(0, 0), { firmware: version, report: unready }],
    ['asked', 'away, for a while', asked, { isOnline: false, forMs: awayMs - 1 }, { now: awayMs }],
    ['failed', 'away for too long', asked, { isOnline: false, forMs: awayMs }, { now: awayMs }],
    [
      'failed',
      'installs for ever',
      { ...asked, phase: 'installing' },
      { answer: says('installing') },
      { now: installMs },
    ],
    ['restarting', 'waits for its user', restarting, { answer: says('restarting') }, { now: restartMs - 1 }],
    ['failed', 'never restarts', restarting, { answer: says('restarting') }, { now: restartMs }],
    ['failed', 'back with the old version', restarting, { answer: idle }],
    ['waiting', 'the power went while it was installed', { ...asked, phase: 'installing' }, { answer: idle }],
    [
      'restarting',
      'runs it, and has not said whether for good',
      restarting,
      { firmware: version, report: null },
    ],
    ['restarting', 'on trial', restarting, { firmware: version, report: says('trial') }],
    ['done', 'runs it for good', restarting, { firmware: version }],
    [
      'done',
      'runs it, and never heard of trials',
      restarting,
      { firmware: version, report: null, forMs: answerMs },
    ],
    [
      'done',
      'goes on to a newer one',
      restarting,
      { firmware: version, report: says('installing', '1.2.0') },
    ],
    ['skipped', 'somebody gave it a newer one', asked, { firmware: '1.2.0' }],
    ['installing', 'somebody at the surface was first', begun(0, 0), { report: says('installing') }],
    ['waiting', 'an old failure does not count', begun(0, 0), { report: says('failed') }],
    ['skipped', 'another rollout is newer', begun(0, 0), {}, { newerRollout: 'summer' }],
  ];
  for (const [expected, why, before, change, rest] of rows)
    t.equal(phase(before, change, rest), expected, why);
});

t.test('nothing known changes nothing, and what is over stays over', async () => {
  const report = fc.option(
    fc.record({
      state: fc.constantFrom('unsupported', 'idle', 'installing', 'restarting', 'trial', 'failed'),
      version: fc.constantFrom(null, '1.0.0', version, '1.2.0'),
      detail: fc.constantFrom('', 'why'),
    }),
  ) as fc.Arbitrary<UpdateReport | null>;
  // Whoever has not been born has said nothing, and an answer is a report.
  const anySeen: fc.Arbitrary<Seen> = fc
    .record({
      isOnline: fc.boolean(),
      forMs: fc.constantFrom(0, answerMs, awayMs, 10 * installMs),
      firmware: fc.constantFrom(null, '1.0.0', version, '1.2.0', 'dev', ''),
      report,
      isAnswer: fc.boolean(),
    })
    .map(({ isAnswer, ...each }) => {
      const said = each.firmware === null ? null : each.report;
      return { ...each, report: said, answer: isAnswer ? said : null };
    });
  fc.assert(
    fc.property(fc.array(fc.tuple(anySeen, fc.nat(10 * installMs)), { maxLength: 20 }), (looks) => {
      let progress = asked;
      let now = 0;
      for (const [each, passed] of looks) {
        now += passed;
        const next = advance(progress, want(each, { now, at: now }));
        // Looked at again and again: what was lost waits first, and is judged anew then.
        const settled = advance(next, want(each, { now, at: now }));
        if (advance(settled, want(each, { now, at: now })) !== settled) return false;
        if (progress.hasFailed && !next.hasFailed) return false;
        if (next.phase === 'asked' && progress.phase !== 'asked') return false; // Only asking makes it asked.
        if (progress.phase === 'failed' && next.phase !== 'failed' && each.firmware !== version) return false;
        progress = next;
      }
      return progress.asks === 1;
    }),
    { numRuns: 1000 },
  );
});

t.test('what is kept is read again, and nothing else is', async (t) => {
  const state = { name: 'spring', version, surfaces: new Map([['desk', asked]]) };
  const read = readKept(keptText([state]), 'file', 77).get('spring');
  t.same(read?.surfaces.get('desk'), { ...asked, since: 77 }, 'with all its time again');
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      try {
        readKept(text, 'file', 0);
        return true;
      } catch (error) {
        return (error as { code?: string }).code === 'E_ROLLOUT';
      }
    }),
  );
});
