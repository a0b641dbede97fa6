/** Evidence that is good in every form; tampering.test.ts has what is not. */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import t from 'tap';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import type { LogPart } from '../../../daemon/attest/evidence/evidence.ts';
import type { Case } from '../../../daemon/attest/verifier/types.ts';
import { checkNames, firstFailure } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { type AttestationKind, attestationKeys, attestBytes, rsaEk, signed } from './paper-tpm.ts';
import { allPcrs, caseOf, type Draft, flipped, refused, rulesOf, withOutcome } from './world.ts';

for (const kind of Object.keys(attestationKeys) as AttestationKind[])
  for (const bank of ['sha256', 'sha384'] as const)
    t.test(`untouched evidence is trusted: ${kind}, ${bank}`, async (t) => {
      const verdict = verify(caseOf({ ak: attestationKeys[kind](), bank }), rulesOf());
      t.same(firstFailure(verdict), null);
      t.match(verdict, { isTrusted: true, level: 3, epoch: 'first', reference: { version: 3 } });
      t.same(
        verdict.checks.map(({ name }) => name),
        checkNames,
        'every check, in order',
      );
      t.same(withOutcome(verdict, 'skipped'), ['ek-certificate']);
      t.same(verdict.measured, {
        firmwareEvents: 12,
        files: 2,
        systemdRecords: 2,
        imaEntries: 3,
        imaViolations: 0,
      });
      t.match(verdict.clock, { resetCount: 7, clock: '5000', firmwareVersion: '2019102300163636' });
    });

t.test('an RSA endorsement key is as good', async (t) => {
  const rules = rulesOf({ approvedEkSha256: ekPublicSha256(rsaEk().area) });
  t.equal(verify(caseOf({ ek: rsaEk() }), rules).isTrusted, true);
});

const ak = attestationKeys['ECDSA P-256']();
const good = caseOf();
const withEvidence = (changes: Partial<Case['evidence']>): Case => ({
  ...good,
  evidence: { ...good.evidence, ...changes },
});

t.test('values come in any order, and the PCRs that are asked for too', async (t) => {
  const backwards = new Map([...good.evidence.pcrs].reverse());
  t.equal(verify(withEvidence({ pcrs: backwards }), rulesOf()).isTrusted, true);
  const expected = { ...good.expected, pcrs: [...allPcrs].reverse() };
  t.equal(verify({ ...good, expected }, rulesOf()).isTrusted, true);
});

t.test('integers of a signature may lack their leading zeros', async (t) => {
  for (let tries = 0; tries < 4000; tries++) {
    const bytes = good.evidence.attest;
    const made = signed(ak, bytes);
    // scheme 2 | hash 2 | length 2 | r 32
    if (made[6] !== 0) continue;
    const cut = Buffer.concat([made.subarray(0, 4), Buffer.from([0, 31]), made.subarray(7)]);
    t.equal(verify(withEvidence({ signature: cut }), rulesOf()).isTrusted, true);
    return;
  }
  t.fail('no r with a leading zero in 4000 signatures');
});

t.test('every attestation key is bound to what it signs with', async (t) => {
  for (const kind of Object.keys(attestationKeys) as AttestationKind[]) {
    const made = caseOf({ ak: attestationKeys[kind]() });
    for (const at of [3, 40, made.evidence.attest.length - 1]) {
      const attest = flipped(made.evidence.attest, at);
      refused(
        t,
        verify({ ...made, evidence: { ...made.evidence, attest } }, rulesOf()),
        'signature',
        /over these/,
        kind,
      );
    }
    const other = caseOf({ ak: attestationKeys[kind]() }).evidence;
    const attest = attestBytes({
      qualifiedSigner: Buffer.alloc(0),
      extraData: Buffer.alloc(0),
      clockInfo: { clock: 0n, resetCount: 0, restartCount: 0, isSafe: true },
      firmwareVersion: 0n,
      attested: { type: 0x8018, pcrSelect: [], pcrDigest: Buffer.alloc(0) },
    });
    refused(
      t,
      verify({ ...made, evidence: { ...other, attest } }, rulesOf()),
      'signature',
      /over these/,
      kind,
    );
  }
});

t.test('logs that were put together from several messages', async (t) => {
  const half = 100;
  const parts = (bytes: Uint8Array | null, records: number): LogPart | null =>
    bytes && { from: { bytes: half, records }, bytes: bytes.subarray(half) };
  const sent = { ima: parts(good.logs.ima, 1), measured: parts(good.logs.measured, 1), firmware: null };
  const previous = { ...verify(good, rulesOf()).clock!, clock: '4000' };
  const incremental = { sent, previous, isIncremental: true } satisfies Draft;
  t.match(verify(caseOf(incremental), rulesOf()), { isTrusted: true, epoch: 'same', level: 3 });
  refused(t, verify(caseOf({ ...incremental, previous: null }), rulesOf()), 'clock', /from their start/);
  refused(
    t,
    verify(caseOf({ ...incremental, isIncremental: false }), rulesOf()),
    'binding',
    /firmware: was not sent/,
  );
  const lost = { ...caseOf(incremental), logs: { ...good.logs, ima: good.logs.ima!.subarray(half) } };
  refused(t, verify(lost, rulesOf()), 'binding', /logs, ima: does not end with what was sent/);
  const forged = { ...good.logs, ima: flipped(good.logs.ima!, 30) };
  refused(
    t,
    verify({ ...caseOf(incremental), logs: forged }, rulesOf()),
    'ima-list',
    /./,
    'what was kept counts, too',
  );
});

t.test('a fault of the verifier or of the policy is not trusted either', async (t) => {
  const references = {
    name: 'broken',
    match: () => {
      throw new TypeError('no such \u001b[31m field');
    },
  };
  const verdict = verify(good, rulesOf({ references }));
  t.match(firstFailure(verdict), {
    name: 'reference',
    reason: 'could not be judged: no such \\u001b[31m field',
  });
  t.match(verdict, { isTrusted: false, level: null });
  // A nonce of the wrong length is the gateway's own mistake.
  const mistaken = { ...good, expected: { ...good.expected, nonce: Buffer.alloc(3) } };
  t.match(firstFailure(verify(mistaken, rulesOf())), { name: 'binding', reason: /^could not be judged/ });
});

t.test('each key of a case is imported once', async (t) => {
  const { createPublicKey } = crypto;
  let imports = 0;
  crypto.createPublicKey = (...given) => {
    imports++;
    return createPublicKey(...given);
  };
  syncBuiltinESMExports();
  t.teardown(() => {
    crypto.createPublicKey = createPublicKey;
    syncBuiltinESMExports();
  });
  const subject = caseOf();
  imports = 0;
  t.equal(verify(subject, rulesOf()).isTrusted, true);
  t.equal(imports, 2, 'endorsement key and attestation key');
});
