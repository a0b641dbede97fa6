import t from 'tap';
import type { Match } from '../../../daemon/attest/policy/types.ts';
import type { Level } from '../../../daemon/attest/types.ts';
import type { WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { caseOf, now, Pcrs, referencesOf, refused, rulesOf, withOutcome } from './world.ts';

type Covers = Extract<Match, { isMatch: true }>['covers'];
const covers = (...what: ('files' | 'firmware' | 'ima')[]): Covers => ({
  files: what.includes('files'),
  firmwareGap: what.includes('firmware') ? null : 'PCR 7 is not listed',
  ima: what.includes('ima'),
});
const levelOf = (assertedLevel: Level, covered: Covers | null) =>
  verify(caseOf(), rulesOf({ assertedLevel, requiredLevel: 0, references: covered && referencesOf(covered) }))
    .level;

t.test('no more than asserted, no more than the evidence supports', async (t) => {
  const rows: readonly (readonly [Covers | null, levels: readonly Level[]])[] = [
    [null, [0, 0, 0, 0]],
    [covers(), [0, 0, 0, 0]],
    [covers('files'), [0, 1, 2, 1]],
    [covers('ima'), [0, 1, 2, 1]],
    [covers('firmware'), [0, 0, 0, 3]],
    [covers('files', 'firmware'), [0, 1, 2, 3]],
    [covers('files', 'firmware', 'ima'), [0, 1, 2, 3]],
  ];
  for (const [covered, levels] of rows)
    for (const [asserted, level] of levels.entries())
      t.equal(levelOf(asserted as Level, covered), level, `${JSON.stringify(covered)}, asserted ${asserted}`);
});

t.test('what is required must hold', async (t) => {
  for (const [asserted, required, covered, held] of [
    [0, 1, covers('files'), 0],
    [1, 2, covers('files'), 1],
    [2, 3, covers('files', 'firmware'), 2],
    [3, 2, covers('files'), 1],
    [3, 3, covers('files'), 1],
    [3, 1, null, 0],
  ] as const) {
    const references = covered && referencesOf(covered);
    const verdict = verify(
      caseOf(),
      rulesOf({ assertedLevel: asserted, requiredLevel: required, references }),
    );
    t.match(verdict, { isTrusted: false, level: null });
    t.match(verdict.checks.at(-1), {
      outcome: 'failed',
      reason: new RegExp(`^level ${held} holds, ${required} is required`),
    });
    t.same(withOutcome(verdict, 'failed'), ['level']);
  }
  const enough = verify(caseOf(), rulesOf({ requiredLevel: 1, references: referencesOf(covers('files')) }));
  t.match(enough, { isTrusted: true, level: 1 });
  t.equal(
    enough.checks.at(-1)?.reason,
    'level 1 holds, 3 is asserted and not supported by the evidence: PCR 7 is not listed',
  );
});

t.test('why less holds than was asserted', async (t) => {
  for (const [assertedLevel, covered, why] of [
    [3, covers('files'), 'PCR 7 is not listed'],
    [2, covers('firmware'), 'the policy covers neither files nor the list of IMA'],
    [2, null, 'nothing of its software is compared'],
  ] as const) {
    const references = covered && referencesOf(covered);
    const { checks } = verify(caseOf(), rulesOf({ assertedLevel, requiredLevel: 0, references }));
    t.match(checks.at(-1)?.reason, new RegExp(`, ${assertedLevel} is asserted and .* evidence: ${why}$`));
  }
});

t.test('a policy that says it covers firmware is not believed without a log of it', async (t) => {
  const logs: Partial<WholeLogs> = { firmware: null, ima: null, measured: null, systemd: null };
  const covered = {
    ...referencesOf(),
    match: (): Match => ({ isMatch: true, reference, covers: covers('firmware') }),
  };
  const reference = { name: 'pi-baseline', version: 1, sha256: '00'.repeat(32) };
  const stock = caseOf({ logs, pcrs: new Pcrs('sha256').values });
  t.equal(verify(stock, rulesOf({ requiredLevel: 0, references: covered })).level, 0);
  refused(
    t,
    verify(caseOf({ logs }), rulesOf({ references: covered })),
    'firmware-log',
    /no event explains PCR 0, 1/,
  );
  t.equal(
    verify(caseOf({ logs }), rulesOf({ assertedLevel: 2, requiredLevel: 0, references: covered })).level,
    0,
  );
  const { reason } = verify(stock, rulesOf({ requiredLevel: 0, references: covered })).checks.at(-1)!;
  t.match(reason, /evidence: there is no event log of the firmware$/);
});

t.test('a policy that does not match', async (t) => {
  const reasons = [
    'version 3: file /opt/x has another digest',
    'version 2: \u001b[31m',
    'x'.repeat(5000),
    'four',
    'five',
  ];
  const references = { name: 'pi\nbaseline', match: (): Match => ({ isMatch: false, reasons }) };
  const verdict = verify(caseOf(), rulesOf({ references, assertedLevel: 0, requiredLevel: 0 }));
  refused(
    t,
    verdict,
    'reference',
    /version 3: file \/opt\/x has another digest; version 2: \\u001b.*; and 2 more/,
  );
  for (const { reason } of verdict.checks) {
    t.ok(reason.length < 1000, 'bounded');
    t.match(reason, /^[ -~]+$/, 'safe on a terminal');
  }
  t.equal(verdict.reference, null);
});

t.test('the sets are those of the time of the verdict', async (t) => {
  let asked = 0;
  const good = referencesOf();
  const references = {
    ...good,
    match(...given: Parameters<typeof good.match>) {
      asked = given[1];
      return good.match(...given);
    },
  };
  t.match(verify(caseOf(), rulesOf({ references })), {
    isTrusted: true,
    reference: { name: 'pi-baseline', version: 3 },
  });
  t.equal(asked, now);
});
