/** Whatever a surface sends: no exception, no fault of the verifier, and no trust that was not earned. */
import fc from 'fast-check';
import t from 'tap';
import { ekPublicSha256 } from '../../../daemon/attest/certificates/public-key.ts';
import type { LogName } from '../../../daemon/attest/evidence/evidence.ts';
import { logNames } from '../../../daemon/attest/evidence/evidence.ts';
import { makeCredential } from '../../../daemon/attest/tpm2/index.ts';
import { judgeKeys } from '../../../daemon/attest/verifier/keys.ts';
import type { Case } from '../../../daemon/attest/verifier/types.ts';
import { checkNames } from '../../../daemon/attest/verifier/verdict.ts';
import { verify } from '../../../daemon/attest/verifier/verify.ts';
import { publics } from '../tpm2/arbitraries.ts';
import { attestationKeys, encodePublic, rsaEk } from './paper-tpm.ts';
import { bytesOf, caseOf, faults, referencesOf, rulesOf } from './world.ts';

const rsaRules = rulesOf({ approvedEkSha256: ekPublicSha256(rsaEk().area) });
const subjects = [
  { good: caseOf(), rules: rulesOf() },
  { good: caseOf({ ak: attestationKeys.RSAPSS(), ek: rsaEk(), bank: 'sha384' }), rules: rsaRules },
];

/** What everything that is judged must keep to. */
function judged(subject: Case, rules = rulesOf()): boolean {
  const verdict = verify(subject, rules);
  const own = faults(verdict);
  if (own.length > 0) throw new Error(own.join());
  if (verdict.checks.length !== checkNames.length) throw new Error('a check is missing');
  const isEnough = verdict.checks.every(({ outcome }) => outcome !== 'failed') && verdict.level !== null;
  if (verdict.isTrusted !== isEnough) throw new Error('trusted and failed');
  for (const { reason } of verdict.checks)
    if (!/^[ -~]{1,4000}$/.test(reason)) throw new Error(`reason: ${JSON.stringify(reason)}`);
  return verdict.isTrusted;
}

/** A change of some bytes. */
type Change = (bytes: Uint8Array) => Uint8Array;
const at = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ at, bit: fc.nat(7) }).map(
    ({ at, bit }): Change =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        const index = Math.floor(at * copy.length);
        if (index < copy.length) copy[index] = (copy[index] ?? 0) ^ (1 << bit);
        return copy;
      },
  ),
  fc.record({ at, value: fc.nat(255) }).map(
    ({ at, value }): Change =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        const index = Math.floor(at * copy.length);
        if (index < copy.length) copy[index] = value;
        return copy;
      },
  ),
  at.map(
    (at): Change =>
      (bytes) =>
        bytes.subarray(0, Math.floor(at * bytes.length)),
  ),
  at.map(
    (at): Change =>
      (bytes) =>
        bytes.subarray(Math.floor(at * bytes.length)),
  ),
  fc.record({ at, more: fc.uint8Array({ maxLength: 40 }) }).map(
    ({ at, more }): Change =>
      (bytes) => {
        const index = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, index), more, bytes.subarray(index)]);
      },
  ),
  fc.record({ from: at, to: at }).map(
    ({ from, to }): Change =>
      (bytes) => {
        const [start, end] = [from, to].map((one) => Math.floor(one * bytes.length)).sort((a, b) => a - b);
        return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
      },
  ),
  fc.uint8Array({ maxLength: 300 }).map(
    (bytes): Change =>
      () =>
        bytes,
  ),
);
const isSame = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;

const fields = {
  ekPublic: (made: Case, edit: Change): Case => ({
    ...made,
    claims: { ...made.claims, ekPublic: edit(made.claims.ekPublic) },
  }),
  akPublic: (made: Case, edit: Change): Case => ({
    ...made,
    claims: { ...made.claims, akPublic: edit(made.claims.akPublic) },
  }),
  secret: (made: Case, edit: Change): Case => ({
    ...made,
    evidence: { ...made.evidence, secret: edit(made.evidence.secret!) },
  }),
  attest: (made: Case, edit: Change): Case => ({
    ...made,
    evidence: { ...made.evidence, attest: edit(made.evidence.attest) },
  }),
  signature: (made: Case, edit: Change): Case => ({
    ...made,
    evidence: { ...made.evidence, signature: edit(made.evidence.signature) },
  }),
};
const bytesOfField: Readonly<Record<keyof typeof fields, (made: Case) => Uint8Array>> = {
  ekPublic: ({ claims }) => claims.ekPublic,
  akPublic: ({ claims }) => claims.akPublic,
  secret: ({ evidence }) => evidence.secret!,
  attest: ({ evidence }) => evidence.attest,
  signature: ({ evidence }) => evidence.signature,
};

t.test('a change of any bytes that are signed, or sign', async () => {
  const names = Object.keys(fields) as (keyof typeof fields)[];
  fc.assert(
    fc.property(
      fc.constantFrom(...subjects),
      fc.constantFrom(...names),
      change,
      ({ good, rules }, name, edit) => {
        const changed = fields[name](good, edit);
        const isUntouched = isSame(bytesOfField[name](changed), bytesOfField[name](good));
        return judged(changed, rules) === isUntouched;
      },
    ),
    { numRuns: 600 },
  );
});

