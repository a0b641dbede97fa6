import t from 'tap';
import type { Case } from '../../../daemon/attest/verifier/types.ts';
import type { ClockState } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import type { Quoting } from './paper-tpm.ts';
import { caseOf, refused, rulesOf } from './world.ts';

/** As the quotes of `caseOf`: reset 7, restart 2, 5000 ms. */
const before: ClockState = {
  resetCount: 7,
  restartCount: 2,
  clock: '4000',
  isSafe: true,
  firmwareVersion: '2019102300163636',
};
const judged = (
  previous: Partial<ClockState> | null,
  draft: Partial<Case> & { quoting?: Partial<Quoting> } = {},
) =>
  verify(
    caseOf({
      previous: previous && { ...before, ...previous },
      isIncremental: draft.isIncremental ?? false,
      ...(draft.quoting ? { quoting: draft.quoting } : {}),
      ...(draft.expected ? { expected: draft.expected } : {}),
    }),
    rulesOf(),
  );
const notActivated = { expected: { secret: null } as Case['expected'] };
const reasonOf = (verdict: ReturnType<typeof verify>) =>
  verdict.checks.find(({ name }) => name === 'clock')?.reason ?? '';

t.test('first evidence', async (t) => {
  t.match(judged(null), { isTrusted: true, epoch: 'first' });
  t.match(judged(null, { quoting: { isSafe: false, clock: 0n } }), {
    isTrusted: true,
    clock: { isSafe: false },
  });
  refused(t, judged(null, { isIncremental: true }), 'clock', /no earlier evidence.*from their start/);
  refused(t, judged(null, notActivated), 'clock', /no earlier evidence.*credential/);
});

t.test('the same epoch', async (t) => {
  for (const previous of [{}, { clock: '5000' }, { clock: '0' }]) {
    t.match(judged(previous), { isTrusted: true, epoch: 'same' });
    t.match(judged(previous, { isIncremental: true, ...notActivated }), { isTrusted: true, epoch: 'same' });
  }
  refused(t, judged({ clock: '5001' }), 'clock', /attest, clock: 5000 ms after 5001 ms/);
  refused(t, judged({ clock: '18446744073709551615' }), 'clock', /5000 ms after 18446744073709551615/);
  t.equal(judged({ clock: '5001' }).epoch, 'same');
});

t.test('a clock beyond the doubles', async (t) => {
  const at = (clock: bigint, previous: bigint) =>
    judged({ clock: previous.toString() }, { quoting: { clock } }).isTrusted;
  t.equal(at(2n ** 63n + 1n, 2n ** 63n), true);
  t.equal(at(2n ** 63n, 2n ** 63n + 1n), false, 'one millisecond back');
});

t.test('a new epoch asks for everything, and tolerates a clock that went back', async (t) => {
  // A TPM Restart, too, begins its PCRs anew: that of TPM2_Shutdown(STATE) and TPM2_Startup(CLEAR).
  for (const reset of [
    { resetCount: 6, clock: '6905', restartCount: 9 },
    { restartCount: 1, clock: '6905' },
  ]) {
    t.match(judged(reset), { isTrusted: true, epoch: 'new', clock: { resetCount: 7 } });
    t.match(judged(reset, { quoting: { clock: 887n, isSafe: false } }), { isTrusted: true, epoch: 'new' });
    for (const draft of [{ isIncremental: true }, { isIncremental: true, ...notActivated }]) {
      const verdict = judged(reset, draft);
      refused(t, verdict, 'clock', /the TPM was reset or restarted.*from their start/);
      t.match(
        verdict,
        { epoch: 'new', clock: { resetCount: 7 } },
        'told, so that everything can be asked for',
      );
    }
    refused(t, judged(reset, notActivated), 'clock', /the TPM was reset or restarted.*credential/);
  }
});

t.test('an epoch that is over', async (t) => {
  for (const [previous, told] of [
    [{ resetCount: 8, restartCount: 0 }, '7 and 2 after 8 and 0'],
    [{ restartCount: 3 }, '7 and 2 after 7 and 3'],
  ] as const) {
    const verdict = judged(previous);
    refused(t, verdict, 'clock', new RegExp(`${told}; a TPM that was cleared must be approved again`));
    t.equal(verdict.epoch, null);
  }
});

t.test('other firmware of the TPM is told', async (t) => {
  const old = { firmwareVersion: '2019102300163630' };
  t.equal(judged(old).isTrusted, true);
  t.match(reasonOf(judged(old)), /firmware of the TPM changed from 2019102300163630 to 2019102300163636/);
  t.match(reasonOf(judged({ ...old, resetCount: 6 })), /changed from/);
  t.notMatch(reasonOf(judged({})), /changed/);
});

t.test('what the gateway kept is broken', async (t) => {
  const verdict = judged({ clock: 'yesterday' });
  t.match(verdict, { isTrusted: false, level: null });
  t.match(reasonOf(verdict), /^could not be judged/);
});
