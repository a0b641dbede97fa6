/** Quotes that a TPM has made and logs that machines have written, none of them made by these tests. */
import t from 'tap';
import type { Evidence } from '../../../daemon/attest/evidence/evidence.ts';
import { imaEntries } from '../../../daemon/attest/logs/ima-list.ts';
import { asBuffer, logStart } from '../../../daemon/attest/logs/log.ts';
import { decode, publicArea } from '../../../daemon/attest/tpm2/index.ts';
import { Checklist } from '../../../daemon/attest/verifier/checks.ts';
import { judgeQuote } from '../../../daemon/attest/verifier/quote.ts';
import type { WholeLogs } from '../../../daemon/attest/verifier/types.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { realLog, sized, u32, withoutRealLogs } from '../logs/samples.ts';
import { vector } from '../tpm2/vectors.ts';
import { caseOf, refused, rulesOf } from './world.ts';

const none: WholeLogs = { firmware: null, ima: null, measured: null, systemd: null };
const level0 = rulesOf({ assertedLevel: 0, requiredLevel: 0, references: null });

t.test('quotes of swtpm: signed by their keys, and for nobody here', async (t) => {
  for (const name of ['quote_ecc', 'quote_rsa_2bank'] as const) {
    const value = vector('e2', name);
    const ak = decode('it', publicArea, value('akPub'));
    const judge = (changes: Partial<Pick<Evidence, 'attest' | 'signature'>> = {}) => {
      const checks = new Checklist();
      judgeQuote(checks, {
        ak,
        expected: caseOf().expected,
        evidence: { attest: value('attest'), signature: value('signature'), pcrs: new Map(), ...changes },
        whole: null,
      });
      return checks.of(['signature', 'attest', 'binding', 'signer']);
    };
    t.match(judge(), [
      { outcome: 'passed' },
      { outcome: 'passed' },
      { outcome: 'failed', reason: /extraData/ },
      { outcome: 'skipped' },
    ]);
    for (let at = 0; at < value('attest').length; at += 7) {
      const changed = value('attest');
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      t.match(judge({ attest: changed })[0], { outcome: 'failed' }, `${name}, byte ${at}`);
    }
    // Their keys are children of the storage key: no primary of the endorsement hierarchy.
    const judged = verify({ ...caseOf(), claims: { ...caseOf().claims, akPublic: value('akPub') } }, level0);
    refused(t, judged, 'signature', /./);
  }
  const creation = vector('e2', 'certify_creation');
  const checks = new Checklist();
  judgeQuote(checks, {
    ak: decode('it', publicArea, creation('akPub')),
    expected: caseOf().expected,
    evidence: { attest: creation('attest'), signature: creation('signature'), pcrs: new Map() },
    whole: null,
  });
  t.match(checks.of(['signature', 'attest']), [
    { outcome: 'passed' },
    { outcome: 'failed', reason: /type: 0x801a/ },
  ]);
});

const values = (pcrs: Readonly<Record<string, string>>) =>
  new Map(Object.entries(pcrs).map(([pcr, value]) => [Number(pcr), Buffer.from(value, 'hex')] as const));

t.test('logs of real firmware', { skip: withoutRealLogs }, async (t) => {
  interface Expected {
    readonly algs: readonly string[];
    readonly replayedPcrs: Readonly<Record<string, Record<string, string>>>;
    readonly measuredPcrs?: Readonly<Record<string, Record<string, string>>>;
  }
  const expected = JSON.parse(realLog('eventlogs/expected.json').toString()) as Record<string, Expected>;
  for (const [name, { algs, replayedPcrs, measuredPcrs }] of Object.entries(expected)) {
    const logs = { ...none, firmware: realLog(`eventlogs/${name}`) };
    for (const bank of ['sha256', 'sha384'] as const) {
      const pcrs = values(
        measuredPcrs?.[bank] ?? replayedPcrs[bank] ?? { 0: '00'.repeat(bank === 'sha256' ? 32 : 48) },
      );
      for (const pcr of pcrs.keys()) if (pcr > 15) pcrs.delete(pcr);
      const verdict = verify(caseOf({ bank, pcrs, logs }), level0);
      if (!algs.includes(bank)) {
        refused(t, verdict, 'firmware-log', new RegExp(`none of ${bank}`), `${name} ${bank}`);
        continue;
      }
      t.equal(verdict.isTrusted, true, `${name} ${bank}`);
      for (const [pcr, value] of pcrs) {
        const other = new Map(pcrs).set(pcr, Buffer.alloc(value.length, 1));
        refused(
          t,
          verify(caseOf({ bank, pcrs: other, logs }), level0),
          'firmware-log',
          new RegExp(`PCR ${pcr} is 01`),
          name,
        );
      }
    }
  }
});

t.test("a real machine's list of IMA", { skip: withoutRealLogs }, async (t) => {
  const expected = JSON.parse(realLog('ima/expected.json').toString()).rust_keylime as {
    readonly entries: number;
    readonly afterEntry: Record<string, { sha256: string }>;
    readonly pcr10: { sha256: string };
    readonly pcr10_sha256_pre_5_8_zero_padded_sha1: string;
  };
  // As the kernel gives it in the other form.
  const ascii = realLog('ima/rust_keylime_ascii_runtime_measurements');
  const ima = Buffer.concat(
    [...imaEntries(ascii, { form: 'ascii', pcr: 10, from: logStart })].map(
      ({ listedHash, template, templateData }) =>
        Buffer.concat([u32(10), asBuffer(listedHash), sized(template), sized(templateData)]),
    ),
  );
  const judged = (value: string) =>
    verify(caseOf({ logs: { ...none, ima }, pcrs: values({ 10: value }) }), level0);
  // Its kernel found no TPM when IMA started, so that the list is found, and is worth nothing.
  for (const value of [...Object.values(expected.afterEntry), expected.pcr10]) {
    const verdict = judged(value.sha256);
    t.match(verdict, { isTrusted: true, level: 0, measured: { imaEntries: 0 } });
    const check = verdict.checks.find(({ name }) => name === 'ima-list');
    t.match(check, { outcome: 'skipped', reason: /ima-not-anchored, boot_aggregate is zero/ });
  }
  refused(t, judged(expected.pcr10_sha256_pre_5_8_zero_padded_sha1), 'ima-list', /no prefix/, 'padded SHA-1');
  refused(t, judged('11'.repeat(32)), 'ima-list', /no prefix/);
});