t.test('a change of the values of PCRs', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...subjects), fc.nat(17), change, ({ good, rules }, pcr, edit) => {
      const old = good.evidence.pcrs.get(pcr);
      const value = edit(old ?? bytesOf('it'));
      const pcrs = new Map(good.evidence.pcrs).set(pcr, value);
      const isUntouched = old !== undefined && isSame(old, value);
      return judged({ ...good, evidence: { ...good.evidence, pcrs } }, rules) === isUntouched;
    }),
    { numRuns: 200 },
  );
});

/** What of logs a verdict may rest on: never the type and data of an event, nor the text of a systemd record. */
function provenBy(subject: Case): readonly string[] | null {
  let seen: readonly string[] | null = null;
  const references = referencesOf({ files: true, firmwareGap: null, ima: true }, (proven) => {
    const of = (name: 'firmware' | 'measured' | 'systemd' | 'ima') => (proven[name] ?? []) as never[];
    seen = [
      of('firmware').map(({ pcr, digests }) => [pcr, [...digests]]),
      of('measured').map(({ pcr, content }) => [pcr, content]),
      of('systemd').map(({ pcr, digests }) => [pcr, [...digests]]),
      of('ima').map(({ templateData }) => templateData),
    ].map((records) => JSON.stringify(records));
  });
  return judged(subject, rulesOf({ references })) ? seen : null;
}

t.test(
  'a surface that sends other logs and has them signed proves what was measured, or nothing',
  async () => {
    const good = caseOf();
    const proven = provenBy(good);
    t.ok(proven);
    const edits = fc.dictionary(fc.constantFrom(...logNames), change, { minKeys: 1, maxKeys: 2 });
    fc.assert(
      fc.property(edits, (changes) => {
        const logs = Object.fromEntries(
          Object.entries(changes).map(([name, edit]) => [name, edit(good.logs[name as LogName]!)]),
        );
        const seen = provenBy(caseOf({ logs }));
        // A log that is left out proves nothing; the policy does not ask for that of systemd.
        return (
          seen === null || seen.every((records, index) => records === '[]' || records === proven?.[index])
        );
      }),
      { numRuns: 800 },
    );
  },
);

t.test('logs of anything, signed', async () => {
  const anything = fc.option(fc.uint8Array({ maxLength: 400 }), { nil: null });
  const logs = fc.record({ firmware: anything, ima: anything, measured: anything, systemd: anything });
  fc.assert(
    fc.property(logs, (made) => !judged(caseOf({ logs: made }))),
    { numRuns: 300 },
  );
});

t.test('anything in every field', async () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const some = fc.record({
    ekPublic: bytes,
    akPublic: bytes,
    ekCertificate: fc.option(bytes, { nil: null }),
    ekChain: fc.array(bytes, { maxLength: 20 }),
    secret: fc.option(bytes, { nil: null }),
    attest: bytes,
    signature: bytes,
    pcrs: fc.array(fc.tuple(fc.nat(30), bytes), { maxLength: 20 }).map((entries) => new Map(entries)),
  });
  const good = caseOf();
  fc.assert(
    fc.property(
      some,
      fc.subarray(Object.keys(fields).concat('pcrs', 'ekCertificate', 'ekChain')),
      (made, kept) => {
        const claims = { ...made, ...good.claims };
        const evidence = { ...made, ...good.evidence };
        for (const name of Object.keys(made).filter((one) => !kept.includes(one))) {
          if (name in good.claims) Object.assign(claims, { [name]: made[name as keyof typeof made] });
          else Object.assign(evidence, { [name]: made[name as keyof typeof made] });
        }
        const { ekPublic, akPublic, ekCertificate, ekChain } = claims;
        const { secret, attest, signature, pcrs } = evidence;
        const isTrusted = judged({
          ...good,
          claims: { ekPublic, akPublic, ekCertificate, ekChain },
          evidence: { secret, attest, signature, pcrs },
        });
        // A certificate is not demanded here, so that a broken one does no harm.
        const isWhole = [...Object.keys(fields), 'pcrs'].every((name) => kept.includes(name));
        return isTrusted === isWhole;
      },
    ),
    { numRuns: 500 },
  );
});

t.test('any public area: what is accepted can receive a credential', async () => {
  fc.assert(
    fc.property(publics, publics, (ekArea, akArea) => {
      const claims = {
        ekPublic: encodePublic(ekArea),
        akPublic: encodePublic(akArea),
        ekCertificate: null,
        ekChain: [],
      };
      const { ek, ak, checks, isAcceptable } = judgeKeys(claims, rulesOf());
      if (ek !== null) makeCredential(ek, Buffer.alloc(34), Buffer.alloc(32));
      const isRefused = checks.some(({ outcome }) => outcome === 'failed');
      return isAcceptable === !isRefused && (!isAcceptable || (ek !== null && ak !== null));
    }),
    { numRuns: 300 },
  );
});

t.test('an endorsement key of any bytes that is accepted can receive a credential', async () => {
  const areas = subjects.map(({ good }) => good.claims.ekPublic);
  fc.assert(
    fc.property(fc.constantFrom(...areas), change, (area, edit) => {
      const { ek } = judgeKeys({ ...caseOf().claims, ekPublic: edit(area) }, rulesOf());
      if (ek !== null) makeCredential(ek, Buffer.alloc(34), Buffer.alloc(32));
      return true;
    }),
    { numRuns: 500 },
  );
});
